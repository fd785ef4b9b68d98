from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

Run = Any  # what the fixture `run` returns


def test_shows_the_key_in_use(run: Run, key: Any) -> None:
    ended = run("key")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (
        f"private key: {key.path}\npublic key:  {key.public_path}\nhint:        {key.hint}\n{key.public_pem.decode()}"
    )
    assert "PRIVATE KEY" not in ended.out


def test_makes_it_at_first_use(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "key.pem"
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(path))
    assert run("key").out.startswith(f"private key: {path} (made just now)\n")
    assert run("key").out.startswith(f"private key: {path}\n")


def test_never_in_the_repository(run: Run, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(root / "key.pem"))
    ended = run("key")
    assert (ended.code, ended.out) == (1, "")
    assert "inside the repository" in ended.err
    assert not (root / "key.pem").exists()


def test_key_of_the_configuration(run: Run, root: Path, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOIT_PROVENANCE_KEY")
    (root / "provenance.toml").write_text(f'[signing]\nkey = "{key.path}"\n')
    assert run("key").out.startswith(f"private key: {key.path}\n")


def test_takes_no_arguments(run: Run) -> None:
    ended = run("key", "mine")
    assert (ended.code, ended.err) == (2, "error: `key` takes no arguments, found `mine`\n")
