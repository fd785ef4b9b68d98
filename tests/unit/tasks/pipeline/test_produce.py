"""One artifact's way: what is made, what is kept, and what is left alone when something fails."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import StoreError, ToolError, UnreadableError, VerificationError
from doit_provenance.provenance.fs import store
from doit_provenance.provenance.record import Record, file_names
from doit_provenance.provenance.sign.key import LocalKey, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.policy import trusted_record_signer
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.freshness.evidence_check import read_record, signed_provenance
from doit_provenance.tasks.pipeline import produce as pipeline
from doit_provenance.tasks.pipeline.produce import Placed, built_at, produce, repair

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.attest.slsa import Provenance

NAMES = file_names("tea")
BUNDLES = {NAMES.provenance_bundle, NAMES.spdx_bundle, NAMES.cyclonedx_bundle}
SBOMS = {NAMES.inventory, NAMES.spdx, NAMES.cyclonedx}


class Make(Protocol):
    """What the fixtures `make`, `mend` and `go` return."""

    def __call__(self, **changes: object) -> Placed:
        """Make the artifact `tea`, with these changes to `Signing`."""


@pytest.fixture
def make(builder: Any, context: Any, signing: Any) -> Make:
    """Return the whole way of the artifact `tea`: build, then produce."""

    def run(**changes: Any) -> Placed:
        (artifact,) = builder.discover()
        built = builder.build(artifact.group, [artifact])[artifact]
        return produce(artifact, built, builder=builder, context=context, signing=replace(signing, **changes))

    return run


@pytest.fixture
def mend(builder: Any, context: Any, signing: Any) -> Make:
    """Return the way of the artifact `tea` without a build."""

    def run(**changes: Any) -> Placed:
        (artifact,) = builder.discover()
        return repair(artifact, context=context, signing=replace(signing, **changes))

    return run


@pytest.fixture(params=["make", "mend"])
def go(request: pytest.FixtureRequest) -> Make:
    """Return either way."""
    found: Make = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def place(workspace: Any) -> Path:
    """Return where `tea` lies."""
    found: Path = workspace.root / "dist" / "kettle" / "tea" / "linux-amd64"
    return found


@pytest.fixture
def other_key(tmp_path: Path) -> LocalKey:
    """Return a key that the check does not trust."""
    nobody = PassphraseSource(environ={}, prompt=None)
    return load_or_create(tmp_path / "other" / "key.pem", nobody, workspace=None, environ={})


def _trusting(*keys: LocalKey) -> Trust:
    return Trust(keys=tuple(TrustedKey.from_pem(key.public_pem, origin="a test's") for key in keys))


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def _changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _payload(bundle: bytes) -> bytes:
    return Bundle.from_json(bundle).envelope.payload


def _left_over(workspace: Any) -> list[str]:
    return [p.name for p in workspace.output.rglob(".staging*")]


def _build(place: Path, signing: Any) -> Provenance:
    return verify_folder(place, trust=signing.trust).build


def test_first_build(make: Make, workspace: Any, signing: Any, place: Path) -> None:
    placed = make()
    assert set(placed.made) == set(NAMES.evidence)
    assert set(_files(place)) == {NAMES.artifact, *NAMES.evidence, NAMES.record}
    assert placed.files == {name: digest_bytes(data).sha256 for name, data in _files(place).items()}
    assert placed.record.digest == digest_bytes(b"tea")
    found = verify_folder(place, trust=signing.trust)
    assert (found.record, found.digest) == (placed.record, placed.record.digest)
    assert found.record.artifact == "kettle:tea@linux/amd64"
    assert (place / "tea").stat().st_mode & 0o100
    assert _left_over(workspace) == []
    assert (workspace.output / ".gitignore").read_text() == "*\n"


def test_record_is_sealed_by_whoever_signs(make: Make, signing: Any, place: Path) -> None:
    make()
    assert trusted_record_signer(read_record(place), signing.trust).hint == signing.key.hint


def test_provenance_says_how_and_of_what(make: Make, signing: Any, place: Path) -> None:
    placed = make()
    build = _build(place, signing)
    assert build == placed.provenance
    assert build.build_definition.external_parameters == {"name": "tea"}
    materials = {m.name or m.uri: m for m in build.build_definition.resolved_dependencies}
    assert set(materials) == {"inputs", "pkg:cargo/leaf@1.0.0"}, "no git, so no source commit is claimed"
    assert materials["inputs"].annotations == {"files": 1}
    assert build.run_details.builder_id == signing.builder
    assert build.run_details.invocation_id.startswith("urn:uuid:")


def test_provenance_in_a_folder_is_read_for_its_bytes_alone(make: Make, signing: Any, place: Path) -> None:
    made = make()
    found = signed_provenance(place, made.record.digest, signing.trust)
    assert found == made.provenance
    assert built_at(found) == "2024-05-17T12:00:00Z"
    assert built_at(replace(found, run_details=replace(found.run_details, finished=None))) == ""
    with pytest.raises(VerificationError, match="is about"):
        signed_provenance(place, digest_bytes(b"mug"), signing.trust)


def test_same_again_changes_nothing(make: Make, place: Path) -> None:
    make()
    before = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in place.iterdir()}
    assert make(invocation="urn:uuid:another").made == ()
    assert {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in place.iterdir()} == before


def test_other_bytes_are_built_anew(make: Make, kettle: Any, place: Path) -> None:
    make()
    before = _files(place)
    kettle.content["tea"] = b"green tea"
    assert set(make().made) == set(NAMES.evidence)
    assert _changed(before, _files(place)) == set(before)


def test_equal_bytes_of_other_inputs_keep_all_evidence(make: Make, kettle: Any, place: Path) -> None:
    """It is still true how these bytes came to be; only the record takes the new inputs."""
    make()
    before = _files(place)
    kettle.inputs["src/comment.tea"] = "c" * 64
    assert make().made == ()
    after = _files(place)
    assert _changed(before, after) == {NAMES.record}
    records = [Record.from_json(files[NAMES.record]) for files in (before, after)]
    assert records[0].inputs != records[1].inputs


def test_other_inventory_of_equal_bytes_keeps_the_provenance(make: Make, kettle: Any, place: Path) -> None:
    make()
    before = _files(place)
    kettle.libraries.append("stem")
    assert set(make().made) == set(NAMES.evidence) - {NAMES.provenance_bundle}
    assert set(before) - _changed(before, _files(place)) == {NAMES.artifact, NAMES.provenance_bundle}


@pytest.mark.parametrize("name", sorted(SBOMS))
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_lost_documents_are_made_again(make: Make, signing: Any, place: Path, name: str, damage: str) -> None:
    make()
    files = _files(place)
    _damage(place / name, damage)
    assert make().made == (name,)
    assert _files(place) == files, "every bundle, and the seal, is the one that was there"
    verify_folder(place, trust=signing.trust)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_lost_record_is_sealed_again(make: Make, signing: Any, place: Path, damage: str) -> None:
    before = make().record
    files = _files(place)
    _damage(place / NAMES.record, damage)
    placed = make()
    assert placed.made == ()
    assert placed.record.payload() == before.payload()
    assert _changed(files, _files(place)) == {NAMES.record}
    trusted_record_signer(read_record(place), signing.trust)


def test_record_without_a_seal_is_sealed(make: Make, signing: Any, place: Path) -> None:
    """As versions before seals have left it."""
    placed = make()
    (place / NAMES.record).write_bytes(replace(placed.record, seal=None).to_json())
    make()
    trusted_record_signer(read_record(place), signing.trust)


@pytest.mark.parametrize("name", [NAMES.spdx_bundle, NAMES.cyclonedx_bundle])
@pytest.mark.parametrize("damage", ["changed", "gone", "of another kind"])
def test_lost_bundles_of_sboms_are_made_again(
    make: Make, go: Make, signing: Any, place: Path, name: str, damage: str
) -> None:
    make()
    before = _files(place)
    _damage(place / name, damage)
    assert go().made == (name,)
    after = _files(place)
    assert _changed(before, after) == {name, NAMES.record}
    assert _payload(after[name]) == _payload(before[name])
    verify_folder(place, trust=signing.trust)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_lost_provenance_is_that_of_this_build(make: Make, signing: Any, place: Path, damage: str) -> None:
    make()
    _damage(place / NAMES.provenance_bundle, damage)
    assert make(invocation="urn:uuid:second").made == (NAMES.provenance_bundle,)
    assert _build(place, signing).run_details.invocation_id == "urn:uuid:second"


def _damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "changed":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes((path.parent / NAMES.provenance_bundle).read_bytes())


def test_changed_artifact_is_put_right(make: Make, place: Path) -> None:
    make()
    files = _files(place)
    (place / "tea").write_bytes(b"poison")
    assert make().made == ()
    assert _files(place) == files


def test_strange_file_in_the_folder_is_removed(make: Make, go: Make, place: Path) -> None:
    make()
    files = _files(place)
    (place / "stranger").mkdir()
    assert go().made == ()
    assert _files(place) == files


def test_evidence_of_another_signer_is_not_kept(make: Make, signing: Any, place: Path, other_key: LocalKey) -> None:
    """The old key is trusted no more, so what it signed counts for nothing."""
    make()
    trust = _trusting(other_key)
    assert set(make(key=other_key, trust=trust).made) == BUNDLES
    verify_folder(place, trust=trust)
    with pytest.raises(VerificationError, match="not trusted"):
        verify_folder(place, trust=signing.trust)


def test_provenance_of_equal_bytes_under_another_name_is_not_kept(
    make: Make, builder: Any, context: Any, signing: Any, kettle: Any, place: Path
) -> None:
    """It is signed and true, and it is another artifact's."""
    kettle.names, kettle.content = ["tea", "mug"], {"mug": b"tea"}
    tea, mug = builder.discover()
    built = builder.build("mug", [mug])[mug]
    other = produce(mug, built, builder=builder, context=context, signing=signing)
    kettle.names = [tea.name]
    assert make().record.digest == other.record.digest
    strange = (context.workspace.output / mug.folder / file_names("mug").provenance_bundle).read_bytes()
    (place / NAMES.provenance_bundle).write_bytes(strange)
    assert make().made == (NAMES.provenance_bundle,)
    assert (place / NAMES.provenance_bundle).read_bytes() != strange


