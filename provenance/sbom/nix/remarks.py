"""What the inventory of a file that Nix built says in words: how it was found, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .beside import Beside
    from .output import Program

_REASONS = 20
_CLOSURE = (
    "Store paths: the runtime closure of the output that the file is from, as Nix's store lists it; relationships: its "
    "references. Of these the file uses those whose hash stands in it."
)
_LISTED = (
    "Crates: the file does not say what it is made of; listed are those that the build was given, by its lock file."
)
_SILENT = "What is linked into the file is not known: its linker wrote no list into it."


def is_complete(program: Program, beside: Beside) -> bool:
    """Tell whether all that is in a file, and all that it uses at run time, is known."""
    return not unknown(program, beside, listed=False)


def unknown(program: Program, beside: Beside, *, listed: bool) -> str:
    """Say in few words what is not known; empty where all is (`is_complete`)."""
    found = []
    if not (program.linked or program.script):
        found.append("which of the crates given to its build are in it" if listed else "what is linked into it")
    if beside.silent:
        found.append(f"what is linked into {_some(beside.silent)}")
    if beside.unread:
        found.append(f"what could not be read: {beside.unread[0]}")
    return "; ".join(found)


def note(program: Program, beside: Beside, *, listed: bool, unbuilt: str) -> str:
    """Say how the list was found and why it is not complete, if it is not.

    `listed`: crates are known from a lock file alone. `unbuilt` says why nothing is known of the build, if so.
    """
    said = [_CLOSURE]
    if program.linked:
        said.append("What is linked into it: as its linker wrote it into it.")
    elif listed:
        said.append(_LISTED)
    elif program.script:
        said.append("It is a script: nothing is linked into it.")
    else:
        said.append(_SILENT)
    if beside.programs:
        said.append(f"Programs beside it, as their linkers say: {_some(beside.programs)}.")
    if beside.silent:
        said.append(f"Programs beside it that do not say what they are made of: {_some(beside.silent)}.")
    if beside.python:
        said.append("Python distributions: as the metadata in `lib/python*/site-packages` of the store paths says.")
    if beside.unread:
        said.append(f"Not read: {_some([str(one) for one in beside.unread])}.")
    return " ".join([*said, unbuilt]) if unbuilt else " ".join(said)


def _some(names: Sequence[str]) -> str:
    more = f"; and {len(names) - _REASONS} more" if len(names) > _REASONS else ""
    return "; ".join(names[:_REASONS]) + more
