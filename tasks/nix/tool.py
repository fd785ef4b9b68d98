"""The program `nix`: where it is, its version, and what it answers."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.json import read_json
from ...provenance.process import capture, clean_environment, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...provenance.json import JSONValue
    from ..context import Context
    from ..workspace import Workspace

_LIMIT = 512 << 20
"""Bytes of an answer: the derivations behind a large package are some hundred megabytes."""
_SAID = 256 << 10
"""Characters of standard error that are kept."""
_FEATURES = ("--extra-experimental-features", "nix-command flakes")
_VERSION = re.compile(r"\b(\d+)\.(\d+)")
_SELECTING_OUTPUTS = (2, 13)
"""Since Nix 2.13 a derivation's outputs are named with `^`; since 2.15 a `.drv` alone means that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nix:
    """The program of this run.

    Attributes:
        path: absolute.
        features: whether experimental features are enabled by the command line.
    """

    path: Path
    features: bool

    def argv(self, *arguments: str) -> list[str]:
        """Return the words of a call."""
        return [str(self.path), *(_FEATURES if self.features else ()), *arguments]

    def version(self) -> str:
        """Return its version, as `2.8.0`.

        Raises:
            ToolError: it can't be started.
        """
        said = capture([str(self.path), "--version"], cwd=Path("/"), env=clean_environment(), timeout=60)
        return said.decode(errors="replace").strip().rpartition(" ")[2]

    def installable(self, derivation: str, outputs: Iterable[str]) -> str:
        """Return how a call names outputs of a derivation; to an older Nix it names all of them.

        Raises:
            ToolError: the program can't be started.
        """
        found = _VERSION.search(self.version())
        selects = found is not None and (int(found[1]), int(found[2])) >= _SELECTING_OUTPUTS
        return f"{derivation}^{','.join(sorted(outputs))}" if selects else derivation


def find_nix(workspace: Workspace) -> Nix:
    """Return the program that `nix` names.

    Raises:
        ToolError: there is none.
    """
    path = shutil.which("nix")
    if path is None:
        raise ToolError(
            "`nix` is not installed or not on the PATH",
            hint="install Nix, or take `[nix]` out of provenance.toml",
        )
    # Links stay: the program is told by its name what it shall be.
    return Nix(path=Path.cwd() / path, features=workspace.config.nix.experimental_features)


def answer(context: Context, argv: Sequence[str], *, cwd: Path, what: str) -> JSONValue:
    """Ask Nix for something in JSON.

    That it waits for another process is told at once, as nothing else would tell why nothing happens.

    Args:
        context: the run, whose progress is told.
        argv: of the call.
        cwd: where it is started.
        what: it can't do, if it can't, as `evaluate …`.

    Raises:
        ToolError: it failed, with its own message; or it answered something else.
    """
    from .failures import hint_for, is_waiting, message_of

    said: list[str] = []
    left = _SAID

    def listen(piece: bytes) -> None:
        nonlocal left
        line = piece.decode(errors="replace")
        if left > 0:
            said.append(line)
            left -= len(line)
        if is_waiting(line):
            context.progress.notice("nix.waiting", f"nix: {message_of(line)}")

    pieces: list[bytes] = []
    size = 0
    with lines(argv, cwd=cwd, env=clean_environment(), sink=listen) as (output, process):
        for line in output:
            pieces.append(line)
            size += len(line)
            if size > _LIMIT:
                raise ToolError(f"nix can't {what}: it answers with more than the {_LIMIT:,} bytes that are read")
        code = process.wait()
    if code != 0:
        text = "".join(said)
        raise ToolError(f"nix can't {what}:\n{message_of(text)}", hint=hint_for(text))
    try:
        return read_json(b"".join(pieces))
    except ValueError as error:
        raise ToolError(f"nix can't {what}: its answer is not JSON: {error}") from error
