"""One artifact's way: what is made, what is kept, and what is left alone when something fails."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance import store
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import StoreError, ToolError, VerificationError
from doit_provenance.provenance.record import Record, file_names
from doit_provenance.provenance.sign.key import load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.flow import Action, Outcome, produce

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.provenance.attest.slsa import Provenance

NAMES = file_names("tea")


@pytest.fixture
def make(builder: Any, workspace: Any, signing: Any) -> Callable[..., Outcome]:
    """Return the whole way of the artifact `tea`: build, then produce."""

    def run(**changes: Any) -> Outcome:
        (artifact,) = builder.discover()
        built = builder.build(artifact.group, [artifact])[artifact]
        return produce(artifact, built, builder=builder, workspace=workspace, signing=replace(signing, **changes))

    return run


def _files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def _left_over(workspace: Any) -> list[str]:
    return [p.name for p in workspace.output.rglob(".staging*")]


def test_first_build(make: Callable[..., Outcome], workspace: Any, signing: Any) -> None:
    outcome = make()
    assert outcome.action is Action.BUILT
    assert outcome.folder == workspace.root / "dist" / "kettle" / "tea" / "linux-amd64"
    assert set(_files(outcome.folder)) == {NAMES.artifact, *NAMES.evidence, NAMES.record}
    assert outcome.digest == digest_bytes(b"tea")
    found = verify_folder(outcome.folder, trust=signing.trust)
    assert (found.record.artifact, found.digest) == ("kettle:tea@linux/amd64", outcome.digest)
    assert (outcome.folder / "tea").stat().st_mode & 0o100
    assert _left_over(workspace) == []
    assert (workspace.output / ".gitignore").read_text() == "*\n"


def _build(outcome: Outcome, signing: Any) -> Provenance:
    return verify_folder(outcome.folder, trust=signing.trust).build


def test_provenance_says_how_and_of_what(make: Callable[..., Outcome], signing: Any) -> None:
    build = _build(make(), signing)
    assert build.build_definition.external_parameters == {"name": "tea"}
    materials = {m.name or m.uri: m for m in build.build_definition.resolved_dependencies}
    assert set(materials) == {"inputs", "pkg:cargo/leaf@1.0.0"}, "no git, so no source commit is claimed"
    assert materials["inputs"].annotations == {"files": 1}
    assert build.run_details.builder_id == signing.builder
    assert build.run_details.invocation_id.startswith("urn:uuid:")


def test_same_again_changes_nothing(make: Callable[..., Outcome]) -> None:
    first = make()
    before = {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in first.folder.iterdir()}
    second = make(invocation="urn:uuid:another")
    assert second.action is Action.UNCHANGED
    assert {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in second.folder.iterdir()} == before


def test_other_bytes_are_built_anew(make: Callable[..., Outcome], kettle: Any) -> None:
    before = _files(make().folder)
    kettle.content["tea"] = b"green tea"
    outcome = make()
    assert outcome.action is Action.BUILT
    after = _files(outcome.folder)
    assert [name for name in before if before[name] == after[name]] == []


def test_equal_bytes_of_other_inputs_keep_all_evidence(make: Callable[..., Outcome], kettle: Any) -> None:
    """It is still true how these bytes came to be; only the record takes the new inputs."""
    before = _files(make().folder)
    kettle.inputs["src/comment.tea"] = "c" * 64
    outcome = make()
    assert outcome.action is Action.DESCRIBED
    after = _files(outcome.folder)
    assert [name for name in before if before[name] != after[name]] == [NAMES.record]
    records = [Record.from_json(files[NAMES.record]) for files in (before, after)]
    assert records[0].inputs != records[1].inputs


def test_other_inventory_of_equal_bytes_keeps_the_provenance(make: Callable[..., Outcome], kettle: Any) -> None:
    before = _files(make().folder)
    kettle.libraries.append("stem")
    outcome = make()
    assert outcome.action is Action.DESCRIBED
    after = _files(outcome.folder)
    same = {name for name in before if before[name] == after[name]}
    assert same == {NAMES.artifact, NAMES.provenance_bundle}


@pytest.mark.parametrize("name", [NAMES.inventory, NAMES.spdx, NAMES.cyclonedx, NAMES.record])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_lost_documents_are_made_again(make: Callable[..., Outcome], signing: Any, name: str, damage: str) -> None:
    before = make()
    files = _files(before.folder)
    _damage(before.folder / name, damage)
    outcome = make()
    assert outcome.action is Action.DESCRIBED
    assert _files(outcome.folder) == files, "every bundle is the one that was there"
    verify_folder(outcome.folder, trust=signing.trust)


@pytest.mark.parametrize("name", [NAMES.spdx_bundle, NAMES.cyclonedx_bundle])
@pytest.mark.parametrize("damage", ["changed", "gone", "of another kind"])
def test_lost_bundles_of_sboms_are_made_again(
    make: Callable[..., Outcome], signing: Any, name: str, damage: str
) -> None:
    first = make()
    provenance = (first.folder / NAMES.provenance_bundle).read_bytes()
    _damage(first.folder / name, damage)
    outcome = make()
    assert outcome.action is Action.DESCRIBED
    assert (outcome.folder / NAMES.provenance_bundle).read_bytes() == provenance
    verify_folder(outcome.folder, trust=signing.trust)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_lost_provenance_is_that_of_this_build(make: Callable[..., Outcome], signing: Any, damage: str) -> None:
    first = make()
    _damage(first.folder / NAMES.provenance_bundle, damage)
    outcome = make(invocation="urn:uuid:second")
    assert outcome.action is Action.BUILT
    assert _build(outcome, signing).run_details.invocation_id == "urn:uuid:second"


def _damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "changed":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes((path.parent / NAMES.provenance_bundle).read_bytes())


def test_changed_artifact_is_put_right(make: Callable[..., Outcome]) -> None:
    outcome = make()
    files = _files(outcome.folder)
    (outcome.folder / "tea").write_bytes(b"poison")
    assert make().action is Action.DESCRIBED
    assert _files(outcome.folder) == files


def test_strange_file_in_the_folder_is_removed(make: Callable[..., Outcome]) -> None:
    outcome = make()
    files = _files(outcome.folder)
    (outcome.folder / "stranger").touch()
    assert make().action is Action.DESCRIBED
    assert _files(outcome.folder) == files


def test_evidence_of_another_signer_is_not_kept(make: Callable[..., Outcome], signing: Any, tmp_path: Path) -> None:
    """The old key is trusted no more, so what it signed counts for nothing."""
    first = make()
    nobody = PassphraseSource(environ={}, prompt=None)
    other = load_or_create(tmp_path / "other" / "key.pem", nobody, workspace=None, environ={})
    trust = Trust(keys=(TrustedKey.from_pem(other.public_pem, origin="another"),))
    outcome = make(key=other, trust=trust)
    assert outcome.action is Action.BUILT
    verify_folder(outcome.folder, trust=trust)
    with pytest.raises(VerificationError, match="not trusted"):
        verify_folder(first.folder, trust=signing.trust)


def test_provenance_of_equal_bytes_under_another_name_is_not_kept(
    make: Callable[..., Outcome], builder: Any, workspace: Any, signing: Any, kettle: Any
) -> None:
    """It is signed and true, and it is another artifact's."""
    kettle.names, kettle.content = ["tea", "mug"], {"mug": b"tea"}
    tea, mug = builder.discover()
    built = builder.build("mug", [mug])[mug]
    other = produce(mug, built, builder=builder, workspace=workspace, signing=signing)
    kettle.names = [tea.name]
    first = make()
    assert first.digest == other.digest
    strange = (other.folder / file_names("mug").provenance_bundle).read_bytes()
    (first.folder / NAMES.provenance_bundle).write_bytes(strange)
    outcome = make()
    assert outcome.action is Action.BUILT
    assert (outcome.folder / NAMES.provenance_bundle).read_bytes() != strange


