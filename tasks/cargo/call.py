"""One call of cargo, or of a tool that is called as cargo is, for the binaries of one group."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.config import CargoTool
from ...provenance.errors import BuildError, ToolError
from ...provenance.process import clean_environment, lines
from .configuration import cargo_home
from .messages import Messages, read_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from ..progress.progress import Progress
    from .discover import Binary, Group
    from .units import UnitGraph

_SUBCOMMANDS = {
    CargoTool.CARGO: ("cargo", "build"),
    CargoTool.CARGO_ZIGBUILD: ("cargo", "zigbuild"),
    CargoTool.CROSS: ("cross", "build"),
}
_NO_LOCK = "there is no Cargo.lock, and `--locked` lets cargo make none: run `cargo generate-lockfile`, and commit it"


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call that ended well said, and the graph of what it was asked for.

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
) -> Call:
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
                # Cargo has resolved by its first message, so asking it now makes nobody wait for a lock.
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
    return Call(messages=messages, graph=known.result(), started=started, finished=finished)


def likely_executable(group: Group, binary: Binary) -> Path:
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
