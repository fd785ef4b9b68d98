"""What Nix makes of a workspace's packages: their derivations; kept while nothing that an evaluation sees changes."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.errors import ConfigError, InputChangedError, quoted
from .configuration import read_configuration
from .lock import LOCK, read_lock
from .packages import Evaluation, images_of, read_answers
from .tool import answer, find_nix
from .tree import digests, outside, read_tree, tracked_files

if TYPE_CHECKING:
    from ...provenance.json import JSONValue
    from ..context import Context
    from .tool import Nix

_KEY = "nix:evaluation"
_FORM = 2
"""Of what is kept; another one is not read."""
_ATTRIBUTE = "packages"


def host_system() -> str:
    """Return what Nix calls this machine's system, as `x86_64-linux`.

    >>> host_system().count("-")
    1
    """
    machine = {"arm64": "aarch64", "i386": "i686"}.get(platform.machine(), platform.machine())
    return f"{machine}-{platform.system().lower()}"


def _changed() -> InputChangedError:
    return InputChangedError("the flake changed while it was evaluated", hint="run again when it holds still")


class Evaluator:
    """Evaluates the packages of one workspace."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._workspace = context.workspace
        self._config = context.workspace.config.nix
        self._evaluated: str | None = None

    @cached_property
    def nix(self) -> Nix:
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
        """Evaluate anew the next time: what was evaluated before is no longer in the store."""
        self._context.memory.put(_KEY, None)

    def evaluate(self) -> Evaluation:
        """Return what the packages come to; of a flake, Nix is asked only if something that it sees has changed.

        Raises:
            ConfigError: there is no flake, or no such file.
            ToolError: Nix is missing or can't evaluate it.
            InputChangedError: the flake changed meanwhile.
        """
        answers: list[JSONValue] = []
        if self._config.packages:
            answers.append(self._of_flake())
        if self._config.file:
            answers.append(self._of_file(self._config.file))
        return read_answers(answers)

    def sources(self) -> dict[str, str]:
        """Return the files that the packages come from, by their paths from the repository's root, to sha256.

        Those are all that git tracks: nobody knows which of them an evaluation reads. Of a flake they are as they were
        when it was evaluated.

        Raises:
            ToolError: one can't be read.
            InputChangedError: the flake changed since.
        """
        root = self._workspace.source.root
        if not (root / ".git").exists():
            return {}  # an expression outside a repository: which files it reads, nobody knows
        files = digests(tracked_files(root, self._context.memory))
        if self._evaluated is not None and self._seen() != self._evaluated:
            raise _changed()
        return files

    def names(self) -> tuple[str, ...]:
        """Return the names of all packages that the flake has for this machine.

        Raises:
            ProvenanceError: as `evaluate`.
        """
        said = self._asked_of_flake("all: builtins.attrNames (all.${" + json.dumps(host_system()) + "} or { })")
        return tuple(name for name in said if isinstance(name, str)) if isinstance(said, list) else ()

    def _of_flake(self) -> JSONValue:
        """Return what Nix answers of the flake; what it has answered, if that still holds."""
        self._refuse_no_flake()
        before = self._evaluated = self._seen()
        match self._context.memory.get(_KEY):
            case {"of": of, "answer": dict(kept)} if before is not None and of == before:
                return kept
        from .expression import of_flake

        config = self._config
        found = self._asked_of_flake(of_flake(self.systems, config.packages, config.exclude))
        found = self._with_requisites(found)
        if self._seen() != before:
            raise _changed()
        if before is not None:
            self._context.memory.put(_KEY, {"of": before, "answer": found})
        return found

    def _of_file(self, file: str) -> JSONValue:
        """Return what Nix answers of an expression, which may read anything: this is asked every time."""
        if not (self._workspace.root / file).is_file():
            raise ConfigError(f"provenance.toml: nix.file: there is no file {quoted(file)}")
        from .expression import of_file

        argv = self.nix.argv(
            "eval",
            "--json",
            "--file",
            f"./{file}",
            "--apply",
            of_file(self.systems, self._config.attributes),
        )
        return self._with_requisites(
            answer(self._context, argv, cwd=self._workspace.root, what=f"evaluate {quoted(file)}")
        )

    def _asked_of_flake(self, function: str) -> JSONValue:
        self._refuse_no_flake()
        # What a flake sets (`nixConfig`) is not for itself to allow: it could ask to be evaluated impurely.
        options = ("--no-update-lock-file", "--no-accept-flake-config")
        argv = self.nix.argv("eval", "--json", *options, f".#{_ATTRIBUTE}", "--apply", function)
        return answer(self._context, argv, cwd=self.flake, what=f"evaluate the flake in {quoted(self._config.flake)}")

    def _refuse_no_flake(self) -> None:
        if not (self.flake / "flake.nix").is_file():  # Nix would look for one in the folders around it
            raise ConfigError(
                f"there is no `flake.nix` in {quoted(self._config.flake)}", hint="correct `flake` in `[nix]`"
            )

    def _with_requisites(self, found: JSONValue) -> JSONValue:
        """Add to an answer, of each image, all derivations that it is made of: among them are those of its programs."""
        if not isinstance(found, dict):
            return found
        within: dict[str, JSONValue] = {}
        for derivation in images_of(found, self._config.images):
            argv = self.nix.argv("path-info", "--json", "--derivation", "--recursive", derivation)
            said = answer(self._context, argv, cwd=self._workspace.root, what=f"read {quoted(derivation)}")
            entries = (
                said if isinstance(said, list) else [{"path": path} for path in said] if isinstance(said, dict) else []
            )
            within[derivation] = [str(one["path"]) for one in entries if isinstance(one, dict) and "path" in one]
        return {**found, "within": within}

    def _seen(self) -> str | None:
        """Return a digest of everything that the flake's evaluation depends on; `None`: it may depend on anything."""
        configuration = read_configuration()
        if not configuration.is_pure:
            return None
        tree = read_tree(self.flake, self._context.memory)
        folders = [self.flake / one.path for one in read_lock(self.flake) if one.path]
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
