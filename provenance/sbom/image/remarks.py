"""What an image's inventory says in words and figures: who explains how many files, and what could not be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..package import shown
from .nix import STORE
from .survey import By

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .survey import Survey

_NAMED = 100
"""Files that nobody explains, and that are no programs, of which the names are told."""
_REASONS = 20
_HOW = (
    "Packages: as their managers' databases in the image list them; artifacts of this workspace: by the digest of "
    "their file; programs of Go, and Rust programs with a list of their crates: as their linker wrote it into them. "
    "Files that later layers took away are not in it. What other packages were linked from is not known."
)

_NIX = (
    "Paths of a Nix store: by their names, no database lists them; relationships: the hashes that stand in their files."
)


def properties(survey: Survey, left_out: int, partial: Sequence[str]) -> Mapping[str, str]:
    """Return the figures as properties of the image.

    `left_out`: programs that are not listed each; `partial`: artifacts in it whose own lists are not complete.
    """
    by = Counter(file.by for file in survey.files)
    others = [file.path for file in survey.unexplained if not file.program]
    programs = by[By.NOBODY] - len(others)
    found = {
        "image:layers": str(len(survey.look.layers)),
        "image:files": str(len(survey.files)),
        "image:unexplained-files": str(len(others)),
        "image:unexplained-programs": str(programs),
        **{f"image:files-by-{who.value.replace(' ', '-')}": str(by[who]) for who in By if who is not By.NOBODY},
    }
    if left_out:
        found["image:unexplained-programs-not-listed"] = str(left_out)
    if others:
        found["image:unexplained-names"] = "\n".join(map(shown, others[:_NAMED]))
    if survey.look.unread:
        found["image:unread"] = "\n".join(str(one) for one in survey.look.unread[:_REASONS])
    if partial:
        found["image:partly-known"] = "\n".join(partial[:_REASONS])
    return found


def note(survey: Survey, left_out: int, partial: Sequence[str]) -> str:
    """Say how the list was found and why it is not complete, if it is not; `partial`: artifacts of which that is so."""
    by = Counter(file.by for file in survey.files)
    said = [_HOW]
    if any(package.database.startswith(STORE) for package in survey.look.packages):
        said.append(_NIX)
    said.append(f"Files: {len(survey.files)}, of which {_sum(by)}.")
    programs = sum(file.program for file in survey.unexplained)
    if by[By.NOBODY]:
        rest = f", {left_out} of them only counted" if left_out else ""
        said.append(
            f"Known unknowns: {programs} executable files that nobody explains are listed by digest{rest}, and "
            f"{by[By.NOBODY] - programs} other files are counted."
        )
    if unread := survey.look.unread:
        more = f"; and {len(unread) - _REASONS} more" if len(unread) > _REASONS else ""
        said.append(f"Not read: {'; '.join(str(one) for one in unread[:_REASONS])}{more}.")
    if partial:
        said.append(f"Not completely known themselves: {', '.join(partial)}.")
    return " ".join(said)


def _sum(by: Mapping[By, int]) -> str:
    words = {
        By.ARTIFACT: "artifacts of this workspace",
        By.SYSTEM: "of system packages",
        By.LANGUAGE: "of language packages",
        By.PROGRAM: "programs that say what they are made of",
        By.SOURCE: "from the sources",
        By.METADATA: "kept by package managers",
        By.EMPTY: "empty",
        By.NOBODY: "explained by nobody",
    }
    return ", ".join(f"{by[who]} {text}" for who, text in words.items() if by.get(who)) or "none"
