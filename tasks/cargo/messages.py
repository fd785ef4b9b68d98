"""What cargo says while it builds: the JSON lines of `--message-format=json` (The Cargo Book, External tools)."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.json import JSONValue, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_BEGINNING = b'{"reason":'
"""How each of cargo's messages begins: it writes this key first, so that lines of others can be told apart."""
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
class Compiled:
    """One `compiler-artifact` message.

    Attributes:
        files: what the unit left, as absolute paths.
        executable: the binary, for a binary target.
        manifest: the package's Cargo.toml.
        fresh: cargo found it up to date and ran no compiler.
    """

    key: UnitKey
    files: tuple[Path, ...]
    executable: Path | None
    manifest: Path
    fresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """One `build-script-executed` message: what a package's build script asked for.

    Attributes:
        libraries: native ones to link, as `KIND=NAME` or `NAME` (The Cargo Book, Build Scripts, rustc-link-lib).
    """

    out_dir: Path
    cfgs: tuple[str, ...]
    environment: Mapping[str, str]
    libraries: tuple[str, ...]

    def found_archives(self) -> tuple[str, ...]:
        """Return the names of the static libraries that it found on the machine, rather than made of its sources."""
        parts = [one.rpartition("=") for one in self.libraries]
        names = [name.partition(":")[0] for kind, _, name in parts if kind.partition(":")[0] == "static"]
        return tuple(name for name in names if not any(self.out_dir.rglob(f"lib{name}.a")))


@dataclass(slots=True)
class Messages:
    """All that one cargo call said."""

    compiled: list[Compiled] = field(default_factory=list)
    scripts: dict[str, list[ScriptRun]] = field(default_factory=dict)


def read_messages(lines: Iterable[bytes], places: Mapping[Path, Path] | None = None) -> Iterator[Messages]:
    """Read the lines as they come; yield the same growing `Messages` after each one that matters.

    `places`: folders as cargo names them, where it runs in a container, to what they are here.
    """
    at = functools.partial(_place, places=places or {})
    found = Messages()
    for line in lines:
        if not line.startswith(_BEGINNING):
            continue  # of a wrapper, or of a proc-macro that prints
        try:
            document = read_json(line)
            if not isinstance(document, dict):
                continue
            match document.get("reason"):
                case "compiler-artifact":
                    found.compiled.append(_compiled(document, at))
                case "build-script-executed":
                    found.scripts.setdefault(str(document["package_id"]), []).append(_script(document, at))
                case _:
                    continue
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ToolError(f"cargo said what was not understood: {line[:200].decode(errors='replace')}") from error
        yield found


def _compiled(document: Mapping[str, JSONValue], at: Callable[[str], Path]) -> Compiled:
    executable = document["executable"]
    return Compiled(
        key=unit_key(document, str(document["package_id"])),
        files=tuple(at(f) for f in _texts(document["filenames"])),
        executable=at(executable) if isinstance(executable, str) else None,
        manifest=at(str(document["manifest_path"])),
        fresh=document["fresh"] is True,
    )


def _script(document: Mapping[str, JSONValue], at: Callable[[str], Path]) -> ScriptRun:
    pairs = document["env"]
    environment = dict(_pair(p) for p in pairs) if isinstance(pairs, list) else {}
    return ScriptRun(
        out_dir=at(str(document["out_dir"])),
        cfgs=_texts(document["cfgs"]),
        environment=environment,
        libraries=_texts(document["linked_libs"]),
    )


def _place(text: str, *, places: Mapping[Path, Path]) -> Path:
    path = Path(text)
    for there, here in places.items():
        if path.is_relative_to(there):
            return here / path.relative_to(there)
    return path


def _pair(value: JSONValue) -> tuple[str, str]:
    name, content = _texts(value)
    return name, content


def _texts(value: JSONValue) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {value!r}")
    return tuple(str(v) for v in value)
