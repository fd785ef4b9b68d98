"""What readers of package databases return: packages, the files that are theirs, and what could not be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ...errors import quoted
from ..party import Party

if TYPE_CHECKING:
    from ..inventory import Component

_ADDRESS = re.compile(r"[^<>\s@]+@[^<>\s@]+")
_LONGEST = 500
"""Characters of a maintainer that are read; what is longer is something else."""
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+@~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package.

    Attributes:
        component: of role `contained`.
        system: the distribution's own package manager installed it, and not a language's.
        database: the path of the file that says that it is installed.
        files: paths of its files, as the database has them, to their digest (`md5:…`, `sha1:…`, `sha256:…` in hex) or,
            where it has none, `None`.
        folder: a folder all of whose files are its own, if nothing nearer to them says otherwise.
        provides: what others may ask for by: its name, and what else it stands for, each with the ecosystem's prefix.
        requires: what it asks for; of each, alternatives.
    """

    component: Component
    system: bool
    database: str
    files: Mapping[str, str | None] = field(default_factory=dict)
    folder: str | None = None
    provides: frozenset[str] = frozenset()
    requires: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something that packages are listed in and that can't be read: the list is not complete then."""

    path: str
    reason: str

    def __str__(self) -> str:
        """Say it for a person."""
        return f"{quoted(shown(self.path))}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The distribution that an image is made of (os-release(5)).

    Attributes:
        component: of kind `operating-system`.
        id: as `debian`. version: as `12`; `None`: it has none, as rolling ones.
        supplier: who distributes its packages.
    """

    component: Component
    id: str
    version: str | None
    supplier: Party

    @property
    def qualifier(self) -> str:
        """What package URLs of its packages say (purl-spec, qualifier `distro`)."""
        return f"{self.id}-{self.version}" if self.version else self.id


Found: TypeAlias = Iterator[Package | Unread]


class Reader(Protocol):
    """A module that reads one kind of package database.

    Attributes:
        WANTED: matches the whole paths of the files that it reads.
    """

    WANTED: re.Pattern[str]

    def read(self, files: Mapping[str, bytes], distribution: Distribution | None) -> Found:
        """Yield the packages that `files`, by path, say are installed; what is malformed is `Unread`."""
        ...


def shown(path: str) -> str:
    """Return a path as text that can be written: bytes that are no UTF-8 are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_name(text: str | None) -> bool:
    """Tell whether a text can be the name of a distribution's package, and stand in a package URL as one."""
    return text is not None and _NAME.fullmatch(text) is not None


def maintainer(text: str | None) -> Party | None:
    """Read `NAME <ADDRESS>`, as databases name who looks after a package."""
    words = line(text[:_LONGEST]) if text else None
    if words is None:
        return None
    name, address = "", words
    if words.endswith(">"):
        name, _, address = words[:-1].rpartition("<")
    if _ADDRESS.fullmatch(address):
        return Party(name=name.strip() or address, email=address)
    return Party(name=words)


def line(text: str | None) -> str | None:
    """Return a text on one line; `None` where there is none."""
    return (" ".join(text.split()) or None) if text else None
