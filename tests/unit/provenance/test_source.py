"""What git says, asked of real repositories, and what of a remote's address may be published."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ProvenanceError, ToolError
from doit_provenance.provenance.source import (
    Source,
    committed_files,
    public_url,
    read_source,
    revision_of,
    time_of,
)


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)


def _git(folder: Path, *arguments: str, at: int = 1_700_000_000) -> str:
    identity = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@tea.example", "GIT_AUTHOR_DATE": f"@{at} +0000"}
    identity |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in identity.items()}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | identity, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _commit(folder: Path, name: str, text: str, *, at: int) -> str:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    _git(folder, "add", name)
    _git(folder, "commit", "-q", "-m", f"Write {name}", at=at)
    return _git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Make a repository with two commits, at 1000 and 2000, each of its own file."""
    folder = tmp_path / "tea häuser"
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "remote", "add", "origin", "https://ada:secret@tea.example/pots.git")
    _commit(folder, "first", "1", at=1000)
    _commit(folder, "second", "2", at=2000)
    return folder


def test_no_repository(tmp_path: Path) -> None:
    assert read_source(tmp_path) == Source(root=tmp_path)


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_source(tmp_path) == Source(root=tmp_path)


def test_no_commit_yet(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q", "-b", "main")
    assert read_source(tmp_path) == Source(root=tmp_path, ref="refs/heads/main")
    (tmp_path / "new").touch()
    assert read_source(tmp_path).dirty


def test_clean_commit(repository: Path) -> None:
    commit = _git(repository, "rev-parse", "HEAD")
    assert read_source(repository) == Source(
        root=repository, url="https://tea.example/pots", commit=commit, ref="refs/heads/main", dirty=False
    )


def test_root_is_gits_and_not_the_workspaces(repository: Path) -> None:
    inner = repository / "inner"
    inner.mkdir()
    assert read_source(inner).root == repository


def test_root_whose_name_ends_in_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "tea "
    folder.mkdir()
    _git(folder, "init", "-q")
    assert read_source(folder).root == folder


def test_detached(repository: Path) -> None:
    _git(repository, "checkout", "-q", "--detach", "HEAD~1")
    found = read_source(repository)
    assert (found.ref, found.commit) == (None, _git(repository, "rev-parse", "HEAD"))


def test_shallow(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), str(clone))
    found = read_source(clone)
    assert found.commit == read_source(repository).commit
    assert found.url is None, "a file:// remote is nobody else's address"
    assert time_of(found, ["first"]) == datetime.fromtimestamp(2000, UTC), "the only commit there is"


def test_changed_file_is_dirty(repository: Path) -> None:
    (repository / "first").write_text("other")
    assert read_source(repository).dirty


def test_untracked_file_is_dirty_unless_ignored(repository: Path) -> None:
    (repository / "new.log").touch()
    assert read_source(repository).dirty
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    assert not read_source(repository).dirty


def test_cache_of_python_is_not_dirty(repository: Path) -> None:
    """Whoever runs `doit` in a clean checkout has it from its `dodo.py`."""
    for name in ("__pycache__/dodo.cpython-311.pyc", "deep/er/__pycache__/x.pyc"):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).touch()
    assert not read_source(repository).dirty
    (repository / "deep" / "er" / "x.py").touch()
    assert read_source(repository).dirty


def test_committed_files_are_those_that_git_compares(repository: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    _git(part, "init", "-q")
    _commit(part, "größe", "1", at=1000)
    _git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "part")
    for name in ("a b", "assumed", "skipped"):
        _commit(repository, name, "", at=3000)
    _git(repository, "update-index", "--assume-unchanged", "assumed")
    _git(repository, "update-index", "--skip-worktree", "skipped")
    (repository / "new").touch()
    found = committed_files(read_source(repository))
    assert found == {".gitmodules", "a b", "first", "part/größe", "second"}


def test_changed_submodule_is_dirty_whatever_the_settings_say(repository: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    _git(part, "init", "-q")
    _commit(part, "leaf", "1", at=1000)
    _git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "part")
    _git(repository, "commit", "-q", "-m", "Add the part")
    _git(repository, "config", "diff.ignoreSubmodules", "all")
    assert not read_source(repository).dirty
    (repository / "part" / "leaf").write_text("other")
    assert read_source(repository).dirty


