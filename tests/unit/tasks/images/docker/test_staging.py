"""What BuildKit is given holds what was measured and nothing else, and is the same on every machine."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import Docker
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import BuildError, InputChangedError
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.freshness.inputs import InputHasher
from doit_provenance.tasks.freshness.snapshot import Snapshot, Upstream
from doit_provenance.tasks.images.docker.inputs import Staged, declared, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from doit_provenance.tasks.context import Context
    from doit_provenance.tasks.images.docker.builder import DockerBuilder

EPOCH = 1_700_000_000


@pytest.fixture
def context(images: Callable[[str], DockerBuilder]) -> Context:
    found = images("").context
    write(
        found.workspace.root, {"app/Dockerfile": "FROM scratch\n", "app/src/a": "a", "app/run": "r", "app/x.log": "x"}
    )
    write(found.workspace.root, {"app/.dockerignore": "*.log\n"})
    (found.workspace.root / "app/run").chmod(0o700)
    (found.workspace.root / "app/link").symlink_to("src/a")
    (found.workspace.root / "app/empty").mkdir()
    return found


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def staged(context: Context, *upstream: Upstream, docker: Docker | None = None, to: str = "staged") -> Staged:
    docker = docker or Docker(name="x", context="app")
    return stage(context, docker, upstream, EPOCH, context.workspace.state / to)


def looks(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Return mode, time and content of all that lies in a folder."""
    return {
        str(path.relative_to(folder)): (
            stat.filemode(path.lstat().st_mode),
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else "",
        )
        for path in sorted(folder.rglob("*"))
    }


def upstream(context: Context, file: str, text: str) -> Upstream:
    write(context.workspace.root, {f"dist/{file}": text})
    (context.workspace.root / f"dist/{file}").chmod(0o755)
    return Upstream(id=f"cargo:{file}@x", name=file, path=f"dist/{file}", digest=digest_bytes(text.encode()))


def test_nothing_else_is_in_it(context: Context) -> None:
    found = staged(context, upstream(context, "wash", "w"))
    time = EPOCH * 1_000_000_000
    assert looks(found.context) == {
        ".dockerignore": ("-rw-r--r--", time, "*.log\n"),
        "Dockerfile": ("-rw-r--r--", time, "FROM scratch\n"),
        "empty": ("drwxr-xr-x", time, ""),
        "link": ("lrwxrwxrwx", time, "src/a"),
        "run": ("-rwxr-xr-x", time, "r"),
        "src": ("drwxr-xr-x", time, ""),
        "src/a": ("-rw-r--r--", time, "a"),
        "wash": ("-rwxr-xr-x", time, "w"),
    }
    assert found.dockerfile.read_text() == "FROM scratch\n"
    assert sorted(path.name for path in found.dockerfile.parent.iterdir()) == ["Dockerfile", "Dockerfile.dockerignore"]


def test_what_was_copied_is_what_is_measured(context: Context) -> None:
    found = staged(context, upstream(context, "wash", "w"))
    image = Artifact(builder="docker", name="x", platform="linux/amd64", group="x", file="image")
    inputs = declared(context.workspace, Docker(name="x", context="app"), "tool", {})
    snapshot = Snapshot.take(context, image, inputs, InputHasher(context.workspace.root, context.build_dirs))
    assert found.files == snapshot.in_repository(context.workspace)
    assert "context:app !app/Dockerfile" in snapshot.values
    assert snapshot.values["file:app/Dockerfile.rego"] == "absent"


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_umask_and_times_of_a_checkout_count_for_nothing(context: Context, mask: int) -> None:
    one = staged(context, to="one")
    for path in (context.workspace.root / "app").rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & ~mask | 0o400)
        os.utime(path, (5, 5), follow_symlinks=False)
    before = os.umask(mask)
    try:
        other = staged(context, to="other")
    finally:
        os.umask(before)
    assert looks(one.context) == looks(other.context)
    assert one.context.name == other.context.name


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "app/src/a").write_text("b"),
        lambda root: (root / "app/run").chmod(0o600),
        lambda root: ((root / "app/link").unlink(), (root / "app/link").symlink_to("src/b")),
        lambda root: (root / "app/empty").rmdir(),
        lambda root: (root / "app/src/a").rename(root / "app/src/b"),
    ],
)
def test_another_content_has_another_name(context: Context, change: Callable[[Path], object]) -> None:
    """BuildKit takes a file of equal size and time for unchanged, in a context of the same name."""
    one = staged(context, to="one")
    change(context.workspace.root)
    assert staged(context, to="other").context.name != one.context.name


def test_another_artifact_has_another_name(context: Context) -> None:
    one = staged(context, upstream(context, "wash", "1"), to="one")
    assert staged(context, upstream(context, "wash", "2"), to="other").context.name != one.context.name


def test_artifact_takes_no_place_that_is_taken(context: Context) -> None:
    with pytest.raises(BuildError, match="`cargo:src@x` is put into the context as `src`, and there is one already"):
        staged(context, upstream(context, "src", "s"))


def test_artifact_that_changed_meanwhile(context: Context) -> None:
    one = upstream(context, "wash", "w")
    write(context.workspace.root, {"dist/wash": "other"})
    with pytest.raises(InputChangedError, match="`cargo:wash@x` changed while it was copied"):
        staged(context, one)


def test_named_contexts_and_policy(context: Context) -> None:
    """Each folder is copied once, by the rules of its own `.dockerignore`; the Dockerfile's policy comes along."""
    write(
        context.workspace.root,
        {"web/a": "a", "web/b": "b", "web/.dockerignore": "b", "app/Dockerfile.rego": "package docker"},
    )
    docker = Docker(name="x", context="app", contexts={"one": "web", "two": "web", "image": "docker-image://a"})
    found = staged(context, docker=docker)
    assert found.named.keys() == {"one", "two"}
    assert found.named["one"] == found.named["two"]
    assert sorted(looks(found.named["one"])) == [".dockerignore", "a"]
    assert found.dockerfile.with_name("Dockerfile.rego").read_text() == "package docker"


@pytest.mark.parametrize("name", ["app/Nowhere", "app/src", "out"])
def test_dockerfile_that_is_none(context: Context, name: str) -> None:
    (context.workspace.root / "out").symlink_to("/etc/hostname")
    with pytest.raises(BuildError, match=f"the Dockerfile `{name}` is no file of the workspace"):
        staged(context, docker=Docker(name="x", context="app", dockerfile=name))
