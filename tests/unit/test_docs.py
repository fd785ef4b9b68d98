"""Links between the pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links(page: Path) -> None:
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        target = page.parent / match["path"] if match["path"] else page
        assert target.exists(), match[0]
        if match["anchor"]:
            assert match["anchor"] in _anchors(target.read_text(encoding="utf-8")), match[0]


def test_pages_that_code_names_are_there() -> None:
    sources = [ROOT / "dodo.py", *ROOT.glob("tasks/**/*.py"), *ROOT.glob("provenance/**/*.py")]
    named = {
        match
        for source in sources
        for match in re.findall(r"(?<![\w/.-])docs/[\w./-]+\.(?:md|json)", source.read_text(encoding="utf-8"))
    }
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
