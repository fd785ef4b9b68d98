"""Language runtimes installed without a package manager, as in official images.

Their version comes from a file that they install, not from guesses about a program's bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..inventory import Component, Kind, Role
from ..package import Package, Unread
from ..party import Party

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..package import Distribution, PackageIterator

_PYTHON = re.compile(r"(?P<prefix>(?:.*/)?)include/python(?P<minor>\d+\.\d+)t?/patchlevel\.h")
_NODE = re.compile(r"(?P<prefix>(?:.*/)?)include/node/node_version\.h")
_GO = re.compile(r"(?P<prefix>(?:.*/)?go/)VERSION")
_JAVA = re.compile(r"(?P<prefix>(?:.*/)?[^/]+/)release")
WANTED = re.compile("|".join(re.sub(r"\?P<\w+>", "?:", p.pattern) for p in (_PYTHON, _NODE, _GO, _JAVA)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runtime:
    """The facts about a runtime other than its version."""

    name: str
    licence: str | None
    maker: Party


_CPYTHON = _Runtime(
    name="python",
    licence="PSF-2.0",
    maker=Party(name="Python Software Foundation", url="https://www.python.org"),
)
_NODEJS = _Runtime(name="node", licence="MIT", maker=Party(name="OpenJS Foundation", url="https://nodejs.org"))
_GOLANG = _Runtime(name="go", licence="BSD-3-Clause", maker=Party(name="The Go Authors", url="https://go.dev"))


def read(files: Mapping[str, bytes], distribution: Distribution | None) -> PackageIterator:  # noqa: ARG001 - `Reader.read`
    """Yield the runtimes, including those of the distribution's packages, which `scan` drops."""
    for path, data in sorted(files.items()):
        text = data.decode("utf-8", "replace")
        for pattern, reader in _READERS:
            if match := pattern.fullmatch(path):
                package = reader(path, match, text)
                if package is not None:
                    yield package


def _python(path: str, match: re.Match[str], text: str) -> Package | Unread:
    prefix, minor = match["prefix"], match["minor"]
    version = re.search(r'^#define\s+PY_VERSION\s+"([^"\s]+)"', text, re.MULTILINE)
    if version is None:
        return Unread(path=path, reason="it names no version of Python")
    programs = (f"bin/python{minor}", f"lib/libpython{minor}.so.1.0", "lib/libpython3.so", f"bin/python{minor}-config")
    return _package(
        path, _CPYTHON, version[1], folder=f"{prefix}lib/python{minor}", files=(prefix + p for p in programs)
    )


def _node(path: str, match: re.Match[str], text: str) -> Package | Unread:
    parts = [re.search(rf"^#define\s+NODE_{part}_VERSION\s+(\d+)", text, re.MULTILINE) for part in _NODE_PARTS]
    if not all(parts):
        return Unread(path=path, reason="it names no version of Node.js")
    version = ".".join(part[1] for part in parts if part)
    prefix = match["prefix"]
    return _package(path, _NODEJS, version, folder=f"{prefix}include/node", files=(f"{prefix}bin/node",))


def _go(path: str, match: re.Match[str], text: str) -> Package | None:
    version = re.match(r"go(\d[^\s]*)\s*$", text, re.MULTILINE)
    if version is None:
        return None  # a file of this name may be anything
    return _package(path, _GOLANG, version[1], folder=match["prefix"].rstrip("/"), files=())


def _java(path: str, match: re.Match[str], text: str) -> Package | None:
    """Read the `release` file of a JDK (JEP 223, JEP 322)."""
    facts = dict(re.findall(r'^([A-Z_]+)="([^"\n]*)"\s*$', text, re.MULTILINE))
    version = facts.get("JAVA_RUNTIME_VERSION") or facts.get("JAVA_VERSION")
    if not version:
        return None  # a file of this name may be anything
    maker = Party(name=facts.get("IMPLEMENTOR") or "unknown")
    runtime = _Runtime(name="openjdk", licence=None, maker=maker)
    return _package(path, runtime, version, folder=match["prefix"].rstrip("/"), files=())


_NODE_PARTS = ("MAJOR", "MINOR", "PATCH")
_READERS: tuple[tuple[re.Pattern[str], Callable[[str, re.Match[str], str], Package | Unread | None]], ...] = (
    (_PYTHON, _python),
    (_NODE, _node),
    (_GO, _go),
    (_JAVA, _java),
)


def _package(path: str, runtime: _Runtime, version: str, *, folder: str, files: Iterable[str]) -> Package:
    from packageurl import PackageURL

    purl = PackageURL("generic", None, runtime.name, version).to_string()
    component = Component(
        ref=purl,
        kind=Kind.APPLICATION,
        role=Role.CONTAINED,
        name=runtime.name,
        version=version,
        purl=purl,
        licence=runtime.licence,
        supplier=runtime.maker,
        authors=(runtime.maker,),
        homepage=runtime.maker.url,
    )
    return Package(component=component, system=False, database=path, files=dict.fromkeys((path, *files)), folder=folder)
