"""What is sent of a build context, and what of it is an input."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ToolError, UnreadableError
from doit_provenance.tasks.freshness import build_context
from doit_provenance.tasks.freshness.answer import Code
from doit_provenance.tasks.freshness.build_context import Entry, Type
from doit_provenance.tasks.freshness.changes import changes
from doit_provenance.tasks.freshness.inputs import Declared, InputHasher, Kind, key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def sent(root: Path, name: str = ".", **more: list[Path]) -> list[str]:
    return [entry.path for entry in build_context.entries(root, name, **more)]


def test_entries(root: Path) -> None:
    write(root, {"src/a": "a", "run.sh": "x"})
    (root / "run.sh").chmod(0o710)
    (root / "src/a").chmod(0o664)
    (root / "empty").mkdir()
    (root / "out").symlink_to("../../nowhere")
    (root / "folder").symlink_to("src")
    assert build_context.entries(root, ".") == [
        Entry("empty", Type.FOLDER),
        Entry("folder", Type.LINK, "src"),
        Entry("out", Type.LINK, "../../nowhere"),
        Entry("run.sh", Type.PROGRAM),
        Entry("src", Type.FOLDER),
        Entry("src/a", Type.FILE),
    ]
    assert build_context.files(root, ".") == ["run.sh", "src/a"]


def test_folders_are_sent_for_what_is_taken_back_in_them(root: Path) -> None:
    write(root, {"a/b/keep": "", "a/b/drop": "", "a/c/drop": "", ".dockerignore": "*\n!a/b/keep\n"})
    assert sent(root) == ["a", "a/b", "a/b/keep"]


def test_ignore_file_of_the_dockerfile_counts_first(root: Path) -> None:
    write(root, {"app/x": "", "app/y": "", "app/.dockerignore": "x", "docker/Dev": ""})
    name = build_context.name_of("app", "docker/Dev")
    assert sent(root, name) == [".dockerignore", "y"]
    write(root, {"docker/Dev.dockerignore": "y\n.dockerignore"})
    assert sent(root, name) == ["x"]
    assert build_context.files(root, name) == ["app/x"]
    assert sent(root, build_context.name_of("app", None)) == [".dockerignore", "y"]


def test_what_builds_fill_is_never_sent(root: Path) -> None:
    """Nor what differs between any two checkouts, unless a line asks for it."""
    write(root, {"dist/a": "", "src/target/b": "", "src/c": "", ".git/HEAD": "", "src/__pycache__/d": ""})
    skipped = [root / "dist", root / "src/target"]
    assert sent(root, skipped=skipped) == ["src", "src/c"]
    assert sent(root, "src", skipped=skipped) == ["c"]
    write(root, {".dockerignore": "!dist\n!.git\n"})
    assert sent(root, skipped=skipped) == [".dockerignore", ".git", ".git/HEAD", "src", "src/c"]


@pytest.mark.parametrize("name", ["nowhere", "file", "out"])
def test_context_that_is_no_folder_of_the_workspace(root: Path, name: str) -> None:
    (root / "file").touch()
    (root / "out").symlink_to(root.parent)
    with pytest.raises(ToolError, match=f"the context `{name}`"):
        sent(root, name)


def test_ignore_file_outside_of_the_workspace(root: Path) -> None:
    (root / ".dockerignore").symlink_to("/etc/hostname")
    with pytest.raises(UnreadableError, match="is no file of the workspace"):
        sent(root)


def test_what_can_not_be_sent(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(ToolError, match="`s` of a build context is neither a file nor a folder nor a link"):
            sent(root)
        write(root, {".dockerignore": "s"})
        assert sent(root) == [".dockerignore"]


def test_name_that_is_not_utf8(root: Path) -> None:
    (root / os.fsdecode(b"a\xff")).touch()
    with pytest.raises(ToolError, match="is not UTF-8"):
        sent(root)


OF = key(Kind.CONTEXT, ".")
OTHER = "names, links or permissions in ."


def recorded(root: Path) -> dict[str, str]:
    meter = InputHasher(root)
    of_files = (key(Kind.FILE, name) for name in meter.files(OF))
    return {OF: meter.measure(OF)} | {of: meter.measure(of) for of in of_files}


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (lambda root: (root / "new").write_text(""), [(Code.INPUT_ADDED, "new")]),
        (lambda root: (root / "a").write_text("b"), [(Code.INPUT_CHANGED, "a")]),
        (lambda root: (root / "a").unlink(), [(Code.INPUT_REMOVED, "a")]),
        (lambda root: (root / "a").chmod(0o755), [(Code.INPUT_CHANGED, OTHER)]),
        (lambda root: (root / "a").chmod(0o666), []),
        (lambda root: (root / "empty").mkdir(), [(Code.INPUT_CHANGED, OTHER)]),
        (lambda root: (root / "link").symlink_to("a"), [(Code.INPUT_CHANGED, OTHER)]),
        (
            lambda root: (root / ".dockerignore").write_text("a"),
            [(Code.INPUT_CHANGED, ".dockerignore"), (Code.INPUT_CHANGED, OTHER)],
        ),
        (lambda root: (root / "x.log").write_text(""), []),
        (lambda root: os.utime(root / "a", (0, 0)), []),
    ],
)
def test_what_changed_is_said(root: Path, change: object, reasons: list[tuple[Code, str]]) -> None:
    write(root, {"a": "a", ".dockerignore": "*.log"})
    before = recorded(root)
    assert callable(change)
    change(root)
    found, _ = changes(before, Declared(measured=[OF]), InputHasher(root), {}, lambda _: None)
    assert sorted((reason.code, reason.detail) for reason in found) == sorted(reasons)
