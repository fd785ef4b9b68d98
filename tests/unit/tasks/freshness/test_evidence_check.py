"""What stands in a folder, judged by its bytes alone; nothing in it makes that fail."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.record import Record, file_names
from doit_provenance.provenance.sign.key import LocalKey, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify import verifier
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.tasks.freshness import evidence_check
from doit_provenance.tasks.freshness.answer import Code, Invalid
from doit_provenance.tasks.freshness.evidence_check import Expected, Intact, inspect, stored_inventory
from doit_provenance.tasks.pipeline.produce import produce

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.fs.folder import Folder

NAMES = file_names("tea")
ID = "kettle:tea@linux/amd64"


@pytest.fixture
def place(builder: Any, context: Any, workspace: Any, signing: Any) -> Path:
    """Return the folder of `tea`, as it was made."""
    (artifact,) = builder.discover()
    built = builder.build(artifact.group, [artifact])[artifact]
    produce(artifact, built, builder=builder, context=context, signing=signing)
    found: Path = workspace.output / artifact.folder
    return found


@pytest.fixture
def expected(signing: Any) -> Expected:
    return Expected(artifact=ID, trust=signing.trust, signer=signing.key.hint, builder=signing.builder)


@pytest.fixture
def other_key(tmp_path: Path) -> LocalKey:
    nobody = PassphraseSource(environ={}, prompt=None)
    return load_or_create(tmp_path / "other" / "key.pem", nobody, workspace=None, environ={})


def _trusting(*keys: LocalKey) -> Trust:
    return Trust(keys=tuple(TrustedKey.from_pem(key.public_pem, origin="a test's") for key in keys))


def _stands(place: Path, expected: Expected) -> Intact:
    found = inspect(place, expected)
    assert isinstance(found, Intact)
    return found


def _codes(found: Intact | Invalid) -> list[Code]:
    return [r.code for r in (found.reasons if isinstance(found, Invalid) else found.gaps)]


def test_whole_folder_stands_with_all_its_files(place: Path, expected: Expected) -> None:
    found = _stands(place, expected)
    assert found.gaps == ()
    assert found.digest == digest_bytes(b"tea")
    assert found.files == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in place.iterdir()}
    assert found.inputs == Record.from_json((place / NAMES.record).read_bytes()).inputs


@pytest.mark.parametrize("what", ["nothing", "an empty folder", "a file", "a dangling link", "a pipe", "a loop"])
def test_what_is_no_folder_of_an_artifact(tmp_path: Path, expected: Expected, what: str) -> None:
    path = tmp_path / "place"
    if what == "an empty folder":
        path.mkdir()
    elif what == "a file":
        path.touch()
    elif what == "a pipe":
        os.mkfifo(path)
    elif what != "nothing":
        path.symlink_to("place" if what == "a loop" else "none")
    code = Code.NEVER_BUILT if what in {"nothing", "an empty folder"} else Code.RECORD_MISSING
    found = inspect(path, expected)
    assert isinstance(found, Invalid)
    assert _codes(found) == [code]


def test_folder_that_may_not_be_read_is_a_reason_and_no_failure(
    place: Path, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The superuser may read all, so the kernel is played."""
    real = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if path == place:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    def refuse_to_list(self: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(type(place), "iterdir", refuse_to_list)
    found = inspect(place, expected)
    assert isinstance(found, Invalid)
    assert [r.code for r in found.reasons] == [Code.RECORD_MISSING]
    assert "Permission denied" in found.reasons[0].detail


def test_without_a_key_nothing_is_proven(place: Path, expected: Expected) -> None:
    found = inspect(place, replace(expected, trust=None, signer=None))
    assert isinstance(found, Invalid)
    assert [(r.code, r.detail) for r in found.reasons] == [(Code.PROVENANCE_INVALID, "there is no key to verify with")]


def test_everything_that_is_wrong_is_said(place: Path, expected: Expected) -> None:
    """Losses first: they are why it is built; a person sees the rest too."""
    (place / "tea").unlink()
    (place / NAMES.inventory).write_bytes(b"{}")
    (place / NAMES.provenance_bundle).unlink()
    (place / NAMES.spdx).unlink()
    (place / NAMES.cyclonedx_bundle).write_bytes(b"{}")
    (place / "stranger").touch()
    found = inspect(place, expected)
    assert isinstance(found, Invalid)
    assert [(r.code, r.detail) for r in found.reasons] == [
        (Code.ARTIFACT_MISSING, "tea"),
        (Code.INVENTORY_CHANGED, NAMES.inventory),
        (Code.PROVENANCE_MISSING, NAMES.provenance_bundle),
        (Code.EVIDENCE_MISSING, NAMES.spdx),
        (Code.EVIDENCE_CHANGED, NAMES.cyclonedx_bundle),
        (Code.FILE_UNACCOUNTED, "stranger"),
    ]


def _resign(place: Path, key: LocalKey, *names: str, sealer: LocalKey) -> None:
    """Let another key sign these bundles' statements, and seal a record that says so."""
    from doit_provenance.provenance.attest.bundle import Bundle

    for name in names:
        payload = Bundle.from_json((place / name).read_bytes()).envelope.payload
        (place / name).write_bytes(key.sign_statement(payload))
    record = Record.from_json((place / NAMES.record).read_bytes())
    evidence = {n: hashlib.sha256((place / n).read_bytes()).hexdigest() for n in record.evidence}
    (place / NAMES.record).write_bytes(sealer.sign_record(replace(record, evidence=evidence)).to_json())


def test_provenance_of_a_key_that_is_not_trusted_is_lost_though_the_record_is_ours(
    place: Path, expected: Expected, signing: Any, other_key: LocalKey
) -> None:
    _resign(place, other_key, NAMES.provenance_bundle, sealer=signing.key)
    found = inspect(place, expected)
    assert isinstance(found, Invalid)
    assert _codes(found) == [Code.PROVENANCE_INVALID]
    assert "not trusted" in found.reasons[0].detail


def test_sbom_of_a_key_that_is_not_trusted_is_made_again(
    place: Path, expected: Expected, signing: Any, other_key: LocalKey
) -> None:
    """Each file is as recorded, and yet they do not hold."""
    _resign(place, other_key, NAMES.spdx_bundle, sealer=signing.key)
    found = _stands(place, expected)
    assert _codes(found) == [Code.EVIDENCE_CHANGED]
    assert NAMES.spdx_bundle in found.gaps[0].detail
    assert "not trusted" in found.gaps[0].detail


@pytest.mark.parametrize("name", [NAMES.provenance_bundle, NAMES.spdx_bundle, NAMES.cyclonedx_bundle, ""])
def test_any_signature_of_another_trusted_key_is_one_to_renew(
    place: Path, expected: Expected, signing: Any, other_key: LocalKey, name: str
) -> None:
    """A bundle's, or the record's."""
    trust = _trusting(signing.key, other_key)
    if name:
        _resign(place, other_key, name, sealer=signing.key)
    else:
        _resign(place, other_key, sealer=other_key)
    found = _stands(place, replace(expected, trust=trust))
    assert [(r.code, r.detail) for r in found.gaps] == [(Code.SIGNER_CHANGED, other_key.hint)]


def test_what_another_mode_has_built_is_nothing_to_renew(
    place: Path, expected: Expected, signing: Any, other_key: LocalKey
) -> None:
    bundles = (NAMES.provenance_bundle, NAMES.spdx_bundle, NAMES.cyclonedx_bundle)
    _resign(place, other_key, *bundles, sealer=other_key)
    trust = _trusting(signing.key, other_key)
    assert _codes(_stands(place, replace(expected, trust=trust))) == [Code.SIGNER_CHANGED]
    assert _stands(place, replace(expected, trust=trust, builder=BuilderId.CI)).gaps == ()


def test_both_kinds_of_renewal_are_said(
    place: Path, expected: Expected, signing: Any, other_key: LocalKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_check, "VERSION", "99.0.0")
    found = _stands(place, replace(expected, trust=_trusting(signing.key, other_key), signer=other_key.hint))
    assert _codes(found) == [Code.GENERATOR_CHANGED, Code.SIGNER_CHANGED]


@pytest.mark.parametrize("change", ["artifact", "digest", "no inventory"])
def test_gaps_that_the_stored_inventory_could_not_fill_are_a_build(
    place: Path, expected: Expected, signing: Any, change: str
) -> None:
    """A record and an inventory that were sealed together, and do not say the same: another version's."""
    path = place / NAMES.inventory
    data = {
        "artifact": path.read_bytes().replace(ID.encode(), b"kettle:mug@linux/amd64"),
        "digest": path.read_bytes().replace(digest_bytes(b"tea").sha256.encode(), b"0" * 64),
        "no inventory": b"{}",
    }[change]
    path.write_bytes(data)
    _resign(place, signing.key, sealer=signing.key)
    (place / NAMES.spdx).unlink()
    found = inspect(place, expected)
    assert isinstance(found, Invalid)
    assert _codes(found)[0] is Code.INVENTORY_CHANGED


def test_stored_inventory_is_the_recorded_one_or_none(place: Path) -> None:
    record = Record.from_json((place / NAMES.record).read_bytes())
    assert stored_inventory(place, record).artifact == ID
    with pytest.raises(VerificationError, match="not those of the record"):
        stored_inventory(place, replace(record, evidence={}))
    with pytest.raises(VerificationError, match="of another artifact"):
        stored_inventory(place, replace(record, artifact="kettle:mug@any"))
    (place / NAMES.inventory).unlink()
    with pytest.raises(UnreadableError, match="missing"):
        stored_inventory(place, record)


def test_folder_that_vanishes_while_it_is_judged_is_a_reason(
    place: Path, expected: Expected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(folder: Folder, *, trust: Trust) -> object:
        shutil.rmtree(folder.path)
        return verifier.check_folder(folder, trust=trust)

    monkeypatch.setattr(evidence_check, "check_folder", meanwhile)
    found = inspect(place, expected)
    assert isinstance(found, Invalid)
    assert _codes(found) == [Code.RECORD_INVALID]


def test_any_mixture_of_damage_is_an_answer_that_never_says_whole(place: Path, expected: Expected) -> None:
    """Several kinds of damage to several files at once, a few hundred times, each with its seed."""
    good = {p.name: p.read_bytes() for p in place.iterdir()}
    for seed in range(150):
        generator = random.Random(seed)  # noqa: S311 - no secret: to be the same again
        shutil.rmtree(place)
        place.mkdir()
        for name, data in good.items():
            (place / name).write_bytes(data)
        for name in generator.sample(sorted(good), generator.choice((1, 1, 2, 3, 8))):
            _damage(place / name, generator)
        changed = {p.name: p.read_bytes() if p.is_file() else None for p in place.iterdir()} != good
        found = inspect(place, expected)
        assert changed
        assert isinstance(found, Invalid) or found.gaps, seed


def _damage(path: Path, generator: random.Random) -> None:
    data = bytearray(path.read_bytes())
    how = generator.randrange(7)
    if how == 0:
        path.unlink()
    elif how == 1:
        path.write_bytes(data[: generator.randrange(len(data))])
    elif how == 2:
        path.write_bytes(data + generator.randbytes(generator.choice((1, 1000))))
    elif how == 3:
        path.unlink()
        path.mkdir()
    elif how == 4:
        at = generator.randrange(len(data))
        path.write_bytes(data[:at] + b"\0" + data[at:])
    else:
        for _ in range(generator.choice((1, 1, 8)) * 2 - 1):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)


def test_verification_is_that_of_doit_verify() -> None:
    """A folder that a run calls fresh is one that a stranger would accept."""
    assert evidence_check.check_folder is verifier.check_folder
