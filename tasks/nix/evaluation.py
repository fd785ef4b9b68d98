"""The packages that ship, as Nix evaluates them; the result is kept until an input of the evaluation changes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError, InputChangedError, ToolError, quoted
from ...provenance.sbom.nix.store import Meta, StoreName
from .program import answer, find_nix, path_entries, read_configuration, table, text, texts
from .tree import LOCK, digests, outside, read_lock, read_tree, tracked_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...provenance.json import JSONValue
    from ..context import Context
    from .program import NixProgram

_KEY = "nix:evaluation"
_FORM = 2
"""Version of the kept form; no other one is read."""
_ATTRIBUTE = "packages"
_OUTPUT = re.compile(r"[A-Za-z0-9+._?=-]*")
"""Nix manual, "Store Path": an output's name is part of a store path's; empty if it is not a derivation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NixPackage:
    """One package of one system.

    Attributes:
        name: in `packages.SYSTEM`, or the path of its attribute.
        derivation: path of its `.drv` file; `None`: it is not a derivation.
        output: the name of the output that ships, as `out`.
        requisites: the derivations that it is built from, itself included; of images only.
    """

    name: str
    system: str
    derivation: str | None
    output: str
    requisites: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All packages that ship.

    Attributes:
        names: the names of every package that the flake has, by system.
        meta: metadata of packages, by the store paths of their outputs.
    """

    packages: tuple[NixPackage, ...]
    names: Mapping[str, Sequence[str]]
    meta: Mapping[str, Meta]


def host_system() -> str:
    """Return Nix's name for this machine's system, as `x86_64-linux`.

    >>> host_system().count("-")
    1
    """
    machine = {"arm64": "aarch64", "i386": "i686"}.get(platform.machine(), platform.machine())
    return f"{machine}-{platform.system().lower()}"


def matches(globs: Iterable[str], name: str) -> bool:
    """Tell whether one of the globs matches a package's name."""
    return any(fnmatchcase(name, glob) for glob in globs)


class Evaluator:
    """Evaluates the packages of one workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._workspace = context.workspace
        self._config = context.workspace.config.nix
        self._evaluated: str | None = None

    @cached_property
    def nix(self) -> NixProgram:
        """The program."""
        return find_nix(self._workspace)

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems that packages are built for."""
        return self._config.systems or (host_system(),)

    @property
    def flake(self) -> Path:
        """The folder of the flake."""
        return Path(os.path.normpath(self._workspace.root / self._config.flake))

    def forget(self) -> None:
        """Discard the kept result: its derivations are no longer in the store."""
        self._context.memory.put(_KEY, None)

    def evaluate(self) -> Evaluation:
        """Return the evaluated packages; for a flake, Nix is started only if an input of the evaluation has changed.

        Raises:
            ConfigError: there is no flake, or no such file.
            ToolError: Nix is missing or can't evaluate it.
            InputChangedError: the flake changed meanwhile.
        """
        answers: list[JSONValue] = []
        if self._config.packages:
            answers.append(self._flake_answer())
        if self._config.file:
            answers.append(self._file_answer(self._config.file))
        return read_answers(answers)

    def sources(self) -> dict[str, str]:
        """Return the sha256 of the files that the packages are built from, by path from the repository's root.

        Those are all tracked files, as Nix does not tell which of them it reads. For a flake they are as they were when
        it was evaluated.

        Raises:
            ToolError: one can't be read.
            InputChangedError: the flake changed since.
        """
        root = self._workspace.source.root
        if not (root / ".git").exists():
            return {}  # an expression outside a repository: it is unknown which files it reads
        files = digests(tracked_files(root, self._context.memory))
        if self._evaluated is not None and self._inputs_digest() != self._evaluated:
            raise _changed()
        return files

    def names(self) -> tuple[str, ...]:
        """Return the names of all packages that the flake has for this machine.

        Raises:
            ProvenanceError: as `evaluate`.
        """
        return tuple(
            texts(self._ask_flake("all: builtins.attrNames (all.${" + json.dumps(host_system()) + "} or { })"))
        )

    def _flake_answer(self) -> JSONValue:
        """Return Nix's answer for the flake; the kept one, if its inputs are unchanged."""
        self._require_flake()
        before = self._evaluated = self._inputs_digest()
        match self._context.memory.get(_KEY):
            case {"of": of, "answer": dict(kept)} if before is not None and of == before:
                return kept
        from .expression import of_flake

        config = self._config
        reply = self._with_requisites(self._ask_flake(of_flake(self.systems, config.packages, config.exclude)))
        if self._inputs_digest() != before:
            raise _changed()
        if before is not None:
            self._context.memory.put(_KEY, {"of": before, "answer": reply})
        return reply

    def _file_answer(self, file: str) -> JSONValue:
        """Return Nix's answer for an expression in a file, evaluated every time, as it may read anything."""
        root = self._workspace.root
        if not (root / file).is_file():
            raise ConfigError(f"provenance.toml: nix.file: there is no file {quoted(file)}")
        from .expression import of_file

        function = of_file(self.systems, self._config.attributes)
        argv = self.nix.argv("eval", "--json", "--file", f"./{file}", "--apply", function)
        return self._with_requisites(answer(self._context, argv, cwd=root, what=f"evaluate {quoted(file)}"))

    def _ask_flake(self, function: str) -> JSONValue:
        self._require_flake()
        # A flake must not decide on its own settings (`nixConfig`): it could request an impure evaluation.
        options = ("--no-update-lock-file", "--no-accept-flake-config")
        argv = self.nix.argv("eval", "--json", *options, f".#{_ATTRIBUTE}", "--apply", function)
        return answer(self._context, argv, cwd=self.flake, what=f"evaluate the flake in {quoted(self._config.flake)}")

    def _require_flake(self) -> None:
        if not (self.flake / "flake.nix").is_file():  # Nix would look for one in the parent folders
            raise ConfigError(
                f"there is no `flake.nix` in {quoted(self._config.flake)}", hint="correct `flake` in `[nix]`"
            )

    def _with_requisites(self, reply: JSONValue) -> JSONValue:
        """Add to an answer, for each image, all derivations that it is built from, those of its programs included."""
        if not isinstance(reply, dict):
            return reply
        within: dict[str, JSONValue] = {}
        for derivation in images_of(reply, self._config.images):
            argv = self.nix.argv("path-info", "--json", "--derivation", "--recursive", derivation)
            listed = answer(self._context, argv, cwd=self._workspace.root, what=f"read {quoted(derivation)}")
            within[derivation] = [path for path, _ in path_entries(listed)]
        return {**reply, "within": within}

    def _inputs_digest(self) -> str | None:
        """Return a digest of all inputs of the flake's evaluation; `None`: it is impure, and may depend on anything."""
        configuration = read_configuration()
        if not configuration.is_pure:
            return None
        tree = read_tree(self.flake, self._context.memory)
        folders = [self.flake / locked.path for locked in read_lock(self.flake) if locked.path]
        config = self._config
        everything = [
            _FORM,
            self._context.programs.digest(self.nix.path),
            configuration.digest,
            [str(tree.root), tree.state, LOCK, config.flake],
            outside(tree.root, [Path(os.path.normpath(folder)) for folder in folders]),
            [self.systems, config.packages, config.exclude, config.images, config.experimental_features],
        ]
        return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def _changed() -> InputChangedError:
    return InputChangedError("the flake changed while it was evaluated", hint="run again when it holds still")


