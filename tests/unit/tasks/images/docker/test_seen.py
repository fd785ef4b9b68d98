from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.images.docker.dockerfile_discovery import dockerfiles, named

if TYPE_CHECKING:
    from pathlib import Path


def _write(root: Path, *paths: str, text: str = "FROM scratch\n") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


def _seen(root: Path) -> list[str]:
    return [one.path for one in dockerfiles(root, {root / "dist"})]


@pytest.fixture(params=["git", "no git"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "git":
        subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    return tmp_path


def test_by_their_names(root: Path) -> None:
    wanted = [
        "Containerfile",
        "Dockerfile",
        "Dockerfile.wash",
        "tea.Dockerfile",
        "images/pot/Dockerfile",
        "a/x.dockerfile",
    ]
    _write(root, *wanted)
    _write(
        root, "Dockerfile.dockerignore", "Dockerfile.j2", "Dockerfile.md", "xDockerfile", "dockerfile.py", "x/Makefile"
    )
    assert sorted(_seen(root)) == sorted(wanted)


def test_not_other_peoples_nor_what_is_built(root: Path) -> None:
    folders = (
        "target/x",
        "node_modules/y",
        "vendor/z",
        "third_party/y",
        ".devcontainer",
        "a/.github",
        "dist/a",
        "a/testdata/b",
    )
    _write(root, *(f"{folder}/Dockerfile" for folder in folders), "dist-files/Dockerfile")
    assert _seen(root) == ["dist-files/Dockerfile"]


def test_not_what_git_ignores(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    _write(tmp_path, "a/Dockerfile", "b/Dockerfile", "c/Dockerfile")
    (tmp_path / ".gitignore").write_text("b/\n", encoding="utf-8")
    subprocess.run(["git", "-C", tmp_path, "add", "c"], check=True)
    (tmp_path / "c/Dockerfile").unlink()
    assert _seen(tmp_path) == ["a/Dockerfile"]


def test_not_what_builds_nothing(root: Path) -> None:
    _write(root, "Dockerfile", text="# FROM scratch\n")
    (root / "a").mkdir()
    (root / "a/Dockerfile").symlink_to(root / "Dockerfile")
    (root / "b/Dockerfile").mkdir(parents=True)
    os.mkfifo(root / "Dockerfile.fifo")
    _write(root, "c.Dockerfile", text="ARG X=1\n  from scratch\n")
    assert _seen(root) == ["c.Dockerfile"]


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("COPY tool /", "images/tea"),
        ("COPY --chmod=755 src Cargo.toml /", "."),
        ('ADD ["src", "/x"]', "."),
        ("COPY src \\\n  Cargo.toml \\\n  /", "."),
        ("COPY --from=build src /", "images/tea"),
        ("COPY $X src* https://example.com/src ../src /", "images/tea"),
        ("COPY . /", "images/tea"),
        ("COPY [broken /", "images/tea"),
        ("COPY tool src /", "images/tea"),
    ],
)
def test_the_context_is_where_what_it_copies_is(root: Path, text: str, context: str) -> None:
    _write(root, "images/tea/tool", "src/x", "Cargo.toml")
    _write(root, "images/tea/Dockerfile", text=f"FROM scratch\n{text}\n")
    (found,) = dockerfiles(root, ())
    assert found.context == context


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("Dockerfile", ["wasm-cloud"]),
        ("Dockerfile.Wash", ["wash"]),
        ("wash.Dockerfile", ["wash"]),
        ("images/wash/Dockerfile", ["wash", "images-wash"]),
        ("images/Dockerfile.dev", ["dev", "images-dev"]),
        ("a/+/Dockerfile", ["a"]),
        ("äö/Dockerfile", ["image"]),
    ],
)
def test_names(path: str, names: list[str]) -> None:
    assert list(named(path, "Wasm Cloud")) == names
