"""Cargo's formats, `Cargo.lock` and package ids, and crates as components."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ..digest import read_limited
from ..errors import UnreadableError
from .inventory import Component, Kind, Role
from .licence import normalise
from .party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCK_LIMIT = 64 << 20
"""Bytes of a lock file that are read."""
_BROKEN = (ValueError, RecursionError)
"""Raised by tomllib and decoding for malformed or too deeply nested TOML."""
_DEFAULT_REGISTRY = "https://github.com/rust-lang/crates.io-index"
_DEFAULT_REGISTRIES = frozenset({f"registry+{_DEFAULT_REGISTRY}", "sparse+https://index.crates.io/"})
_DEFAULT_SUPPLIER = Party(name="crates.io")
_OLD_ID = re.compile(r"(?P<name>\S+) (?P<version>\S+) \((?P<source>.+)\)\Z")
_NEW_ID = re.compile(r"(?P<source>[^#]+)#(?:(?P<name>[^@]+)@)?(?P<version>[^@]+)\Z")
_GROUP = re.compile(
    r"\b(?:authors|community|company|contributors|corporation|developers|foundation|gmbh|inc|llc|ltd|maintainers|"
    r"organi[sz]ation|project|team)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageId:
    """The identity of a package in a dependency graph.

    Attributes:
        source: as in `Cargo.lock`, without a git commit (`registry+…`, `git+…?rev=…`, `sparse+…`); `None`: a path.
    """

    name: str
    version: str
    source: str | None


def parse_package_id(text: str) -> PackageId:
    """Read a package id as cargo prints it: a Package ID Specification, or the form before cargo 1.77.

    Raises:
        UnreadableError: it is neither.
    """
    match = _taken_apart(text)
    source = match["source"]
    name = match["name"] or re.split(r"[/\\]", source.partition("?")[0].rstrip("/"))[-1].removesuffix(".git")
    return PackageId(name=name, version=match["version"], source=None if source.startswith("path+") else _bare(source))


def local_folder(text: str) -> Path | None:
    """Return the folder of the path package that an id names; `None` for a package from elsewhere.

    Raises:
        UnreadableError: it is no package id.
    """
    source = _taken_apart(text)["source"]
    return Path(unquote(urlsplit(source).path)) if source.startswith("path+") else None


def _taken_apart(text: str) -> re.Match[str]:
    match = _OLD_ID.match(text) or _NEW_ID.match(text)
    if match is None:
        raise UnreadableError(f"`{text}` is no package id of cargo's")
    return match


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package of `Cargo.lock`: its checksum (sha256 of the `.crate`) or its git commit."""

    checksum: str | None
    commit: str | None


def read_lock(path: Path) -> Mapping[PackageId, Locked]:
    """Read `Cargo.lock`, versions 1 to 4.

    Raises:
        UnreadableError: it is missing, too large, or no lock file.
    """
    return parse_lock(read_limited(path, LOCK_LIMIT), path.name)


