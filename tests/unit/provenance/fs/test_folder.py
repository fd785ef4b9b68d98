"""Folders that nobody vouches for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.fs.folder import steady

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("times", [1, 3])
def test_folder_that_is_replaced_meanwhile_is_looked_at_again(tmp_path: Path, times: int) -> None:
    """A run that ends just now empties the folder that is being read; that is nobody's damage."""
    place, looks = tmp_path / "place", 0
    place.mkdir()

    def look() -> str:
        nonlocal looks
        looks += 1
        if looks > times:
            return "found"
        place.rename(tmp_path / f"old {looks}")
        place.mkdir()
        raise UnreadableError("missing")

    assert steady(place, look) == "found"
    assert looks == times + 1


@pytest.mark.parametrize(("replaced", "looks"), [(False, 1), (True, 6)])
def test_folder_that_does_not_hold_is_said_to(tmp_path: Path, *, replaced: bool, looks: int) -> None:
    """At once, where nobody replaces it; where that never ends, in the end."""
    seen: list[str] = []

    def look() -> None:
        seen.append("")
        if replaced:
            (tmp_path / "place" / str(len(seen))).mkdir(parents=True)
        raise UnreadableError("missing")

    with pytest.raises(UnreadableError, match="missing"):
        steady(tmp_path / "place", look)
    assert len(seen) == looks
