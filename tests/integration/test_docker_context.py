"""Of every context just that is an input which BuildKit is sent: BuildKit itself is asked."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.tasks.freshness.build_context import entries

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Service

pytestmark = pytest.mark.integration

NAMES = ("a", "b", "a.rs", "b.txt", "ab", "a b", "x^y", "[z]", "node_modules", "A", ".h", "é", "a+b")
PARTS = (
    "*",
    "**",
    "?",
    "a",
    "b",
    "*.rs",
    "a*",
    "*b",
    "[a-c]",
    "[^a]",
    "\\*",
    "x^y",
    "\\[z\\]",
    "**a",
    "a**",
    "..",
    "***",
)

NASTY = (
    "",
    "*",
    "**",
    ".",
    "/",
    "*\n!a",
    "*\n!a/**",
    "*\n!**/a.rs",
    "**\n!**/*.rs\n**/a/a.rs",
    "a\n!a/b\na/b/a",
    "!a\na",
    "*/*\n!*/a",
    "a/\n/b\n./ab\nA/../a.rs",
    "  a  \n! b \n\t# no comment\n# a comment\n\n",
    "\ufeff# a comment\r\na\r\n",
    "**/a/**/b/**",
    "*.rs\n!a.rs",
    "a b\nx^y\n\\[z\\]\n[[]z]",
    "[^a-z]*",
    ".dockerignore\nDockerfile",
)


def generated(tree: Path) -> list[str]:
    """Return some dozens of files of patterns, the same in every run."""
    chance = random.Random(5)  # noqa: S311 - no secret
    paths = [str(path.relative_to(tree)) for path in sorted(tree.rglob("*"))]

    def pattern() -> str:
        fixed = chance.choice(paths)
        text = fixed if chance.random() < 0.3 else "/".join(chance.choices(PARTS, k=chance.randint(1, 3)))
        return f"!{text}" if chance.random() < 0.35 else text

    return ["\n".join(pattern() for _ in range(chance.randint(1, 5))) for _ in range(24)]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("context")
    chance = random.Random(3)  # noqa: S311 - no secret

    def fill(folder: Path, depth: int) -> None:
        for name in chance.sample(NAMES, 5):
            kind = chance.random()
            if depth < 2 and kind < 0.5:
                (folder / name).mkdir()
                fill(folder / name, depth + 1)
            elif kind < 0.6:
                (folder / name).symlink_to("a")
            else:
                (folder / name).write_text("x")

    fill(root, 0)
    (root / "a").mkdir(exist_ok=True)
    (root / "a" / "b").mkdir(exist_ok=True)
    (root / "a" / "b" / "a").write_text("x")
    (root / "empty").mkdir()
    return root


def test_buildkit_is_sent_just_what_is_an_input(buildkit: Service, tree: Path, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    for number, ignore in enumerate((*NASTY, *generated(tree))):
        (tree / ".dockerignore").write_bytes(ignore.encode())
        sent = _sent(buildkit, tree, dockerfile, tmp_path / str(number))
        assert [entry.path for entry in entries(tree, ".")] == sent, repr(ignore)


def test_ignore_file_of_the_dockerfile_counts_first(buildkit: Service, tree: Path, tmp_path: Path) -> None:
    (tree / ".dockerignore").write_text("*\n")
    dockerfile = tree / "Other"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    (tree / "Other.dockerignore").write_text("**/*.rs\n")
    try:
        sent = _sent(buildkit, tree, dockerfile, tmp_path / "out")
        assert [entry.path for entry in entries(tree, ". !Other")] == sent
        assert "Other" in sent
    finally:
        dockerfile.unlink()
        (tree / "Other.dockerignore").unlink()


def _sent(buildkit: Service, context: Path, dockerfile: Path, to: Path) -> list[str]:
    argv = ["docker", "buildx", "build", "--quiet", "--file", str(dockerfile), "--output", f"type=local,dest={to}"]
    done = subprocess.run(
        [*argv, str(context)], env=os.environ | buildkit.env, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return sorted(str(path.relative_to(to)) for path in to.rglob("*"))
