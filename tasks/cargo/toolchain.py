"""The Rust toolchain and cargo configuration in force in one workspace: what the user's own `cargo build` would use."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError
from ...provenance.json import JSONValue, read_json
from ...provenance.process import capture, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..memory import Memory
    from ..programs import Programs


_COMPILER = "librustc_driver-*"
"""The compiler proper, which `rustc` only starts."""
_RUSTUP = "rustup"


_TOKEN = re.compile(r'\s*(?:(?P<word>[A-Za-z_][A-Za-z0-9_]*)|"(?P<text>[^"]*)"|(?P<mark>[(),=]))')
_UNIT_SEPARATOR = "\x1f"
_LINKER = re.compile(r"(?:\A|\x1f)(?:-C\x1f?|--codegen[=\x1f])linker=([^\x1f]+)")
"""rustc's own option, in flags with unit separators between them."""


def is_understood(program: Path, sysroot: Path) -> bool:
    """Tell whether a `cargo` or `rustc` is the one below `sysroot`, or rustup's proxy, which leads there.

    Anything else, as a script or the shim of a version manager, may read unknown files before it answers.
    """
    try:
        if program.resolve() == (sysroot / "bin" / program.name).resolve():
            return True
        return program.resolve().name == _RUSTUP or program.samefile(program.with_name(_RUSTUP))
    except OSError:
        return False


def compiler_files(sysroot: Path, targets: Iterable[str]) -> list[Path]:
    """Return the files of a toolchain that decide what it makes: rustc, and the standard libraries of `targets`."""
    folders = (sysroot / "lib" / "rustlib" / target / "lib" for target in sorted(set(targets)))
    libraries = sorted(path for folder in folders for path in folder.glob("*.rlib"))
    return [sysroot / "bin" / "rustc", *sorted((sysroot / "lib").glob(_COMPILER)), *libraries]


class ToolQueries:
    """The answers of cargo and rustc in `cwd`, by command line; each is asked once.

    They are remembered for later runs after `keep` gave their fingerprint; until then for this run alone. Only queries
    whose answers follow from it belong here: versions, configuration, flags.
    """

    def __init__(self, cwd: Path) -> None:
        self.cwd = cwd
        self._answers: dict[str, str] = {}
        self._memory: Memory | None = None
        self._fingerprint = ""

    @property
    def environment(self) -> dict[str, str]:
        """For our own questions to cargo and rustc. RUSTC_BOOTSTRAP is for them alone, never for a build."""
        return clean_environment({"RUSTC_BOOTSTRAP": "1"})

    def ask(self, argv: Sequence[str]) -> str:
        """Return what a command writes to standard output.

        Raises:
            ToolError: it is missing, or fails.
        """
        question = "\0".join(argv)
        if question not in self._answers:
            output = capture(argv, cwd=self.cwd, env=self.environment)
            self._answers[question] = output.decode(errors="replace")
            self._put()
        return self._answers[question]

    def keep(self, memory: Memory, fingerprint: str) -> None:
        """Load the answers stored for the same fingerprint (a digest), and store new ones from now on."""
        self._memory, self._fingerprint = memory, fingerprint
        found = memory.get(self._key)
        entry = found if isinstance(found, dict) and found.get("ground") == fingerprint else {}
        if isinstance(stored := entry.get("said"), dict):
            new = self._answers.keys() - stored.keys()
            self._answers = {question: str(answer) for question, answer in stored.items()} | self._answers
            if not new:
                return
        self._put()

    @property
    def _key(self) -> str:
        return f"cargo.said:{self.cwd}"

    def _put(self) -> None:
        if self._memory is not None:
            self._memory.put(self._key, {"ground": self._fingerprint, "said": dict(self._answers)})


def matches(expression: str, facts: frozenset[str]) -> bool:
    """Tell whether `expression` holds for `facts`, lines as `rustc --print cfg` prints them.

    The grammar is the Rust reference's (Conditional compilation): `all()`, `any()`, `not()`, a name, `name = "value"`.

    Raises:
        ToolError: it is no such expression.

    >>> matches('cfg(all(unix, not(target_os = "macos")))', frozenset({"unix", 'target_os="linux"'}))
    True
    """
    tokens = list(_tokens(expression))
    try:
        value, rest = _predicate(tokens[2:], facts)
        if tokens[:2] != ["cfg", "("] or rest != [")"]:
            raise ValueError(rest)
    except (ValueError, IndexError, RecursionError) as error:
        raise ToolError(f"`{expression}` in cargo's configuration is no cfg expression") from error
    return value


