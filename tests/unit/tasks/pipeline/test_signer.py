"""The keys of a run: named by their public files, read only to sign, made at first use."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.config import load
from doit_provenance.provenance.errors import KeyFileError, ProvenanceError, UnreadableError
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.pipeline.signer import Signer
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.provenance.sign.key import LocalKey


@pytest.fixture
def keys(tmp_path: Path, key: LocalKey, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's key."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for path in (key.path, key.public_path):
        shutil.copy2(path, folder)
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(folder / "key.pem"))
    return folder


@pytest.fixture
def sign(root: Path) -> Callable[[], Signer]:
    """Return what makes the signer of a new run."""

    def run() -> Signer:
        settings = load(root)
        return Signer(root, settings, Context(workspace=Workspace(root=root, config=settings)).progress)

    return run


def _team(root: Path, *names: str) -> None:
    listed = ", ".join(f'"{name}"' for name in names)
    (root / "provenance.toml").write_text(f"[signing]\npublic-keys = [{listed}]\n")


def test_own_key_is_named_by_its_public_file_alone(sign: Any, keys: Path, key: LocalKey) -> None:
    (keys / "key.pem").write_text("not to be read")
    signer = sign()
    assert signer.own.hint == key.hint
    assert [k.hint for k in signer.trust.keys] == [key.hint]
    found = signer.expected("kettle:tea@any")
    assert (found.artifact, found.trust, found.signer, found.builder) == (
        "kettle:tea@any",
        signer.trust,
        key.hint,
        BuilderId.LOCAL,
    )


def test_own_key_without_a_public_file_is_read(sign: Any, keys: Path, key: LocalKey) -> None:
    """As of a secret that is mounted where nothing may be written."""
    (keys / "key.pub").unlink()
    assert sign().own.hint == key.hint


def test_no_key_is_none_and_asking_makes_none(sign: Any, keys: Path) -> None:
    for path in keys.iterdir():
        path.unlink()
    signer = sign()
    assert signer.own is None
    assert signer.trust is None
    assert signer.expected("a").trust is None
    assert signer.identity
    assert list(keys.iterdir()) == []
    made = signer.signing()
    assert signer.trust == made.trust, "what this run signs, it trusts from then on"


def test_without_an_own_key_the_teams_are_trusted(sign: Any, keys: Path, root: Path, key: LocalKey) -> None:
    (keys / "key.pub").rename(root / "team.pub")
    (keys / "key.pem").unlink()
    _team(root, "team.pub")
    found = sign().expected("a")
    assert found.signer is None
    assert [k.hint for k in found.trust.keys] == [key.hint]


def test_key_that_signs_is_trusted_first(sign: Any, keys: Path, root: Path, key: LocalKey) -> None:
    (keys / "key.pub").rename(root / "team.pub")
    (keys / "key.pem").unlink()
    _team(root, "team.pub")
    signing = sign().signing()
    assert signing.key.hint != key.hint
    assert [k.hint for k in signing.trust.keys] == [signing.key.hint, key.hint]
    assert signing.builder is BuilderId.LOCAL
    again = sign()
    assert again.signing() is again.signing()
    assert again.signing().key.hint == signing.key.hint
    assert again.signing().invocation != signing.invocation, "of each run its own"


def test_new_key_is_told_of(sign: Any, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in keys.iterdir():
        path.unlink()
    said: list[tuple[str, dict[str, str]]] = []
    signer = sign()
    monkeypatch.setattr(signer._progress, "notice", lambda event, _text, **fields: said.append((event, fields)))
    signer.signing()
    assert said == [("key.made", {"key": str(keys / "key.pem"), "public": str(keys / "key.pub")})]


def test_no_key_is_made_in_ci(sign: Any, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in keys.iterdir():
        path.unlink()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(KeyFileError, match="none is created in CI"):
        sign().signing()
    assert list(keys.iterdir()) == []


@pytest.mark.parametrize(("ci", "mode"), [("", BuilderId.LOCAL), ("true", BuilderId.CI)])
def test_mode_is_that_of_the_environment(
    sign: Any, keys: Path, monkeypatch: pytest.MonkeyPatch, ci: str, mode: BuilderId
) -> None:
    assert keys.is_dir()
    monkeypatch.setenv("CI", ci)
    assert sign().mode is sign().expected("a").builder is sign().signing().builder is mode


def test_identity_is_of_all_that_a_folder_is_judged_by(
    sign: Any, keys: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was judged by something else is judged again."""
    found = [sign().identity]
    assert sign().identity == found[0]
    shutil.copy(keys / "key.pub", root / "a.pub")
    shutil.copy(keys / "key.pub", root / "b.pub")
    _team(root, "a.pub")
    found.append(sign().identity)
    _team(root, "a.pub", "b.pub")
    found.append(sign().identity)
    (root / "b.pub").write_text("other")
    found.append(sign().identity)
    (root / "b.pub").unlink()
    found.append(sign().identity)
    (keys / "key.pub").write_text("other")
    found.append(sign().identity)
    (keys / "key.pub").unlink()
    found.append(sign().identity)
    monkeypatch.setenv("CI", "true")
    found.append(sign().identity)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("bad", ["none.pub", "folder", "text.pub"])
def test_teams_key_that_can_not_be_read_is_our_error(sign: Any, keys: Path, root: Path, bad: str) -> None:
    assert keys.is_dir()
    (root / "folder").mkdir()
    (root / "text.pub").write_text("tea")
    _team(root, bad)
    signer = sign()
    assert signer.identity, "naming them all needs none"
    for ask in (lambda: signer.trust, lambda: signer.expected("a"), signer.signing):
        with pytest.raises(UnreadableError, match=bad):
            ask()


def test_public_key_that_is_none_is_our_error(sign: Any, keys: Path) -> None:
    (keys / "key.pub").write_text("tea")
    for ask in (lambda: sign().own, lambda: sign().trust, lambda: sign().signing()):
        with pytest.raises(ProvenanceError, match=r"key\.pub"):
            ask()


def test_home_of_nobody_is_our_error(sign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", "~nobody-has-this-name/key.pem")
    for ask in (lambda: sign().path, lambda: sign().identity, lambda: sign().trust, lambda: sign().signing()):
        with pytest.raises(KeyFileError, match="unknown home"):
            ask()