def test_repair_makes_documents_of_the_stored_inventory(make: Make, mend: Make, kettle: Any, place: Path) -> None:
    make()
    before = _files(place)
    kettle.libraries.append("stem")
    (place / NAMES.spdx).unlink()
    (place / NAMES.cyclonedx).write_bytes(b"{}")
    assert set(mend().made) == {NAMES.spdx, NAMES.cyclonedx}
    assert _files(place) == before


def test_repair_of_what_holds_changes_nothing(make: Make, mend: Make, place: Path) -> None:
    make()
    before = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in place.iterdir()}
    assert mend(invocation="urn:uuid:another").made == ()
    assert {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in place.iterdir()} == before


@pytest.mark.parametrize("damage", ["changed", "gone", "of another kind"])
def test_repair_never_invents_provenance(make: Make, mend: Make, place: Path, damage: str) -> None:
    make()
    if damage == "of another kind":
        (place / NAMES.provenance_bundle).write_bytes((place / NAMES.spdx_bundle).read_bytes())
    else:
        _damage(place / NAMES.provenance_bundle, damage)
    before = _files(place)
    with pytest.raises(VerificationError, match=r"the provenance of `kettle:tea@linux/amd64` does not hold"):
        mend()
    assert _files(place) == before


def test_repair_refuses_bytes_that_were_changed_meanwhile(make: Make, mend: Make, place: Path) -> None:
    make()
    (place / "tea").write_bytes(b"poison")
    before = _files(place)
    with pytest.raises(VerificationError, match="was changed while its evidence was made again"):
        mend()
    assert _files(place) == before


