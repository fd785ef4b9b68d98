"""The program `nix`: its path and version, its configuration, and its answers in JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.digest import read_limited
from ...provenance.errors import ToolError, UnreadableError
from ...provenance.json import read_json
from ...provenance.process import capture, clean_environment, lines
from ..freshness.inputs import ABSENT, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...provenance.errors import ProvenanceError
    from ...provenance.json import JSONValue
    from ...provenance.process import Sink
    from ..context import Context
    from ..workspace import Workspace

_LIMIT = 512 << 20
"""Bytes of an answer: the derivations behind a large package take some hundred megabytes."""
_STDERR = 256 << 10
"""Characters of standard error that are kept."""
_FEATURES = ("--extra-experimental-features", "nix-command flakes")
_VERSION = re.compile(r"\b(\d+)\.(\d+)")
_SELECTING_OUTPUTS = (2, 13)
"""Since Nix 2.13 `^` selects outputs of a derivation; since 2.15 a `.drv` alone means that file."""
_CONFIGURATION_LIMIT = 1 << 20
_FILES = 100
"""Files of configuration that are read: includes may be circular."""
_INCLUDE = re.compile(r"^[ \t]*!?include[ \t]+(\S[^\n#]*)", re.MULTILINE)
_TRUSTED = "trusted-settings.json"
"""Settings of flakes that the user has permanently accepted."""
_TRUSTS_IMPURE = re.compile(r'"(extra-)?pure-eval"')
_IMPURE = re.compile(r"^[ \t]*(extra-)?pure-eval[ \t]*=[ \t]*(false|no|0)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NixProgram:
    """The program of this run.

    Attributes:
        path: absolute.
        features: whether to enable experimental features on the command line.
    """

    path: Path
    features: bool

    def argv(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [str(self.path), *(_FEATURES if self.features else ()), *arguments]

    def version(self) -> str:
        """Return its version, as `2.8.0`.

        Raises:
            ToolError: it can't be started.
        """
        output = capture([str(self.path), "--version"], cwd=Path("/"), env=clean_environment(), timeout=60)
        return output.decode(errors="replace").strip().rpartition(" ")[2]

    def installable(self, derivation: str, outputs: Iterable[str]) -> str:
        """Return the argument that selects outputs of a derivation; for an older Nix it selects all of them.

        Raises:
            ToolError: the program can't be started.
        """
        version = _VERSION.search(self.version())
        selects = version is not None and (int(version[1]), int(version[2])) >= _SELECTING_OUTPUTS
        return f"{derivation}^{','.join(sorted(outputs))}" if selects else derivation


def find_nix(workspace: Workspace) -> NixProgram:
    """Find `nix` on the PATH.

    Raises:
        ToolError: it is not there.
    """
    path = shutil.which("nix")
    if path is None:
        raise ToolError(
            "`nix` is not installed or not on the PATH",
            hint="install Nix, or take `[nix]` out of provenance.toml",
        )
    # Links are not resolved: the program acts by the name it is called by.
    return NixProgram(path=Path.cwd() / path, features=workspace.config.nix.experimental_features)


def answer(context: Context, argv: Sequence[str], *, cwd: Path, what: str) -> JSONValue:
    """Run Nix and return its answer in JSON.

    That Nix waits for another process is reported at once, as it can take long.

    Args:
        context: receives the progress.
        argv: the command line.
        cwd: its working directory.
        what: completes the message `nix can't …`, as `evaluate …`.

    Raises:
        ToolError: it failed, with its own message; or its answer is not JSON.
    """
    from .log import hint_for, is_waiting, message_of

    errors: list[str] = []
    left = _STDERR

    def listen(piece: bytes) -> None:
        nonlocal left
        line = piece.decode(errors="replace")
        if left > 0:
            errors.append(line)
            left -= len(line)
        if is_waiting(line):
            context.progress.notice("nix.waiting", f"nix: {message_of(line)}")

    too_large = ToolError(f"nix can't {what}: it answers with more than the {_LIMIT:,} bytes that are read")
    output, code = run_nix(argv, cwd=cwd, sink=listen, limit=_LIMIT, too_large=too_large)
    if code != 0:
        text = "".join(errors)
        raise ToolError(f"nix can't {what}:\n{message_of(text)}", hint=hint_for(text))
    try:
        return read_json(output)
    except ValueError as error:
        raise ToolError(f"nix can't {what}: its answer is not JSON: {error}") from error


def run_nix(argv: Sequence[str], *, cwd: Path, sink: Sink, limit: int, too_large: ProvenanceError) -> tuple[bytes, int]:
    """Run Nix; return its standard output and exit code. Standard error goes to `sink`.

    Raises:
        ProvenanceError: `too_large`, if the output has more than `limit` bytes.
        ToolError: it can't be started.
    """
    pieces: list[bytes] = []
    size = 0
    with lines(argv, cwd=cwd, env=clean_environment(), sink=sink) as (output, process):
        for line in output:
            pieces.append(line)
            size += len(line)
            if size > limit:
                raise too_large
        return b"".join(pieces), process.wait()


def text(value: JSONValue) -> str:
    """Return a text of an answer; empty: it is missing or something else, as in answers of other versions."""
    return value if isinstance(value, str) else ""


def texts(value: JSONValue) -> list[str]:
    """Return the texts of a list of an answer."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def table(value: JSONValue) -> Mapping[str, JSONValue]:
    """Return an object of an answer; empty: it is missing or something else."""
    return value if isinstance(value, dict) else {}


