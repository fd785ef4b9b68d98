"""Patterns find what they say, look nowhere else, and come to an end whatever lies in a workspace."""

from __future__ import annotations

import fnmatch
import inspect
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.freshness.inputs import InputHasher
from doit_provenance.tasks.freshness.patterns import beginning, below, expand, is_pattern, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

NEVER = {".git", "__pycache__", ".provenance"}


def tree(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.txt", ["a.txt"]),
        ("./src//a.rs", ["src/a.rs"]),
        ("nothing.txt", []),
        ("src", []),
        ("a.txt/b", []),
        ("", []),
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[z-a].txt", []),
        ("[", ["["]),
        ("src/*", ["src/.hidden", "src/a.rs"]),
        ("src/**", ["src/.hidden", "src/a.rs", "src/deep/er/b.rs", "src/deep/er/c.txt"]),
        ("src/**/**", ["src/.hidden", "src/a.rs", "src/deep/er/b.rs", "src/deep/er/c.txt"]),
        ("**/*.rs", ["src/a.rs", "src/deep/er/b.rs"]),
        ("**/er/*.rs", ["src/deep/er/b.rs"]),
        ("src/**/deep/**/b.rs", ["src/deep/er/b.rs"]),
        ("*/deep/er/b.rs", ["src/deep/er/b.rs"]),
        ("src/** !src/deep/**", ["src/.hidden", "src/a.rs"]),
        ("src/** !**/*.rs !src/.*", ["src/deep/er/c.txt"]),
        ("a.txt !*.txt", []),
        (".git/config", [".git/config"]),
        ("**/config", ["sub/config"]),
        ("**/.git/config", [".git/config", "sub/.git/config"]),
        ("sub/**", ["sub/config"]),
    ],
)
def test_pattern(tmp_path: Path, pattern: str, found: list[str]) -> None:
    tree(tmp_path, "a.txt", "b.txt", "[", "src/a.rs", "src/.hidden", "src/deep/er/b.rs", "src/deep/er/c.txt")
    tree(tmp_path, ".git/config", "sub/config", "sub/.git/config", "sub/__pycache__/x.pyc")
    assert expand(tmp_path, pattern) == found


@pytest.mark.parametrize(
    ("pattern", "path", "does"),
    [
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("**", "a", True),
        ("a/*.o !a/x*", "a/y.o", True),
        ("a/*.o !a/x*", "a/x.o", False),
        ("a", "a/b", False),
    ],
)
def test_path_alone(pattern: str, path: str, *, does: bool) -> None:
    assert matches(pattern, path) is does


def _oracle(root: Path, pattern: str) -> list[str]:
    """Say slowly what `expand` has to find: every path of the tree, compared with the pattern by itself."""
    wanted, *unwanted = pattern.split(" !")
    parts = wanted.split("/")
    fixed: list[str] = []
    while len(parts) > 1 and not is_pattern(parts[0]):
        fixed.append(parts.pop(0))
    return sorted(
        path
        for path in _paths(root, "/".join(fixed))
        if _matches(wanted.split("/"), path.split("/"))
        and not any(_matches(one.split("/"), path.split("/")) for one in unwanted)
    )


def _paths(root: Path, top: str) -> Iterator[str]:
    for folder, _, names in os.walk(root / top):
        yield from (os.path.relpath(Path(folder, n), root) for n in names if Path(folder, n).is_file())