def _tokens(expression: str) -> Iterator[str]:
    position, text = 0, expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ToolError(f"`{expression}` in cargo's configuration is no cfg expression")
        yield match["word"] or match["mark"] or f'"{match["text"]}"'
        position = match.end()


def _predicate(tokens: list[str], facts: frozenset[str]) -> tuple[bool, list[str]]:
    name, rest = tokens[0], tokens[1:]
    if not name.isidentifier():
        raise ValueError(name)
    if rest[:1] == ["="]:
        if not rest[1].startswith('"'):
            raise ValueError(rest[1])
        return f"{name}={rest[1]}" in facts, rest[2:]
    if rest[:1] != ["("]:
        return name == "true" or name in facts, rest
    values, rest = [], rest[1:]
    while rest[0] != ")":
        value, rest = _predicate(rest, facts)
        values.append(value)
        if rest[0] == ",":
            rest = rest[1:]
        elif rest[0] != ")":
            raise ValueError(rest[0])
    outcomes = {"all": all(values), "any": any(values), "not": not all(values)}
    if name not in outcomes or (name == "not" and len(values) != 1):
        raise ValueError(name)
    return outcomes[name], rest[1:]


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """rustc and cargo as they answer in `cwd` (rustup's overrides and `rust-toolchain.toml` are theirs to honour).

    Attributes:
        queries: their answers there.
    """

    queries: ToolQueries

    @property
    def cwd(self) -> Path:
        """The cargo workspace's root, from where cargo looks for its configuration."""
        return self.queries.cwd

    @property
    def environment(self) -> dict[str, str]:
        """For our own questions to cargo and rustc. RUSTC_BOOTSTRAP is for them alone, never for a build."""
        return self.queries.environment

    @cached_property
    def version(self) -> Mapping[str, str]:
        """`rustc -vV`, key to value: `release`, `commit-hash`, `host` and more.

        Raises:
            ToolError: there is no rustc, or it answers something else.
        """
        output = self.queries.ask([self.rustc, "-vV"])
        version = dict(re.findall(r"^([a-zA-Z-]+): (.*)$", output, re.MULTILINE))
        if not {"release", "host"} <= version.keys():
            raise ToolError(f"`rustc -vV` answered what was not understood in `{self.cwd}`:\n{output.strip()}")
        return version

    @property
    def host(self) -> str:
        """The host's target triple."""
        return self.version["host"]

    @cached_property
    def config(self) -> Mapping[str, JSONValue]:
        """Cargo's merged configuration files, as cargo itself reads them."""
        output = self.queries.ask(["cargo", "config", "get", "-Zunstable-options", "--format", "json"])
        try:
            config = read_json(output.encode())
        except ValueError as error:
            raise ToolError(f"`cargo config get` answered in `{self.cwd}` what is not JSON: {error}") from error
        if not isinstance(config, dict):
            raise ToolError(f"`cargo config get` answered something else than a table in `{self.cwd}`")
        return config

    @cached_property
    def rustc(self) -> str:
        """The compiler that cargo calls (The Cargo Book, `build.rustc`), without wrappers."""
        for name in ("RUSTC", "CARGO_BUILD_RUSTC"):
            if value := os.environ.get(name):
                return value
        return self.build_setting("rustc") or "rustc"

    def build_setting(self, name: str) -> str | None:
        """Return a non-empty string of the `build` table of cargo's configuration, or `None`."""
        build = self.config.get("build")
        value = build.get(name) if isinstance(build, dict) else None
        return value if isinstance(value, str) and value else None

    @cached_property
    def sysroot(self) -> Path:
        """Where the toolchain and its standard library lie."""
        return Path(self.queries.ask([self.rustc, "--print", "sysroot"]).strip())

    @property
    def default_targets(self) -> tuple[str | None, ...]:
        """The targets that cargo builds for when it is not told any; `None`: the host, without `--target`."""
        if value := os.environ.get("CARGO_BUILD_TARGET"):
            return (value,)
        build = self.config.get("build")
        target = build.get("target") if isinstance(build, dict) else None
        targets = target if isinstance(target, list) else [target]
        return tuple(t for t in targets if isinstance(t, str)) or (None,)

    @property
    def cargo_version(self) -> str:
        """Cargo's version."""
        words = self.queries.ask(["cargo", "--version"]).split()
        return words[1] if len(words) > 1 else "unknown"

    def programs(self, digests: Programs) -> Mapping[str, tuple[str, str]]:
        """Return `rustc` and `cargo`: version and sha256 of the program (the toolchain's, not rustup's proxy)."""
        versions = {"rustc": self.version["release"], "cargo": self.cargo_version}
        return {name: (version, digests.digest(self.sysroot / "bin" / name)) for name, version in versions.items()}

    def rustflags(self, target: str) -> tuple[str, ...]:
        """Return the flags that cargo passes to rustc for `target` (The Cargo Book, `build.rustflags`).

        The first source that there is counts alone; a variable that is set and empty is one, and means no flags. Within
        a source, what files say stands before what the environment says, and rustc takes the last of two.
        """
        encoded = os.environ.get("CARGO_ENCODED_RUSTFLAGS")
        if encoded is not None:
            return tuple(encoded.split(_UNIT_SEPARATOR)) if encoded else ()
        plain = os.environ.get("RUSTFLAGS")
        if plain is not None:
            return tuple(plain.split())
        if flags := self._target_rustflags(target):
            return flags
        build = self.config.get("build")
        configured = _flags(build.get("rustflags") if isinstance(build, dict) else None)
        return configured + _flags(os.environ.get("CARGO_BUILD_RUSTFLAGS"))

    def _target_rustflags(self, target: str) -> tuple[str, ...]:
        own, *conditional = self._target_tables(target)
        found = [*_flags(own.get("rustflags")), *_flags(os.environ.get(f"CARGO_TARGET_{_variable(target)}_RUSTFLAGS"))]
        return (*found, *(flag for table in conditional for flag in _flags(table.get("rustflags"))))

    def _target_tables(self, target: str) -> list[Mapping[str, JSONValue]]:
        """Return the table of a target, which may be empty, and those of the conditions that it meets."""
        tables = self.config.get("target")
        tables = tables if isinstance(tables, dict) else {}
        conditional = [k for k in tables if k.startswith("cfg(")]
        if not conditional:
            return [own if isinstance(own := tables.get(target), dict) else {}]

        facts = self._cfg(target)
        every = [tables.get(target), *(tables[k] for k in conditional if matches(k, facts))]
        return [table if isinstance(table, dict) else {} for table in every]

    def linker(self, target: str) -> str | None:
        """Return the linker that is called for `target` (The Cargo Book, `target.<triple>.linker`).

        Where none is configured it is `cc` for a Unix, which rustc calls by that name; `None`: rustc knows.
        """
        if flagged := _LINKER.findall(_UNIT_SEPARATOR.join(self.rustflags(target))):
            return str(flagged[-1])
        if value := os.environ.get(f"CARGO_TARGET_{_variable(target)}_LINKER"):
            return value
        for table in self._target_tables(target):
            if isinstance(linker := table.get("linker"), str):
                return linker
        return "cc" if target == self.host and "windows" not in target else None

    def _cfg(self, target: str) -> frozenset[str]:
        return frozenset(self.queries.ask([self.rustc, "--print", "cfg", "--target", target]).splitlines())

    def script_override(self, links: str, target: str) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the cfgs and variables that cargo's configuration sets for the library `links`, if it does.

        Then the build script of the package with this `links` does not run (The Cargo Book, Overriding Build Scripts).
        """
        tables = self.config.get("target")
        table = tables.get(target) if isinstance(tables, dict) else None
        override = table.get(links) if isinstance(table, dict) else None
        if not isinstance(override, dict):
            return (), {}
        variables = override.get("rustc-env")
        pairs = variables.items() if isinstance(variables, dict) else ()
        return _flags(override.get("rustc-cfg")), {name: value for name, value in pairs if isinstance(value, str)}

    def forced_variables(self) -> frozenset[str]:
        """Return the variables that cargo's configuration sets, whatever the environment says."""
        table = self.config.get("env")
        entries = table.items() if isinstance(table, dict) else ()
        return frozenset(name for name, entry in entries if isinstance(entry, dict) and entry.get("force") is True)

    def configured_environment(self) -> dict[str, str]:
        """Return what the `[env]` tables of cargo's configuration set (The Cargo Book, `[env]`)."""
        table = self.config.get("env")
        found: dict[str, str] = {}
        for name, entry in (table if isinstance(table, dict) else {}).items():
            settings = entry if isinstance(entry, dict) else {"value": entry}
            value = settings.get("value")
            if isinstance(value, str) and (settings.get("force") is True or name not in os.environ):
                found[name] = str(self.cwd / value) if settings.get("relative") is True else value
        return found


def _flags(value: JSONValue) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list):
        return tuple(v for v in value if isinstance(v, str))
    return ()


def _variable(target: str) -> str:
    return target.upper().replace("-", "_").replace(".", "_")