def path_entries(value: JSONValue) -> list[tuple[str, JSONValue]]:
    """Return the entries of `nix path-info` by path: a list of objects before Nix 2.19, an object by path since."""
    if isinstance(value, dict):
        return [*value.items()]
    listed = value if isinstance(value, list) else []
    return [(str(entry["path"]), entry) for entry in listed if isinstance(entry, dict) and "path" in entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class NixConfiguration:
    """Nix's own configuration, as far as it can change the result of an evaluation.

    Attributes:
        digest: of all of it, in hex.
        is_pure: evaluations can read only their flake and its inputs.
    """

    digest: str
    is_pure: bool


def read_configuration(environ: Mapping[str, str] = os.environ) -> NixConfiguration:
    """Read `nix.conf`, with its includes, and the user's (nix.conf(5)); registries, trusted settings, `NIX_…`."""
    waiting = list(_configuration_files(environ))
    contents = {"NIX_CONFIG": environ.get("NIX_CONFIG", "")}
    while waiting and len(contents) < _FILES:
        path = waiting.pop(0)
        if str(path) in contents:
            continue
        try:
            content = read_limited(path, _CONFIGURATION_LIMIT).decode(errors="replace")
        except UnreadableError:  # missing, or unreadable for Nix as well
            content = ABSENT
        contents[str(path)] = content
        if path.suffix != ".json":
            waiting += [path.parent / include[1].strip() for include in _INCLUDE.finditer(content)]
    variables = {name: variable(name) for name in environ if name.startswith("NIX_") and name != "NIX_CONFIG"}
    everything = json.dumps([contents, variables], sort_keys=True)
    return NixConfiguration(
        digest=hashlib.sha256(everything.encode(errors="surrogateescape")).hexdigest(),
        is_pure=not any(
            (_TRUSTS_IMPURE if path.endswith(_TRUSTED) else _IMPURE).search(content)
            for path, content in contents.items()
        ),
    )


def _configuration_files(environ: Mapping[str, str]) -> Iterator[Path]:
    system = Path(environ.get("NIX_CONF_DIR") or "/etc/nix")
    yield from (system / "nix.conf", system / "registry.json")
    home = _user_folder(environ, "XDG_CONFIG_HOME", ".config")
    if data := _user_folder(environ, "XDG_DATA_HOME", ".local/share"):
        yield Path(data) / "nix" / _TRUSTED
    folders = [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    if home:
        yield Path(home) / "nix" / "registry.json"
    own = environ.get("NIX_USER_CONF_FILES")
    paths = own.split(":") if own is not None else [f"{folder}/nix/nix.conf" for folder in folders if folder]
    yield from map(Path, filter(None, paths))


def _user_folder(environ: Mapping[str, str], name: str, default: str) -> str:
    return environ.get(name) or (f"{environ['HOME']}/{default}" if environ.get("HOME") else "")