def test_failing_description_leaves_the_old_folder(make: Callable[..., Outcome], kettle: Any, workspace: Any) -> None:
    before = _files(make().folder)
    kettle.content["tea"] = b"green tea"
    kettle.describing = ToolError("the leaves can't be read")
    with pytest.raises(ToolError, match="leaves"):
        make()
    assert _files(workspace.output / "kettle" / "tea" / "linux-amd64") == before
    assert _left_over(workspace) == []


def test_first_failure_leaves_no_folder(make: Callable[..., Outcome], kettle: Any, workspace: Any) -> None:
    kettle.describing = ToolError("the leaves can't be read")
    with pytest.raises(ToolError):
        make()
    assert not (workspace.output / "kettle" / "tea" / "linux-amd64").exists()
    assert _left_over(workspace) == []


def test_what_would_not_verify_is_not_committed(
    make: Callable[..., Outcome], kettle: Any, signing: Any, tmp_path: Path, workspace: Any
) -> None:
    """Signed with a key that the check does not trust: the old folder stays."""
    before = _files(make().folder)
    kettle.content["tea"] = b"green tea"
    nobody = PassphraseSource(environ={}, prompt=None)
    other = load_or_create(tmp_path / "other" / "key.pem", nobody, workspace=None, environ={})
    assert other.hint != signing.key.hint
    with pytest.raises(VerificationError, match="not trusted"):
        make(key=other)
    assert _files(workspace.output / "kettle" / "tea" / "linux-amd64") == before
    assert _left_over(workspace) == []


def test_full_disk_leaves_the_old_folder(
    make: Callable[..., Outcome], kettle: Any, workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(make().folder)
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
    assert _files(workspace.output / "kettle" / "tea" / "linux-amd64") == before
    assert _left_over(workspace) == []


def test_record_is_written_last(make: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
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
    make: Callable[..., Outcome], workspace: Any, signing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = replace(
        workspace.source, url="https://tea.example/pots", commit="c" * 40, ref="refs/heads/main", dirty=True
    )
    monkeypatch.setitem(workspace.__dict__, "source", source)
    first, *_ = _build(make(), signing).build_definition.resolved_dependencies
    assert first.uri == "git+https://tea.example/pots@refs/heads/main"
    assert (first.digest, first.annotations) == ({"gitCommit": "c" * 40}, {"dirty": True})


def test_nothing_tells_the_machines_paths(make: Callable[..., Outcome], workspace: Any) -> None:
    for name, data in _files(make().folder).items():
        assert str(workspace.root) not in data.decode(errors="replace"), name
        if name.endswith(".json"):
            json.loads(data)
