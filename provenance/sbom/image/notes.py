"""Figures and note of an image's inventory: how many files are attributed to what, and what could not be read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..package import shown
from .attribution import AttributedTo
from .nix import STORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .attribution import Attribution

_NAMED = 100
"""Unexplained files, other than programs, that are named."""
_REASONS = 20
_HOW = (
    "Packages: as their managers' databases in the image list them; artifacts of this workspace: by the digest of "
    "their file; programs of Go, and Rust programs with a list of their crates: as their linker wrote it into them. "
    "Files that later layers took away are not in it. What other packages were linked from is not known."
)

_NIX = (
    "Paths of a Nix store: by their names, no database lists them; relationships: the hashes that stand in their files."
)


def properties(attribution: Attribution, left_out: int, partial: Sequence[str]) -> Mapping[str, str]:
    """Return the figures as properties of the image.

    `left_out`: number of programs that are not listed; `partial`: artifacts in it whose inventories are not complete.
    """
    counts = Counter(file.attributed_to for file in attribution.files)
    others = [file.path for file in attribution.unexplained if not file.program]
    programs = counts[AttributedTo.NOBODY] - len(others)
    facts = {
        "image:layers": str(len(attribution.scan.layers)),
        "image:files": str(len(attribution.files)),
        "image:unexplained-files": str(len(others)),
        "image:unexplained-programs": str(programs),
        **{
            f"image:files-by-{reason.value.replace(' ', '-')}": str(counts[reason])
            for reason in AttributedTo
            if reason is not AttributedTo.NOBODY
        },
    }
    if left_out:
        facts["image:unexplained-programs-not-listed"] = str(left_out)
    if others:
        facts["image:unexplained-names"] = "\n".join(map(shown, others[:_NAMED]))
    if attribution.scan.unread:
        facts["image:unread"] = "\n".join(str(entry) for entry in attribution.scan.unread[:_REASONS])
    if partial:
        facts["image:partly-known"] = "\n".join(partial[:_REASONS])
    return facts


def note(attribution: Attribution, left_out: int, partial: Sequence[str]) -> str:
    """Return how the list was made and, if it is not complete, why; arguments as for `properties`."""
    counts = Counter(file.attributed_to for file in attribution.files)
    sentences = [_HOW]
    if any(package.database.startswith(STORE) for package in attribution.scan.packages):
        sentences.append(_NIX)
    sentences.append(f"Files: {len(attribution.files)}, of which {_summary(counts)}.")
    programs = sum(file.program for file in attribution.unexplained)
    if counts[AttributedTo.NOBODY]:
        rest = f", {left_out} of them only counted" if left_out else ""
        sentences.append(
            f"Known unknowns: {programs} executable files that nobody explains are listed by digest{rest}, and "
            f"{counts[AttributedTo.NOBODY] - programs} other files are counted."
        )
    if unread := attribution.scan.unread:
        more = f"; and {len(unread) - _REASONS} more" if len(unread) > _REASONS else ""
        sentences.append(f"Not read: {'; '.join(str(entry) for entry in unread[:_REASONS])}{more}.")
    if partial:
        sentences.append(f"Not completely known themselves: {', '.join(partial)}.")
    return " ".join(sentences)


def _summary(counts: Mapping[AttributedTo, int]) -> str:
    words = {
        AttributedTo.ARTIFACT: "artifacts of this workspace",
        AttributedTo.SYSTEM: "of system packages",
        AttributedTo.LANGUAGE: "of language packages",
        AttributedTo.PROGRAM: "programs that say what they are made of",
        AttributedTo.SOURCE: "from the sources",
        AttributedTo.METADATA: "kept by package managers",
        AttributedTo.EMPTY: "empty",
        AttributedTo.NOBODY: "explained by nobody",
    }
    return ", ".join(f"{counts[reason]} {text}" for reason, text in words.items() if counts.get(reason)) or "none"
