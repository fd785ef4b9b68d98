"""What a command declares as its inputs, and their values at one moment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from ...provenance.errors import BuildError, InputChangedError, quoted
from ..builder import Declared
from ..freshness import patterns
from ..freshness.inputs import ABSENT, Kind, key, names_digest, parts
from .programs import tool_key
from .units import PLACEHOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...provenance.config import Command
    from ..freshness.inputs import Inputs, Meter
    from .programs import Programs

_RUN, _INPUTS, _EXCLUDE, _OUTPUTS = (key(Kind.SETTING, name) for name in ("run", "inputs", "exclude", "outputs"))
_WILDCARD = re.compile(r"[*?\[]")


def declare(command: Command, programs: Programs) -> Declared:
    """Return the inputs of a command that are known without running it; no folder is read for it.

    Raises:
        ToolError: the program can't be read.
    """
    values = {
        _RUN: _rendered(command.run),
        _INPUTS: _rendered(command.inputs),
        _OUTPUTS: _rendered(command.outputs),
    }
    if command.exclude:
        values[_EXCLUDE] = _rendered(command.exclude)
    measured = list(_patterns(command))
    measured += [key(Kind.VARIABLE, name) for name in command.environment]
    word = command.run[0]
    if not PLACEHOLDER.match(word):  # an upstream artifact is an input already
        if (own := programs.own_file(word)) is not None:
            measured.append(key(Kind.FILE, own))
        else:
            values[tool_key(word)] = programs.value(word)
    return Declared(values=values, measured=list(dict.fromkeys(measured)))


def _rendered(texts: tuple[str, ...]) -> str:
    """Return texts as JSON; for very many short lists this is faster than an encoder."""
    return f"[{','.join(map(encode_basestring, texts))}]"


def _patterns(command: Command) -> Iterator[str]:
    """Yield the keys of a command's patterns, from which its outputs and exclusions are taken away."""
    away = [(one, _fixed(one)) for one in (*command.exclude, *command.outputs)]
    for pattern in command.inputs:
        fixed = _fixed(pattern)
        # Only those count whose beginnings let them stand for the same file.
        near = [one for one, start in away if start.startswith(fixed) or fixed.startswith(start)]
        if fixed != pattern:
            yield key(Kind.GLOB, patterns.WITHOUT.join((pattern, *near)))
        elif not any(patterns.matches(one, pattern) for one in near):
            yield key(Kind.FILE, pattern)


def _fixed(pattern: str) -> str:
    """Return what stands before a pattern's first wildcard."""
    found = _WILDCARD.search(pattern)
    return pattern[: found.start()] if found else pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The inputs that can be measured, at one moment.

    Attributes:
        values: by their keys.
        files: path from the workspace's root to sha256, or `absent`.
        idle: patterns that stand for no file.
    """

    values: Inputs
    files: Mapping[str, str]
    idle: tuple[str, ...]

    def refuse_gaps(self) -> None:
        """Refuse what is not there: a slip of the pen would let a command never run again.

        Raises:
            BuildError: a pattern stands for no file, or a file is none.
        """
        for pattern in self.idle:
            raise BuildError(f"no file matches the input {quoted(pattern)}", hint=_HINT)
        for name, sha256 in self.files.items():
            if sha256 == ABSENT:
                raise BuildError(f"the input {quoted(name)} is no file", hint=_HINT)

    def refuse_changes_since(self, before: Measured) -> None:
        """Compare with the same inputs before the run.

        Raises:
            InputChangedError: one of them differs.
        """
        differing = (of for of in {**before.values, **self.values} if self.values.get(of) != before.values.get(of))
        for of in sorted(differing, key=lambda of: of.startswith(Kind.GLOB)):  # a file says more than its pattern
            new = of not in before.values
            raise InputChangedError(
                f"an input changed while it was being built: {quoted(parts(of)[1])}",
                hint=_WRITES if new else "run again when it holds still",
            )


def measure(declared: Declared, meter: Meter) -> Measured:
    """Measure what was declared, and each file that a pattern stands for.

    Raises:
        ToolError: an input can't be read.
    """
    values: dict[str, str] = {}
    names: list[str] = []
    idle = []
    for of in declared.measured:
        kind, name = parts(of)
        if kind is Kind.FILE:
            names.append(name)
        elif kind is Kind.GLOB:
            found = meter.files(of)
            values[of] = names_digest(found)
            names += found
            idle += [] if found else [name]
        else:
            values[of] = meter.measure(of)
    files = {name: meter.measure(key(Kind.FILE, name)) for name in names}
    return Measured(
        values=values | {key(Kind.FILE, name): value for name, value in files.items()},
        files=files,
        idle=tuple(idle),
    )


_HINT = "correct `inputs` in provenance.toml; `FOLDER/**` stands for all files of a folder"
_WRITES = "if the command itself writes it, name it in `exclude` in provenance.toml; else run again when it holds still"
