"""Removal of artifacts from the output folder, sparing all other files."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..provenance.errors import StoreError
from ..provenance.fs import links, store
from ..provenance.oci import LAYOUT_FILE
from ..provenance.record import IMAGE, RECORD_SUFFIX, file_names

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What to remove of one artifact.

    Attributes:
        output: the output folder.
        place: the artifact's folder.
        ours: the files in it that a build writes; empty if there is no record, so the folder may be foreign.
        others: other files in it, which are kept.
        left: staging folders of killed runs.
        reason: why `place` is not touched; otherwise empty.
    """

    output: Path
    place: Path
    ours: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    left: tuple[Path, ...] = ()
    reason: str = ""


def removal_of(output: Path, folder: Path) -> Removal:
    """Find what to remove of the artifact in `output / folder`.

    Raises:
        StoreError: a folder can't be read.
    """
    place = output / folder
    try:
        if link := links.first(output, place):
            return Removal(output=output, place=place, reason=f"`{link}` is a link")
        left = tuple(store.left_over(place))
        if not place.exists():
            return Removal(output=output, place=place, left=left)
        if not place.is_dir():
            return Removal(output=output, place=place, left=left, reason="it is not a folder")
        found = sorted(place.iterdir())
    except OSError as error:
        raise StoreError(f"can't read `{error.filename or place}`: {error.strerror}") from error
    records = [p.name for p in found if p.name.endswith(RECORD_SUFFIX)]
    if not records:
        return Removal(
            output=output, place=place, left=left, reason="it contains no record, so no build may have written it"
        )
    made = {name for record in records for name in _names(record.removesuffix(RECORD_SUFFIX))}
    if (place / IMAGE / LAYOUT_FILE).is_file():
        made.add(IMAGE)
    return Removal(
        output=output,
        place=place,
        ours=tuple(p for p in found if p.name in made),
        others=tuple(p for p in found if p.name not in made),
        left=left,
    )


def remove(removal: Removal) -> None:
    """Remove the artifact and parent folders that become empty; concurrent readers see all of it or no record.

    Raises:
        StoreError: something can't be removed.
    """
    place = removal.place
    try:
        if removal.ours and not removal.others:
            aside = place.with_name(f"{store.STAGING}{place.name}-{secrets.token_hex(6)}")
            place.rename(aside)
            shutil.rmtree(aside)
        else:
            for path in sorted(removal.ours, key=lambda p: not p.name.endswith(RECORD_SUFFIX)):  # the record first
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        for folder in removal.left:
            shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(
            f"can't remove `{error.filename or place}`: {error.strerror}", hint="make the output folder writable"
        ) from error
    for parent in place.parents:
        if parent == removal.output:
            break
        with contextlib.suppress(OSError):  # not empty: it contains other artifacts
            parent.rmdir()


def _names(file: str) -> tuple[str, ...]:
    names = file_names(file)
    return names.artifact, *names.evidence, names.record
