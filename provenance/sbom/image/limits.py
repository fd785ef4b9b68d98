"""How much is read of an image that nobody vouches for, and what is said where it holds more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from ...errors import UnreadableError

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what one look at an image takes; sizes in bytes.

    Attributes:
        layer: what one layer may expand to. image: what all of them may.
        ratio: how many times its compressed size a layer may expand to, once it is larger than `unsuspicious`.
        entries: members of the archives of all layers.
        nodes: files and folders of the tree that they come to, those that a member's name alone implies among them.
        steps: folders and links that are followed to where files below links come to lie.
        path: of a member's name or a link's target. name: of one part of it. names: of all names and targets together.
        extension: of one record that extends the next header (PAX, GNU long names).
        kept: of all files together that readers of packages want.
        program: of an executable that is looked into for what its linker says of it.
    """

    layer: int = 64 * GIB
    image: int = 128 * GIB
    ratio: int = 400
    unsuspicious: int = GIB
    entries: int = 1_000_000
    nodes: int = 2_000_000
    steps: int = 20_000_000
    path: int = 4096
    name: int = 255
    names: int = 256 * MIB
    extension: int = MIB
    kept: int = 384 * MIB
    program: int = 2 * GIB


def exceeded(layer: str, what: str) -> NoReturn:
    """Refuse an image for being larger than what is read of one."""
    raise UnreadableError(
        f"layer `{layer}` {what}", hint="is this image what it is taken for? see what its layers hold, with `tar -tv`"
    )