def test_repair_refuses_an_inventory_that_is_not_the_recorded_one(make: Make, mend: Make, place: Path) -> None:
    make()
    _damage(place / NAMES.inventory, "changed")
    before = _files(place)
    with pytest.raises(VerificationError, match="not those of the record"):
        mend()
    assert _files(place) == before


@pytest.mark.parametrize("records", [0, 2])
def test_repair_needs_the_one_record(make: Make, mend: Make, place: Path, records: int) -> None:
    make()
    if records:
        (place / "mug.record.json").write_bytes((place / NAMES.record).read_bytes())
    else:
        (place / NAMES.record).unlink()
    with pytest.raises(UnreadableError, match="holds no record"):
        mend()


def test_newer_generator_keeps_what_says_the_same(
    make: Make, mend: Make, signing: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes and provenance stay; the documents name who made them, so they are made and signed again."""
    make()
    before = _files(place)
    monkeypatch.setattr(pipeline, "VERSION", "99.0.0")
    placed = mend()
    assert set(placed.made) == set(NAMES.evidence) - {NAMES.provenance_bundle}
    assert placed.inventory.generator == ("doit-provenance", "99.0.0")
    assert placed.record.generator == "99.0.0"
    assert set(before) - _changed(before, _files(place)) == {NAMES.artifact, NAMES.provenance_bundle}
    verify_folder(place, trust=signing.trust)


def test_rotated_key_countersigns_what_the_trusted_old_one_signed(
    make: Make, go: Make, signing: Any, place: Path, other_key: LocalKey
) -> None:
    """The statements stay, byte by byte, and with them how the bytes were built."""
    make(invocation="urn:uuid:first")
    before = _files(place)
    both = _trusting(other_key, signing.key)
    placed = go(key=other_key, trust=both, invocation="urn:uuid:second")
    assert set(placed.made) == BUNDLES
    after = _files(place)
    assert _changed(before, after) == BUNDLES | {NAMES.record}
    assert {n: _payload(after[n]) for n in BUNDLES} == {n: _payload(before[n]) for n in BUNDLES}
    found = verify_folder(place, trust=_trusting(other_key))
    assert found.build.run_details.invocation_id == "urn:uuid:first"
    assert trusted_record_signer(found.record, _trusting(other_key)).hint == other_key.hint


@pytest.mark.parametrize("modes", [(BuilderId.CI, BuilderId.LOCAL), (BuilderId.LOCAL, BuilderId.CI)])
def test_no_key_signs_that_another_mode_has_built(
    make: Make, go: Make, signing: Any, place: Path, other_key: LocalKey, modes: tuple[BuilderId, BuilderId]
) -> None:
    """CI's own signature over its provenance stays, though the key in use here is another one that is trusted."""
    made_in, mended_in = modes
    make(builder=made_in)
    before = _files(place)
    (place / NAMES.spdx_bundle).unlink()
    placed = go(key=other_key, trust=_trusting(other_key, signing.key), builder=mended_in)
    assert placed.made == (NAMES.spdx_bundle,), "what nobody has lost is CI's still"
    assert _changed(before, _files(place)) == {NAMES.spdx_bundle, NAMES.record}
    assert placed.provenance.run_details.builder_id == made_in


def test_failing_description_leaves_the_old_folder(make: Make, kettle: Any, workspace: Any, place: Path) -> None:
    make()
    before = _files(place)
    kettle.content["tea"] = b"green tea"
    kettle.describing = ToolError("the leaves can't be read")
    with pytest.raises(ToolError, match="leaves"):
        make()
    assert _files(place) == before
    assert _left_over(workspace) == []


def test_first_failure_leaves_no_folder(make: Make, kettle: Any, workspace: Any, place: Path) -> None:
    kettle.describing = ToolError("the leaves can't be read")
    with pytest.raises(ToolError):
        make()
    assert not place.exists()
    assert _left_over(workspace) == []


def test_what_would_not_verify_is_not_committed(
    make: Make, go: Make, kettle: Any, workspace: Any, place: Path, other_key: LocalKey
) -> None:
    """Signed with a key that the check does not trust: the old folder stays."""
    make()
    (place / NAMES.spdx).write_bytes(b"{}")
    (place / NAMES.spdx_bundle).write_bytes(b"{}")
    before = _files(place)
    kettle.content["tea"] = b"green tea"
    with pytest.raises(VerificationError, match="not trusted"):
        go(key=other_key)
    assert _files(place) == before
    assert _left_over(workspace) == []


def test_full_disk_leaves_the_old_folder(
    make: Make, kettle: Any, workspace: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make()
    before = _files(place)
    kettle.content["tea"] = b"green tea"
    written: list[str] = []
    write = store.write

    def fill(path: Path, data: bytes) -> None:
        if len(written) == 3:
            raise StoreError(f"can't write `{path}`: No space left on device")
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(store, "write", fill)
    with pytest.raises(StoreError, match="No space left"):
        make()
    assert _files(place) == before
    assert _left_over(workspace) == []


def test_record_is_written_last(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = store.write

    def note(path: Path, data: bytes) -> None:
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(store, "write", note)
    make()
    assert sorted(written[:-1]) == sorted(NAMES.evidence)
    assert written[-1] == NAMES.record


def test_source_commit_is_a_material(
    make: Make, workspace: Any, signing: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = replace(
        workspace.source, url="https://tea.example/pots", commit="c" * 40, ref="refs/heads/main", dirty=True
    )
    monkeypatch.setitem(workspace.__dict__, "source", source)
    make()
    first, *_ = _build(place, signing).build_definition.resolved_dependencies
    assert first.uri == "git+https://tea.example/pots@refs/heads/main"
    assert (first.digest, first.annotations) == ({"gitCommit": "c" * 40}, {"dirty": True})


def test_nothing_tells_the_machines_paths(make: Make, workspace: Any, place: Path) -> None:
    make()
    for name, data in _files(place).items():
        assert str(workspace.root) not in data.decode(errors="replace"), name
        if name.endswith(".json"):
            json.loads(data)