def _matches(parts: list[str], names: list[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        if len(parts) == 1:
            return bool(names) and not NEVER & set(names)
        return _matches(parts[1:], names) or bool(names and names[0] not in NEVER and _matches(parts, names[1:]))
    if not names:
        return False
    same = parts[0] == names[0]
    wild = is_pattern(parts[0]) and names[0] not in NEVER and fnmatch.fnmatchcase(names[0], parts[0])
    return (same or wild) and _matches(parts[1:], names[1:])


NAME = st.sampled_from(["a", "b", "ab", ".git", "x\ny", "[b]"])
PATH = st.lists(NAME, min_size=1, max_size=4).map("/".join)
PATTERN = st.lists(NAME | st.sampled_from(["*", "?", "a*", "[ab]", "[!a]", "*b", "**"]), min_size=1, max_size=5).map(
    "/".join
)
LINK = st.tuples(PATH, st.sampled_from([".", "..", "a", "../a", "nothing", "b/a"]))


@pytest.mark.parametrize(
    ("pattern", "folder"), [("dist/*.whl", "dist"), ("out/x/a !y", "out/x"), ("*", ""), ("a/**/b", "a"), ("a", "")]
)
def test_beginning(pattern: str, folder: str) -> None:
    assert beginning(pattern) == folder


@settings(deadline=None, max_examples=150)  # the machine may be busy
@given(
    st.lists(PATH, max_size=8),
    st.lists(LINK, max_size=3),
    st.builds(" !".join, st.lists(PATTERN, min_size=1, max_size=3)),
)
@example(["a/b"], [("b", "."), ("a/a", "..")], "**/b")
@example(["a/b"], [("b", "b")], "**")
@example([], [("b", "b/a")], "b/*")
@example(["a/b"], [("b", "a")], "b/*")
def test_finds_what_a_slow_oracle_finds(files: list[str], links: list[tuple[str, str]], pattern: str) -> None:
    """Whatever files and links there are, loops among them, and whatever stands in the pattern."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in files:
            _try(lambda path=path: tree(root, path))  # type: ignore[misc] # mypy does not infer a default's type here
        for path, target in links:
            _try(lambda path=path, target=target: (root / path).symlink_to(target))  # type: ignore[misc] # likewise
        found = expand(root, pattern)
        assert found == _oracle(root, pattern)
        assert all(matches(pattern, path) for path in found)


def _try(make: object) -> None:
    """Make what can be made: a path may lead through what is a file already."""
    assert callable(make)
    try:
        make()
    except OSError:
        return


def test_loop_of_links_is_not_walked(tmp_path: Path) -> None:
    tree(tmp_path, "src/a")
    (tmp_path / "src/self").symlink_to("self")
    (tmp_path / "src/up").symlink_to("..")
    (tmp_path / "src/all").symlink_to(tmp_path)
    assert expand(tmp_path, "src/**") == ["src/a"]
    assert expand(tmp_path, "src/self") == []


def test_link_is_followed_where_the_beginning_names_it(tmp_path: Path) -> None:
    tree(tmp_path, "real/a", "real/in/b")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/file").symlink_to("a")
    assert expand(tmp_path, "link/**") == ["link/a", "link/file", "link/in/b"]
    assert expand(tmp_path, "l*/**") == []


def test_what_is_no_file_is_not_found(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert expand(tmp_path, "*") == expand(tmp_path, "pipe") == []


def test_folders_beside_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand files beside the sources cost nothing, nor do those that are taken away as a whole."""
    tree(tmp_path, "src/a/1", "src/b/2", "src/gen/c/3", "beside/4", "dist/cargo/5", "dist/6")
    read: list[str] = []
    scandir = os.scandir

    def counted(folder: str) -> object:
        read.append(os.path.relpath(folder, tmp_path))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    assert expand(tmp_path, "src/** !src/gen/**") == ["src/a/1", "src/b/2"]
    assert sorted(read) == ["src", "src/a", "src/b"]
    read.clear()
    assert expand(tmp_path, "src/a/1") == ["src/a/1"]
    assert expand(tmp_path, "*/a/1") == ["src/a/1"]
    assert read == ["."]
    read.clear()
    assert expand(tmp_path, "dist/**", skipped=[tmp_path / "dist/cargo"]) == ["dist/6"]
    assert expand(tmp_path, "dist/cargo/*", skipped=[tmp_path / "dist/cargo"]) == []
    assert read == ["dist"]


def test_each_folder_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often `**` stands in a pattern: no deep tree makes it slow."""
    tree(tmp_path, "/".join(["a"] * 30))
    calls: list[str] = []
    scandir = os.scandir

    def counted(folder: str) -> object:
        calls.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    assert len(expand(tmp_path, "**/a/**/a/**/a/**/a/**")) == 1
    assert len(calls) == len(set(calls)) == 30


def test_deeper_than_the_stack(tmp_path: Path) -> None:
    """Folders may lie deeper than Python's own recursion goes, which would end in a traceback."""
    tree(tmp_path, "d/" * 300 + "end")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        found = expand(tmp_path, "**")
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["d/" * 300 + "end"]


def test_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything: the refusal is played."""
    tree(tmp_path, "src/a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ToolError, match=r"inputs can't be looked for in `.*/src`: Permission denied"):
        expand(tmp_path, "src/*")
    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(ToolError, match=r"inputs can't be looked for in `.*/src/a`: Permission denied"):
        expand(tmp_path, "src/a")


def test_names_of_any_bytes(tmp_path: Path) -> None:
    """A line end and bytes that are no UTF-8 are characters of a name."""
    raw = os.fsencode(tmp_path) + b"/src/\xff\nb.txt"
    tree(tmp_path, "src/plain.txt")
    with open(raw, "wb"):  # noqa: PTH123 - pathlib takes no bytes
        pass
    assert expand(tmp_path, "src/*.txt") == ["src/plain.txt", os.fsdecode(b"src/\xff\nb.txt")]
    assert expand(tmp_path, "src/?\nb.txt") == [os.fsdecode(b"src/\xff\nb.txt")]


def test_below_takes_a_folder_by_its_name(tmp_path: Path) -> None:
    """A folder that a tool names is no pattern, whatever its characters; it may lie elsewhere."""
    root = tmp_path / "root"
    tree(tmp_path, "root/a[1]/x", "root/a1/y", "root/b !c/z", "other/in/w")
    assert below(root, "a[1]") == ["a[1]/x"]
    assert below(root, "b !c") == ["b !c/z"]
    assert below(root, "../other") == ["../other/in/w"]
    assert below(root, str(tmp_path / "other")) == [f"{tmp_path}/other/in/w"]
    assert below(root, ".", skipped=[root / "a1"]) == ["a[1]/x", "b !c/z"]
    assert below(root, "nothing") == []
    assert InputHasher(root).files("folder:a[1]") == ("a[1]/x",)
    assert InputHasher(root).files("glob:a[1]/*") == ("a1/y", "a[1]/x")
