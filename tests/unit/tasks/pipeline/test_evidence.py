"""The evidence of one artifact: what of the old is kept, what is signed again, and what is made anew."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.attest.slsa import BuilderId, Provenance, parse_provenance
from doit_provenance.provenance.attest.statement import PROVENANCE, make_statement, parse_statement
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import VerificationError
from doit_provenance.provenance.record import file_names
from doit_provenance.provenance.sign.key import LocalKey, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.evidence import Measured
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.pipeline.evidence import Draft, evidence_of, provenance_of
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.tasks.pipeline.signer import Signing

NAMES = file_names("tea")
DOCUMENTS = {NAMES.inventory, NAMES.spdx, NAMES.cyclonedx}
BUNDLES = {NAMES.provenance_bundle, NAMES.spdx_bundle, NAMES.cyclonedx_bundle}


def _measured(data: bytes) -> Measured:
    return Measured.of_file("tea", digest_bytes(data))


@pytest.fixture
def draft(builder: Any, context: Any, signing: Any, tmp_path: Path) -> Draft:
    """Return what is known of `tea` after a build."""
    (artifact,) = builder.discover()
    built = builder.build(artifact.group, [artifact])[artifact]
    inventory, packages = builder.describe(artifact, built.path, digest_bytes(b"tea"))
    assert tmp_path.is_dir()
    return Draft(
        artifact=artifact.id,
        names=NAMES,
        measured=_measured(b"tea"),
        inputs="0" * 64,
        inventory=inventory,
        provenance=lambda: provenance_of(context.workspace, built, packages, signing),
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def other(signing: Signing, tmp_path: Path) -> Signing:
    """Return another key, which trusts the first too."""
    nobody = PassphraseSource(environ={}, prompt=None)
    key: LocalKey = load_or_create(tmp_path / "other" / "key.pem", nobody, workspace=None, environ={})
    own = TrustedKey.from_pem(key.public_pem, origin="the other's")
    return replace(signing, key=key, trust=Trust(keys=(own, *signing.trust.keys)))


def _write(place: Path, evidence: dict[str, bytes]) -> dict[str, bytes]:
    for name, data in evidence.items():
        (place / name).write_bytes(data)
    return evidence


def _payload(bundle: bytes) -> bytes:
    return Bundle.from_json(bundle).envelope.payload


def _predicate(bundle: bytes) -> Provenance:
    return parse_provenance(parse_statement(_payload(bundle)).predicate)


def test_all_of_it_is_made_where_there_is_none(draft: Draft, place: Path, signing: Signing) -> None:
    found = evidence_of(draft, place, signing)
    assert set(found) == DOCUMENTS | BUNDLES == set(NAMES.evidence)
    for name in BUNDLES:
        statement = parse_statement(_payload(found[name]))
        assert statement.name == "tea"
        assert statement.digest["sha256"] == draft.digest.sha256
    for document, bundle in ((NAMES.spdx, NAMES.spdx_bundle), (NAMES.cyclonedx, NAMES.cyclonedx_bundle)):
        assert parse_statement(_payload(found[bundle])).predicate_bytes == found[document]
    assert list(place.iterdir()) == [], "it returns bytes and writes none"


def test_folder_that_is_not_there_holds_nothing_to_keep(draft: Draft, place: Path, signing: Signing) -> None:
    assert set(evidence_of(draft, place / "none", signing)) == set(NAMES.evidence)


def test_what_holds_is_kept_byte_by_byte(draft: Draft, place: Path, signing: Signing) -> None:
    before = _write(place, evidence_of(draft, place, signing))
    assert evidence_of(draft, place, replace(signing, invocation="urn:uuid:later")) == before


def test_claim_of_no_build_gives_way_to_a_build(builder: Any, context: Any, draft: Draft, place: Path) -> None:
    """What was taken over from elsewhere, and is built here later, is stated to be built; never the other way round."""
    signing = context.signer.signing()
    (artifact,) = builder.discover()
    built = builder.build(artifact.group, [artifact])[artifact]
    taken = replace(built, started=None, finished=None)
    claims = replace(draft, provenance=lambda: provenance_of(context.workspace, built, (), signing))
    claims_none = replace(draft, provenance=lambda: provenance_of(context.workspace, taken, (), signing))
    first = _write(place, evidence_of(claims_none, place, signing))
    assert _predicate(first[NAMES.provenance_bundle]).run_details.finished is None
    assert evidence_of(claims_none, place, signing) == first
    second = _write(place, evidence_of(claims, place, signing))
    assert _predicate(second[NAMES.provenance_bundle]).run_details.finished == built.finished
    assert evidence_of(claims_none, place, signing) == second


def test_bundle_of_other_bytes_is_not_kept(draft: Draft, place: Path, signing: Signing) -> None:
    before = _write(place, evidence_of(draft, place, signing))
    digest = digest_bytes(b"green tea")
    inventory = replace(draft.inventory, digest=digest)
    after = evidence_of(replace(draft, measured=_measured(b"green tea"), inventory=inventory), place, signing)
    assert [name for name in before if before[name] == after[name]] == []


def test_repair_tells_no_provenance(draft: Draft, place: Path, signing: Signing) -> None:
    _write(place, evidence_of(draft, place, signing))
    (place / NAMES.provenance_bundle).unlink()
    with pytest.raises(VerificationError, match="does not hold any more"):
        evidence_of(replace(draft, provenance=None), place, signing)


def test_provenance_that_says_nothing_is_not_kept(draft: Draft, place: Path, signing: Signing) -> None:
    """Signed by our own key, of these very bytes, and no SLSA provenance."""
    statement = make_statement(name="tea", digest=draft.digest, predicate_type=PROVENANCE, predicate=b"{}")
    _write(place, {NAMES.provenance_bundle: signing.key.sign_statement(statement)})
    found = evidence_of(draft, place, signing)
    assert _predicate(found[NAMES.provenance_bundle]).build_definition.external_parameters == {"name": "tea"}
    with pytest.raises(VerificationError, match="does not hold any more"):
        evidence_of(replace(draft, provenance=None), place, signing)


def test_another_trusted_key_is_countersigned(draft: Draft, place: Path, signing: Signing, other: Signing) -> None:
    before = _write(place, evidence_of(draft, place, signing))
    after = evidence_of(replace(draft, provenance=None), place, other)
    assert {n for n in before if before[n] != after[n]} == BUNDLES
    assert all(_payload(before[n]) == _payload(after[n]) for n in BUNDLES)
    assert all(other.key.hint in after[n].decode() for n in BUNDLES)


@pytest.mark.parametrize(
    ("then", "now"), [(BuilderId.CI, BuilderId.LOCAL), (BuilderId.LOCAL, BuilderId.CI), (BuilderId.CI, BuilderId.CI)]
)
def test_only_the_same_mode_is_countersigned(  # noqa: PLR0913, PLR0917 - two signers, two modes
    draft: Draft, place: Path, signing: Signing, other: Signing, then: BuilderId, now: BuilderId, builder: Any,
    context: Any,
) -> None:  # fmt: skip # a parameter each
    (artifact,) = builder.discover()
    built = builder.build(artifact.group, [artifact])[artifact]
    ci = replace(signing, builder=then)
    told = replace(draft, provenance=lambda: provenance_of(context.workspace, built, [], ci))
    before = _write(place, evidence_of(told, place, ci))
    after = evidence_of(replace(draft, provenance=None), place, replace(other, builder=now))
    assert (before == after) == (then is not now)
    assert _predicate(after[NAMES.provenance_bundle]).run_details.builder_id == then


def test_key_that_is_not_trusted_counts_for_nothing(
    draft: Draft, place: Path, signing: Signing, other: Signing
) -> None:
    _write(place, evidence_of(draft, place, signing))
    alone = replace(other, trust=Trust(keys=other.trust.keys[:1]))
    with pytest.raises(VerificationError, match="does not hold any more"):
        evidence_of(replace(draft, provenance=None), place, alone)
    found = evidence_of(draft, place, alone)
    assert all(other.key.hint in found[n].decode() for n in BUNDLES)


def _git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(("git", *identity, *arguments), cwd=root, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("files", "dirty"),
    [
        (["leaf"], False),
        (["leaf", "new"], True),
        (["leaf", "../beside"], False),
        (["link"], False),
    ],
)
def test_source_is_dirty_where_a_file_of_it_is_in_no_commit(
    root: Path, builder: Any, signing: Signing, files: list[str], *, dirty: bool
) -> None:
    """Files beside the repository are no part of it."""
    (root / "leaf").write_text("green")
    (root / "link").symlink_to("leaf")
    _git(root, "init", "-q")
    _git(root, "add", "leaf", "link")
    _git(root, "commit", "-q", "-m", "tea")
    (root / ".git" / "info" / "exclude").write_text("new\n")
    (root / "new").write_text("ignored, and read by a build all the same")
    from doit_provenance.provenance.config import load

    context = Context(workspace=Workspace(root=root, config=load(root)))
    (artifact,) = builder.discover()
    built = replace(builder.build(artifact.group, [artifact])[artifact], files=dict.fromkeys(files, "a" * 64))
    found = parse_provenance_of(provenance_of(context.workspace, built, [], signing))
    source, inputs = found.build_definition.resolved_dependencies
    assert source.annotations == {"dirty": dirty}
    assert len(source.digest["gitCommit"]) == 40
    assert inputs.annotations == {"files": len(files)}


def parse_provenance_of(predicate: bytes) -> Provenance:
    """Read a predicate as whoever verifies it does."""
    statement = make_statement(name="tea", digest=digest_bytes(b"tea"), predicate_type=PROVENANCE, predicate=predicate)
    return parse_provenance(parse_statement(statement).predicate)
