"""What no file of the repository may name: a path of the machine that it was written on, the host of a registry."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MACHINE_PATH = re.compile(r"(?<![\w.~}-])/(?:work|root|tmp/w)(?:/\w|(?!\w))")
REGISTRY_HOST = re.compile(
    r"\b(?:pypi\.org|(?:files\.)?pythonhosted\.org|registry\.npmjs\.org|(?:static|index)\.crates\.io|"
    r"(?:proxy|sum)\.golang\.org)\b"
)
KNOWS_HOSTS = {"provenance/sbom/cargo.py": "a Cargo.lock names its registry by host"}


def _revealed(path: str, text: str) -> list[str]:
    patterns = [MACHINE_PATH, *([] if path in KNOWS_HOSTS else [REGISTRY_HOST])]
    found = [match.group() for pattern in patterns for match in pattern.finditer(text)]
    return [f"{path}: {name}" for name in found] + [f"{path}: {own}" for own in (str(ROOT),) if own in text]


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout, so no file is tracked")
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


def test_no_file_names_a_machine_or_a_registry() -> None:
    texts = {path: (ROOT / path).read_bytes().decode("utf-8", errors="replace") for path in _tracked()}
    assert "pyproject.toml" in texts
    assert [found for path, text in texts.items() for found in _revealed(path, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        f"see {'/'}work/main/x.py",
        f"'{'/'}root/.cargo'",
        f"HOME={'/'}root\n",
        f"file://{ROOT}/x",
        f"https://{'pypi'}.org/simple",
        f"https://{'static'}.crates.io/crates",
        f'"resolved": "https://registry.{"npmjs"}.org/x"',
    ],
)
def test_revealing_text_is_caught(text: str) -> None:
    assert _revealed("README.md", text)


@pytest.mark.parametrize(
    "text",
    [
        "framework/x",
        str(Path(".x", "work", "x")),
        str(Path("~", "root", "x")),
        "/workspace/x",
        "crates.io",
        "golang.org/x/sys",
    ],
)
def test_harmless_text_passes(text: str) -> None:
    assert _revealed("README.md", text) == []


@pytest.mark.parametrize("path", KNOWS_HOSTS)
def test_exceptions_are_still_needed(path: str) -> None:
    assert REGISTRY_HOST.search((ROOT / path).read_text(encoding="utf-8")), KNOWS_HOSTS[path]