def parse_lock(data: bytes, file: str) -> Mapping[PackageId, Locked]:
    """Read the bytes of `Cargo.lock`, versions 1 to 4; `file` names it in messages.

    Raises:
        UnreadableError: it is no lock file.
    """
    try:
        document = tomllib.loads(data.decode())
        old = {k.removeprefix("checksum "): v for k, v in document.get("metadata", {}).items()}
        found = {}
        for package in document.get("package", []):
            name, version, source = package["name"], package["version"], package.get("source")
            checksum = package.get("checksum") or old.get(f"{name} {version} ({source})")
            commit = source.partition("#")[2] if source and source.startswith("git+") else ""
            key = PackageId(name=name, version=version, source=_bare(source) if source else None)
            found[key] = Locked(checksum=checksum if checksum != "<none>" else None, commit=commit or None)
    except (*_BROKEN, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(
            f"`{file}` is no lock file of cargo's: {error}", hint="restore it from git, or let cargo make it again"
        ) from error
    return found


def package_url(package: PackageId, locked: Locked | None, project_source: str | None) -> str:
    """Return the package URL (purl-spec, type `cargo`); what is not from the default registry says where it is from.

    One whose place can't be told is of type `generic`: a `cargo` URL without a place means the default registry's.
    """
    from packageurl import PackageURL

    qualifiers: dict[str, str] = {}
    if package.source is None:
        if project_source:
            qualifiers["vcs_url"] = f"git+{project_source}"
    elif package.source.startswith("git+"):
        if address := _published(package.source.partition("?")[0]):
            qualifiers["vcs_url"] = address + (f"@{locked.commit}" if locked and locked.commit else "")
    elif package.source not in _DEFAULT_REGISTRIES and (address := _published(package.source.partition("+")[2])):
        qualifiers["repository_url"] = address
    kind = "cargo" if qualifiers or package.source in _DEFAULT_REGISTRIES else "generic"
    return PackageURL(type=kind, name=package.name, version=package.version, qualifiers=qualifiers).to_string()


def component(  # noqa: PLR0913 - independent facts
    package: PackageId,
    *,
    ref: str,
    purl: str,
    role: Role,
    features: tuple[str, ...],
    table: Mapping[str, object],
    locked: Locked | None,
    project: Party,
) -> Component:
    """Return a crate as a component; `table` is its `[package]` table, `project` the supplier of path packages."""
    licence = _text(table.get("license"))
    properties = {"cargo:source": _source_word(package)}
    if features:
        properties["cargo:features"] = ",".join(features)
    if licence is None and (licence_file := _text(table.get("license-file"))):
        properties["cargo:license-file"] = licence_file
    if locked and locked.commit:
        properties["cargo:commit"] = locked.commit
    authors = table.get("authors")
    return Component(
        ref=ref,
        kind=Kind.LIBRARY,
        role=role,
        name=package.name,
        version=package.version,
        purl=purl,
        hashes={"sha256": locked.checksum} if locked and locked.checksum else {},
        licence=normalise(licence) if licence else None,
        supplier=_supplier(package, project),
        authors=tuple(_author(a) for a in authors if isinstance(a, str)) if isinstance(authors, list) else (),
        description=_one_line(table.get("description")),
        homepage=_link(table.get("homepage")),
        repository=_link(table.get("repository")),
        download=_download(package, locked),
        properties=properties,
    )


def _bare(source: str) -> str:
    """Return a source without its commit, and its branch or tag decoded.

    Ids encode a branch or tag as URLs do, lock files before version 4 do not.
    """
    address, mark, reference = source.partition("#")[0].partition("?")
    return address + mark + unquote(reference)


def _published(address: str) -> str | None:
    """Return an address without a password or token; `None` for a path of this machine.

    Over SSH the user's name is a part of the address, and no secret.
    """
    scheme, _, rest = address.partition("://")
    if scheme.endswith("file"):
        return None
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    kept = f"{user.partition(':')[0]}{at}" if scheme.endswith("ssh") else ""
    return f"{scheme}://{kept}{host}{slash}{path}"


def _source_word(package: PackageId) -> str:
    if package.source is None:
        return "path"
    return "git" if package.source.startswith("git+") else "registry"


def _supplier(package: PackageId, project: Party) -> Party:
    if package.source is None:
        return project
    if package.source in _DEFAULT_REGISTRIES:
        return _DEFAULT_SUPPLIER
    address = _published(package.source.partition("+")[2].partition("?")[0])
    if address is None:
        return project  # a repository or registry on the local disk
    return Party(name=address.partition("://")[2].rpartition("@")[2].rstrip("/"))


def _download(package: PackageId, locked: Locked | None) -> str | None:
    if package.source and package.source.startswith("git+") and locked and locked.commit:
        address = _published(package.source.partition("?")[0])
        return f"{address}@{locked.commit}" if address else None
    return None


def _author(text: str) -> Party:
    """Return an entry of `authors`; whether it is a person only its words tell: `The X Developers`."""
    name, _, address = text.strip().partition("<")
    if not name or (address and not address.endswith(">")):
        name, address = text.strip() or "unknown", ""
    person = _GROUP.search(name) is None
    return Party(name=name.strip(), email=address.removesuffix(">").strip() or None, person=person)


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _one_line(value: object) -> str | None:
    text = _text(value)
    return " ".join(text.split()) if text else None


def _link(value: object) -> str | None:
    text = _text(value)
    return text if text and re.match(r"https?://\S+\Z", text) else None
