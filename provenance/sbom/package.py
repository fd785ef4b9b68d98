"""Installed packages as readers of package databases return them, and the text formats that these readers share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ..errors import quoted
from .party import Party

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .inventory import Component

_ADDRESS = re.compile(r"[^<>\s@]+@[^<>\s@]+")
_LONGEST_MAINTAINER = 500
"""Characters of a maintainer field that are read."""
_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+@~-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed package.

    Attributes:
        component: of role `contained`.
        system: installed by the distribution's package manager, not by a language's.
        database: path of the file that lists the package as installed.
        files: paths of its files, as in the database, to their digest (`md5:…`, `sha1:…`, `sha256:…` in hex) or `None`
            if the database has no digest.
        folder: a folder whose files all belong to this package, unless a more specific claim exists.
        provides: names by which other packages may require this one, each with the ecosystem's prefix.
        requires: required names; for each requirement its alternatives.
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
    """A source of package information that can't be read, which makes the list of packages incomplete."""

    path: str
    reason: str

    def __str__(self) -> str:
        """Return path and reason for display."""
        return f"{quoted(shown(self.path))}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The operating system distribution of an image (os-release(5)).

    Attributes:
        component: of kind `operating-system`.
        id: as `debian`. version: as `12`; `None` for rolling releases.
        supplier: who distributes its packages.
    """

    component: Component
    id: str
    version: str | None
    supplier: Party

    @property
    def qualifier(self) -> str:
        """Value of the qualifier `distro` in package URLs of its packages (purl-spec)."""
        return f"{self.id}-{self.version}" if self.version else self.id


PackageIterator: TypeAlias = Iterator[Package | Unread]


class Reader(Protocol):
    """A module that reads one kind of package database.

    Attributes:
        WANTED: matches the whole paths of the files that it reads.
    """

    WANTED: re.Pattern[str]

    def read(self, files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:
        """Yield the installed packages that `files`, by path, list; malformed entries are `Unread`."""
        ...


def edges(packages: Iterable[Package]) -> Mapping[str, set[str]]:
    """Return the `ref` of each package to the `ref`s of the installed packages that it requires.

    The first installed alternative counts, and the first package that provides a name. Required versions are ignored:
    whatever is installed is used.
    """
    packages = tuple(packages)
    providers: dict[str, str] = {}
    for package in packages:
        for name in sorted(package.provides):
            providers.setdefault(name, package.component.ref)
    required: dict[str, set[str]] = {}
    for package in packages:
        refs = required.setdefault(package.component.ref, set())
        for alternatives in package.requires:
            ref = next((providers[name] for name in alternatives if name in providers), None)
            if ref is not None and ref != package.component.ref:
                refs.add(ref)
    return required


def paragraphs(text: str) -> Iterator[Mapping[str, list[str]]]:
    """Yield the paragraphs of `Key: value` lines in a Debian control file (deb822(5)), separated by blank lines."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        if fields := paragraph(block):
            yield fields


def paragraph(text: str) -> Mapping[str, list[str]]:
    """Read one paragraph (deb822(5), Python core metadata), up to a blank line: lower-case keys to all their values.

    Continuation lines are joined to their value by newlines.
    """
    fields: dict[str, list[list[str]]] = {}
    value: list[str] | None = None
    for row in text.lstrip("\n").split("\n"):
        if not row.strip():
            break
        if row[0] in " \t":
            if value is not None:
                value.append(row.strip())
            continue
        key, colon, first_line = row.partition(":")
        if colon:
            value = [first_line.strip()]
            fields.setdefault(key.strip().lower(), []).append(value)
    return {key: ["\n".join(value) for value in values] for key, values in fields.items()}


def first(fields: Mapping[str, list[str]], key: str) -> str | None:
    """Return the first value of a key; `None` if it is missing, empty or `UNKNOWN`."""
    values = fields.get(key)
    return values[0] if values and values[0] not in {"", "UNKNOWN"} else None


def shown(path: str) -> str:
    """Return a path as printable text: bytes that are not UTF-8 are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_name(text: str | None) -> bool:
    """Tell whether a text is a valid name of a distribution's package."""
    return text is not None and _NAME.fullmatch(text) is not None


def maintainer(text: str | None) -> Party | None:
    """Parse `NAME <ADDRESS>`, the format of maintainer fields."""
    words = line(text[:_LONGEST_MAINTAINER]) if text else None
    if words is None:
        return None
    name, address = "", words
    if words.endswith(">"):
        name, _, address = words[:-1].rpartition("<")
    if _ADDRESS.fullmatch(address):
        return Party(name=name.strip() or address, email=address)
    return Party(name=words)


def line(text: str | None) -> str | None:
    """Return a text on one line with single spaces; `None` if it is empty."""
    return (" ".join(text.split()) or None) if text else None