def test_damaged_repository_is_an_error(repository: Path) -> None:
    """It is not the same as none: provenance would silently lose the commit."""
    (repository / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(ToolError, match="index"):
        read_source(repository)


def test_time_is_of_the_last_commit_that_touched_the_files(repository: Path) -> None:
    source = read_source(repository)
    assert time_of(source, ["first"]) == datetime.fromtimestamp(1000, UTC)
    assert time_of(source, ["first", "second"]) == datetime.fromtimestamp(2000, UTC)
    assert time_of(source, ["first", "../elsewhere"]) == datetime.fromtimestamp(1000, UTC)


def test_time_without_tracked_files_is_the_last_commits(repository: Path) -> None:
    source = read_source(repository)
    assert time_of(source, ["never-committed"]) == datetime.fromtimestamp(2000, UTC)
    assert time_of(source, []) == datetime.fromtimestamp(2000, UTC)


def test_time_takes_names_literally(repository: Path) -> None:
    _commit(repository, "*", "a star", at=3000)
    source = read_source(repository)
    assert time_of(source, ["first"]) == datetime.fromtimestamp(1000, UTC)
    assert time_of(source, ["*"]) == datetime.fromtimestamp(3000, UTC)
    assert time_of(source, ["fir*"]) == datetime.fromtimestamp(3000, UTC), "there is no such file: the last commit's"


def test_time_of_more_files_than_a_command_line_holds(repository: Path) -> None:
    """Two megabytes of names: more than the kernel takes, and the file that counts is among the last."""
    many = [f"folder/{'n' * 80}-{i:05}" for i in range(24_000)]
    source = read_source(repository)
    assert time_of(source, [*many, "first"]) == datetime.fromtimestamp(1000, UTC)


def test_revision_is_the_last_commit_that_touched_the_files(repository: Path) -> None:
    source = read_source(repository)
    assert revision_of(source, ["first"]) == _git(repository, "rev-parse", "HEAD~")
    assert revision_of(source, ["first", "second"]) == source.commit
    assert revision_of(source, []) == source.commit


def test_no_revision_of_changed_files(repository: Path) -> None:
    """What is changed beside the files does not matter; without files everything does."""
    (repository / "second").write_text("changed")
    source = read_source(repository)
    assert revision_of(source, ["first"]) == _git(repository, "rev-parse", "HEAD~")
    assert revision_of(source, ["second"]) is None
    assert revision_of(source, []) is None
    assert revision_of(source, ["never-committed"]) is None


def test_revision_takes_names_literally(repository: Path) -> None:
    (repository / "second").write_text("changed")
    assert revision_of(read_source(repository), ["*"]) is None, "there is no such file, and the tree is dirty"
    _git(repository, "checkout", "second")
    assert revision_of(read_source(repository), ["fir*"]) == _git(repository, "rev-parse", "HEAD")


def test_no_revision_without_a_commit(tmp_path: Path) -> None:
    assert revision_of(Source(root=tmp_path), ["x"]) is None


def test_source_date_epoch_comes_first(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
    assert time_of(read_source(repository), ["first"]) == datetime(2009, 2, 13, 23, 31, 30, tzinfo=UTC)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert time_of(read_source(repository), ["first"]) == datetime.fromtimestamp(1000, UTC)


@pytest.mark.parametrize("epoch", ["now", "1.5", "-1", "1_000", " 1", "٣", "253402300800", "9" * 5000, "1\x1b[2J"])
def test_source_date_epoch_is_refused_where_it_is_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(ProvenanceError, match="no number of seconds since 1970") as caught:
        time_of(Source(root=tmp_path), [])
    assert "\x1b" not in caught.value.message


def test_time_without_git_is_of_the_newest_file(tmp_path: Path) -> None:
    for name, seconds in (("old", 1000), ("new", 3000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    source = Source(root=tmp_path)
    assert time_of(source, ["old", "new", "gone"]) == datetime.fromtimestamp(3000, UTC)
    assert time_of(source, []) == datetime.fromtimestamp(0, UTC)


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://tea.example/pots.git", "https://tea.example/pots"),
        ("https://tea.example/pots/", "https://tea.example/pots"),
        ("https://ada:secret@tea.example:8443/pots", "https://tea.example:8443/pots"),
        ("https://token@tea.example/pots", "https://tea.example/pots"),
        ("https://a%40b:c@tea.example/pots", "https://tea.example/pots"),
        ("https://tea.example/pots?private_token=secret#secret", "https://tea.example/pots"),
        ("http://tea.example/pots", "http://tea.example/pots"),
        ("http://[2001:db8::1]:3000/pots", "http://[2001:db8::1]:3000/pots"),
        ("ssh://git@tea.example:2222/ada/pots.git", "https://tea.example/ada/pots"),
        ("git+ssh://git@tea.example/ada/pots.git", "https://tea.example/ada/pots"),
        ("git://tea.example/pots", "https://tea.example/pots"),
        ("git@tea.example:ada/pots.git", "https://tea.example/ada/pots"),
        ("tea.example:/srv/pots", "https://tea.example/srv/pots"),
        ("ada:secret@tea.example:pots", "https://tea.example/pots"),
        ("https://tea.example/@ada/pots", "https://tea.example/@ada/pots"),
        ("ada@secret@tea.example:pots", None),
        ("ada:sec/ret@tea.example:pots", None),
        ("https://ada:secret@[tea.example/pots", None),
        ("https://ada:secret@tea.example:port/pots", None),
        ("https://tea.example:99999/pots", None),
        ("https:///pots", None),
        ("file:///srv/pots.git", None),
        ("ext::sh -c pots", None),
        ("/srv/pots.git", None),
        ("../pots", None),
        ("", None),
    ],
)
def test_public_url(remote: str, expected: str | None) -> None:
    assert public_url(remote) == expected


def test_local_path_with_a_colon_is_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tea:pots").mkdir()
    assert public_url("tea:pots") is None


@given(remote=st.text(max_size=40) | st.from_regex(r"[a-z+]{2,8}://[ -~]{0,20}@?[ -~]{0,20}", fullmatch=True))
def test_any_remote_gives_a_bare_address_or_none(remote: str) -> None:
    found = public_url(remote)
    if found is not None:
        parts = urlsplit(found)
        assert parts.scheme in {"http", "https"}
        assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")


_WORDS = st.text("abcXYZ019%._~!$&'()*+,;=-", min_size=1, max_size=10)


@given(
    scheme=st.sampled_from(["https", "http", "ssh", "git", "git+ssh", ""]),
    user=_WORDS,
    password=st.none() | _WORDS,
)
def test_credentials_never_survive(scheme: str, user: str, password: str | None) -> None:
    secret = "SECRET"  # noqa: S105 - what must not be seen again
    credentials = user + secret if password is None else f"{user}{secret}:{password}{secret}"
    remote = f"{scheme}://{credentials}@tea.example/pots" if scheme else f"{credentials}@tea.example:pots"
    assert public_url(remote) == f"{'http' if scheme == 'http' else 'https'}://tea.example/pots"