def images_of(reply: Mapping[str, JSONValue], globs: Sequence[str]) -> list[str]:
    """Return the derivations of those packages of one answer that are images, each once."""
    images = (package.derivation for package in _packages(reply) if matches(globs, package.name))
    return list(dict.fromkeys(derivation for derivation in images if derivation))


def read_answers(answers: Iterable[JSONValue]) -> Evaluation:
    """Read Nix's answers for a flake and for a file.

    Raises:
        ToolError: they have another form than `expression` requests.
    """
    packages: list[NixPackage] = []
    names: dict[str, list[str]] = {}
    meta: dict[str, Meta] = {}
    for reply in answers:
        if not isinstance(reply, dict):
            raise ToolError("nix answers something else than it was asked for: no set of packages")
        packages += _packages(reply)
        for system, listed in table(reply.get("names")).items():
            names.setdefault(system, []).extend(texts(listed))
        entries = reply.get("meta")
        for entry in map(table, entries if isinstance(entries, list) else []):
            meta |= dict.fromkeys(texts(entry.get("paths")), _meta(entry))
    return Evaluation(packages=tuple(packages), names=names, meta=meta)


def _packages(reply: Mapping[str, JSONValue]) -> Iterator[NixPackage]:
    within = table(reply.get("within"))
    store = reply.get("store")
    for system, listed in table(reply.get("packages")).items():
        for name, package in table(listed).items():
            match package:
                case {"derivation": str() | None as derivation, "output": str(output)}:
                    _refuse_forged(name, derivation, output, store)
                    yield NixPackage(
                        name=name,
                        system=system,
                        derivation=derivation,
                        output=output,
                        requisites=frozenset(texts(within.get(derivation or ""))),
                    )
                case _:
                    raise ToolError("nix answers something else than it was asked for: a package has no `derivation`")


def _refuse_forged(name: str, derivation: str | None, output: str, store: JSONValue) -> None:
    """Refuse a set that only claims to be a derivation: its values become arguments on Nix's command line.

    There `--post-build-hook`, for one, would be an option, and a program of the flake's choice would run.
    """
    folder, _, base = (derivation or "").rpartition("/")
    is_derivation = folder == store and base.endswith(".drv") and StoreName.parse(base) is not None
    if derivation is not None and not is_derivation:
        raise ToolError(
            f"the package {quoted(name)} says that its derivation is {quoted(derivation)}, which no store has",
            hint="leave it out in `[nix]`; a package has to be what `derivation` returns",
        )
    if not _OUTPUT.fullmatch(output):
        raise ToolError(f"the package {quoted(name)} has an output {quoted(output)}, which can't be the name of one")


def _meta(entry: Mapping[str, JSONValue]) -> Meta:
    return Meta(
        name=text(entry.get("name")),
        version=text(entry.get("version")),
        licences=tuple(texts(entry.get("licences"))),
        homepage=text(entry.get("homepage")),
        description=text(entry.get("description")),
    )
