"""One call of cargo, or of a tool with its command line, and the messages it writes meanwhile.

The JSON lines of `--message-format=json`: The Cargo Book, External tools.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.config import CargoTool
from ...provenance.errors import BuildError, ToolError
from ...provenance.json import JSONValue, read_json
from ...provenance.process import clean_environment, lines
from .manifest_scan import cargo_home
from .units import UnitKey, unit_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from ..progress.progress import Progress
    from .discover import Binary, Group
    from .units import UnitGraph


_BEGINNING = b'{"reason":'
"""How each of cargo's messages begins: it writes this key first, so that lines of others can be told apart."""


_SUBCOMMANDS = {
    CargoTool.CARGO: ("cargo", "build"),
    CargoTool.CARGO_ZIGBUILD: ("cargo", "zigbuild"),
    CargoTool.CROSS: ("cross", "build"),
}
_NO_LOCK = "there is no Cargo.lock, and `--locked` lets cargo make none: run `cargo generate-lockfile`, and commit it"


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
    """The messages of one cargo call."""

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


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One successful call: its messages, and the unit graph of its group.

    Attributes:
        started, finished: UTC.
    """

    messages: Messages
    graph: UnitGraph
    started: datetime
    finished: datetime

    @cached_property
    def manifests(self) -> Mapping[str, Path]:
        """The manifest of each package."""
        return {one.key.package: one.manifest for one in self.messages.compiled}

    def executable(self, binary: Binary) -> Path:
        """Return where the call left a binary.

        Raises:
            ToolError: it did not say.
        """
        for one in self.messages.compiled:
            if one.executable and one.key.package == binary.package.id and one.key.target == binary.target:
                return one.executable
        raise ToolError(f"cargo did not say where it left `{binary.target}` of package `{binary.package.name}`")


def build(
    group: Group,
    binaries: Sequence[Binary],
    tool: CargoTool,
    *,
    progress: Progress,
    pool: Executor,
    graph: Callable[[], UnitGraph],
) -> Invocation:
    """Build `binaries`, all of `group`; what the tool says goes to `progress`.

    The unit graph of the whole group is found out meanwhile, by `graph` in `pool`.

    Raises:
        BuildError: the tool failed; it has said why to `progress`.
        ToolError: it can't be started, or said what was not understood.
    """
    names = [word for b in binaries for word in ("--bin", b.target)]
    target = ["--target", group.triple] if group.triple else []
    argv = [*_SUBCOMMANDS[tool], *group.selection(), *target, *names, "--message-format", "json-render-diagnostics"]
    places = _places_in_container(group) if tool is CargoTool.CROSS else {}
    started = datetime.now(UTC)
    known: Future[UnitGraph] | None = None
    messages = Messages()
    with progress.call([b.artifact for b in binaries], argv) as sink:
        with lines(argv, cwd=group.root, env=_environment(progress), sink=sink) as (output, process):
            for found in read_messages(output, places):
                messages = found
                # Cargo has resolved by its first message, so a query now does not wait for its lock.
                known = known or pool.submit(graph)
        if process.returncode != 0:
            if known is not None:
                known.cancel()
            asked = ", ".join(f"`{b.artifact.id}`" for b in binaries)
            raise BuildError(
                f"`{' '.join(argv[:2])}` failed for {asked} (exit code {process.returncode})",
                hint=None if (group.root / "Cargo.lock").exists() else _NO_LOCK,
            )
    finished = datetime.now(UTC)
    known = known or pool.submit(graph)
    return Invocation(messages=messages, graph=known.result(), started=started, finished=finished)


def expected_executable(group: Group, binary: Binary) -> Path:
    """Return where an earlier build left a binary, if there was one (The Cargo Book, Build cache)."""
    folder = {"dev": "debug", "test": "debug", "bench": "release"}.get(group.profile, group.profile)
    return group.target_directory / (group.platform if group.triple else "") / folder / binary.artifact.file


def _environment(progress: Progress) -> Mapping[str, str]:
    """Return what cargo is called with: colours where a person will see them, and never a bar that redraws itself."""
    colours = {"CARGO_TERM_COLOR": "always"} if progress.colours else {}
    return {**colours, **clean_environment({"CARGO_TERM_PROGRESS_WHEN": "never"})}


def _places_in_container(group: Group) -> Mapping[Path, Path]:
    """Return the folders that cross's containers know under names of their own, to what they are here."""
    return {Path("/target"): group.target_directory, Path("/cargo"): cargo_home()}
