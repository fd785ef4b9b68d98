"""Cargo's unit graph: every compilation that one cargo call consists of, and what depends on what, exactly.

It is cargo's own answer for this selection of packages, features, target and profile (`--unit-graph`, The Cargo Book,
Unstable features), so features are unified as in the build. A manifest or `cargo tree` can't tell that.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.errors import ToolError
from ...provenance.json import JSONValue, read_json
from ...provenance.process import capture
from ...provenance.sbom.cargo import parse_package_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...provenance.sbom.cargo import Locked, PackageId
    from .toolchain import Toolchain


_PROFILE = ("opt_level", "debug_assertions", "overflow_checks")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKey:
    """What names one unit alike in cargo's messages and in its unit graph.

    `profile` holds `opt_level`, `debug_assertions` and `overflow_checks` as text: the settings both of them give.
    """

    package: str
    kind: str
    target: str
    features: tuple[str, ...]
    profile: tuple[str, ...]


def unit_key(document: Mapping[str, JSONValue], package: str) -> UnitKey:
    """Read the key from a `compiler-artifact` message or a unit of the unit graph."""
    target, profile, features = document["target"], document["profile"], document["features"]
    if not (isinstance(target, dict) and isinstance(profile, dict) and isinstance(features, list)):
        raise ToolError("cargo's answer has another shape than expected: target, profile or features")
    kinds = target["kind"]
    return UnitKey(
        package=package,
        kind="+".join(str(k) for k in kinds) if isinstance(kinds, list) else str(kinds),
        target=str(target["name"]),
        features=tuple(str(f) for f in features),
        profile=tuple(str(profile.get(name)) for name in _PROFILE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One compilation, or one run of a build script.

    Attributes:
        key: as in cargo's messages.
        mode: `build`, `run-custom-build`, …
        platform: the target triple, where `--target` was given; `None` for what runs on the host.
        edition, source, panic: of the target and the profile.
        uses: name under which the unit's code knows another unit (`--extern`), to that unit's index.
        identity: sha256 of all that cargo says of the unit itself: its target, features and whole profile, and by which
            names it uses others, but not which these are.
    """

    key: UnitKey
    mode: str
    platform: str | None
    edition: str
    source: Path
    panic: str
    debug_assertions: bool
    overflow_checks: bool
    uses: tuple[tuple[str, int], ...]
    identity: str

    @property
    def is_binary(self) -> bool:
        """It is a program, not a library, build script or proc-macro."""
        return self.mode == "build" and self.key.kind == "bin"

    @property
    def is_script(self) -> bool:
        """It is a build script, compiled or run."""
        return self.mode == "run-custom-build" or self.key.kind == "custom-build"

    def to_json(self) -> JSONValue:
        """Return what is remembered: the fields in their order, without their names, as units are many."""
        key = self.key
        uses: list[JSONValue] = [[name, index] for name, index in self.uses]
        found: list[JSONValue] = [key.package, key.kind, key.target, list(key.features), list(key.profile)]
        found += [self.mode, self.platform, self.edition, str(self.source), self.panic]
        return [*found, self.debug_assertions, self.overflow_checks, uses, self.identity]

    @classmethod
    def from_json(cls, *found: Any) -> Unit:
        """Make the unit that `to_json` returned.

        Raises:
            TypeError, ValueError: it is something else.
        """
        package, kind, target, features, profile, mode, platform, edition, source, panic, *rest = found
        debug_assertions, overflow_checks, uses, identity = rest
        return cls(
            key=UnitKey(package=package, kind=kind, target=target, features=tuple(features), profile=tuple(profile)),
            mode=mode,
            platform=platform,
            edition=edition,
            source=Path(source),
            panic=panic,
            debug_assertions=debug_assertions,
            overflow_checks=overflow_checks,
            uses=tuple((name, index) for name, index in uses),
            identity=identity,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitGraph:
    """The units of one call and the indices of those that were asked for."""

    units: tuple[Unit, ...]
    roots: tuple[int, ...]

    def binary(self, package: str, name: str) -> int:
        """Return the index of a binary that was asked for.

        Raises:
            ToolError: cargo's graph does not have it.
        """
        for index in self.roots:
            unit = self.units[index]
            if unit.is_binary and unit.key.target == name and unit.key.package == package:
                return index
        raise ToolError(f"cargo's unit graph has no binary `{name}`")

    def reached(self, *starts: int) -> frozenset[int]:
        """Return the units that take part in those at `starts`: they themselves, and all that is used to build them."""
        seen = set(starts)
        pending = list(starts)
        while pending:
            used = {index for _, index in self.units[pending.pop()].uses} - seen
            seen |= used
            pending += used
        return frozenset(seen)

    def packages(self, units: Iterable[int]) -> frozenset[str]:
        """Return the packages of units."""
        return frozenset(self.units[index].key.package for index in units)

    def to_json(self) -> JSONValue:
        """Return what is remembered."""
        return {"units": [unit.to_json() for unit in self.units], "roots": list(self.roots)}

    @classmethod
    def from_json(cls, found: Any) -> UnitGraph:
        """Read what `to_json` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        return cls(units=tuple(Unit.from_json(*unit) for unit in found["units"]), roots=tuple(found["roots"]))


def read_units(toolchain: Toolchain, arguments: Sequence[str], scratch: Path) -> UnitGraph:
    """Ask cargo for the graph of `cargo build ARGUMENTS`, which builds nothing.

    `scratch` is its target folder, so that not even cargo's caches in the user's own are touched.

    Raises:
        ToolError: cargo refuses, or answers in a shape that is not known.
    """
    argv = ["cargo", "build", "--unit-graph", "-Zunstable-options", "--target-dir", str(scratch), *arguments]
    output = capture(argv, cwd=toolchain.cwd, env=toolchain.environment)
    try:
        document = read_json(output)
        if not isinstance(document, dict) or document["version"] != 1:
            raise ToolError("cargo's unit graph has another version than 1")
        units, roots = document["units"], document["roots"]
        if not (isinstance(units, list) and isinstance(roots, list)):
            raise TypeError("units and roots are lists")
        graph = UnitGraph(units=tuple(_unit(u) for u in units), roots=tuple(int(str(r)) for r in roots))
        indices = {*graph.roots, *(index for unit in graph.units for _, index in unit.uses)}
        if not indices <= set(range(len(units))):
            raise ValueError("an index leads to no unit")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolError(f"cargo's unit graph has a shape that is not known: {error}") from error
    return graph


def _unit(document: JSONValue) -> Unit:
    if not isinstance(document, dict):
        raise TypeError("a unit is a table")
    target, profile, uses = document["target"], document["profile"], document["dependencies"]
    if not (isinstance(target, dict) and isinstance(profile, dict) and isinstance(uses, list)):
        raise TypeError("target, profile or dependencies")
    platform = document["platform"]
    return Unit(
        key=unit_key(document, str(document["pkg_id"])),
        mode=str(document["mode"]),
        platform=platform if isinstance(platform, str) else None,
        edition=str(target["edition"]),
        source=Path(str(target["src_path"])),
        panic=str(profile["panic"]),
        debug_assertions=profile["debug_assertions"] is True,
        overflow_checks=profile["overflow_checks"] is True,
        uses=tuple(_use(u) for u in uses),
        identity=_identity(document),
    )


def _identity(document: Mapping[str, JSONValue]) -> str:
    uses = document["dependencies"]
    own = {**document, "dependencies": sorted(_named(u) for u in uses if isinstance(u, dict))}  # type: ignore[union-attr] # a list, as its caller has seen
    return hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _named(use: Mapping[str, JSONValue]) -> str:
    return json.dumps({name: value for name, value in use.items() if name != "index"}, sort_keys=True)


def _use(document: JSONValue) -> tuple[str, int]:
    if not isinstance(document, dict):
        raise TypeError("a dependency is a table")
    fields: Mapping[str, JSONValue] = document
    return str(fields["extern_crate_name"]), int(str(fields["index"]))


class Resolutions:
    """Digests of parts of one unit graph; what binaries share is digested once."""

    def __init__(self, graph: UnitGraph, lock: Mapping[PackageId, Locked]) -> None:
        self._graph = graph
        self._lock = lock
        self._packages: dict[str, str] = {}
        self._digests: dict[int, str] = {}

    def digest(self, root: int) -> str:
        """Return the sha256 of all that the unit at `root` is made of: units, how they are used, locked packages.

        Without recursion, as graphs can be deep. It does not depend on the rest of the graph.

        Raises:
            ToolError: a unit uses itself.
        """
        pending = [(root, False)]
        open_units: set[int] = set()
        while pending:
            index, is_done = pending.pop()
            if index in self._digests:
                continue
            uses = self._graph.units[index].uses
            if is_done:
                self._digests[index] = self._combine(index)
                open_units.discard(index)
                continue
            if index in open_units:
                raise ToolError(f"cargo's unit graph goes round in a circle at `{self._graph.units[index].key.target}`")
            open_units.add(index)
            pending.append((index, True))
            pending += [(used, False) for _, used in uses if used not in self._digests]
        return self._digests[root]

    def _combine(self, index: int) -> str:
        unit = self._graph.units[index]
        used = sorted(f"{name} {self._digests[other]}" for name, other in unit.uses)
        text = "\n".join((unit.identity, self._locked(unit.key.package), *used))
        return hashlib.sha256(text.encode()).hexdigest()

    def _locked(self, package: str) -> str:
        if package not in self._packages:
            locked = self._lock.get(parse_package_id(package))
            self._packages[package] = f"{locked.checksum} {locked.commit}" if locked else ""
        return self._packages[package]
