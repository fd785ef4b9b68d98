"""Repositories with a flake, and a Nix of their own: a store that nobody else uses, and a list of Nix's calls."""

from __future__ import annotations

import base64
import functools
import json
import os
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.tasks.nix.evaluation import host_system

from .workspaces import Repository, repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from .workspaces import Ran

SYSTEM = host_system()
CONFIGURATION = """\
build-users-group =
sandbox = false
substituters =
experimental-features = nix-command flakes
"""
WASH = 'sh "wash-0.1.0" "mkdir -p $out/bin; echo wash > $out/bin/wash; chmod +x $out/bin/wash" { }'
LEAF = 'sh "leaf" "echo leaf > $out" { }'
_TABLE = """
[cargo]
manifests = []
[project]
name = "pot"
[nix]
{table}
"""
_SH = """
sh = name: script: more: derivation ({{
  inherit name; system = "{system}"; builder = "/bin/sh"; args = [ "-c" script ]; PATH = "{path}";
}} // more);
"""


@functools.cache
def real_nix() -> str:
    """Return the path of Nix; skip the test where it is not installed, or may not build."""
    path = shutil.which("nix")
    if path is None:
        pytest.skip("`nix` is not installed; `sh tests/tools/install` does it")
    if os.geteuid() != 0:
        pytest.skip("a store of its own without a daemon needs root")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pot:
    """A repository with a flake.

    Attributes:
        store: the folder that holds the store and all that Nix keeps.
    """

    made: Repository
    store: Path

    def doit(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Ran:
        return self.made.doit(*arguments, env=env)

    def nix(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> str:
        """Run Nix as a user does; return what it writes to standard output."""
        return self.made.run(real_nix(), *arguments, env=env).ok().out.strip()

    def calls(self) -> list[str]:
        """Return the calls of Nix since this was last asked, each by the word that says what is done."""
        listed = self.store / "calls"
        text = listed.read_text(encoding="utf-8") if listed.exists() else ""
        listed.unlink(missing_ok=True)
        return text.split()

    def configure(self, table: str) -> None:
        """Write what `[nix]` has."""
        (self.made.root / "provenance.toml").write_text(_TABLE.format(table=textwrap.dedent(table)), encoding="utf-8")

    def flake(self, packages: Mapping[str, str], *, inputs: str = "", names: Iterable[str] = ("self",)) -> None:
        """Write a flake with packages for this machine: Nix expressions, in which `sh NAME SCRIPT MORE` builds."""
        self.made.write({"flake.nix": flake({SYSTEM: packages}, inputs=inputs, names=names)})

    def folder(self, name: str, system: str = SYSTEM) -> Path:
        """Return the folder of an artifact."""
        return self.made.root / "dist" / "nix" / name / system

    def provenance(self, name: str, file: str | None = None) -> dict[str, Any]:
        """Return the SLSA predicate of an artifact."""
        bundle = json.loads((self.folder(name) / f"{file or name}.provenance.sigstore.json").read_bytes())
        found: dict[str, Any] = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))["predicate"]
        return found

    def origin(self, name: str, file: str | None = None) -> dict[str, Any]:
        """Return what provenance says of how an output came into the store."""
        found: dict[str, Any] = self.provenance(name, file)["buildDefinition"]["internalParameters"]
        return found

    def claims_build(self, name: str, file: str | None = None) -> bool:
        """Tell whether provenance says when something was built."""
        times = self.provenance(name, file)["runDetails"]["metadata"]
        assert ("startedOn" in times) == ("finishedOn" in times)
        return "startedOn" in times

    def actions(self) -> dict[str, tuple[str, list[str]]]:
        """Return what `doit plan` announces of each artifact: the action, and the codes of the reasons."""
        plan = json.loads(self.doit("plan", "--format", "json").ok().out)
        return {one["artifact"]: (one["action"], [r["code"] for r in one["reasons"]]) for one in plan["artifacts"]}

    def forget_store(self) -> None:
        """Give Nix an empty store, which nothing was built in."""
        for name in ("store", "var", "cache", "log"):
            shutil.rmtree(self.store / name, ignore_errors=True)  # root removes what is read-only, too


def flake(packages: Mapping[str, Mapping[str, str]], *, inputs: str = "", names: Iterable[str] = ("self",)) -> str:
    """Return the text of a flake that has packages by system."""
    path = os.pathsep.join(("/bin", "/usr/bin"))
    listed = "".join(
        f'packages."{system}" = rec {{\n'
        + "".join(f"  {name} = {expression};\n" for name, expression in some.items())
        + "};\n"
        for system, some in packages.items()
    )
    helper = _SH.format(system=SYSTEM, path=path)
    return f"{{\n{inputs}\noutputs = {{ {', '.join(names)} }}: let {helper} in {{\n{listed}}};\n}}\n"


def pot(folder: Path, packages: Mapping[str, str] | None = None, table: str = 'packages = ["*"]') -> Pot:
    """Make a repository with a flake, committed."""
    store = folder / "nix"
    (store / "bin").mkdir(parents=True)
    (store / "etc").mkdir()
    wrapper = store / "bin" / "nix"
    wrapper.write_text(
        f"""#!/bin/sh
for word; do
    case "$word" in --* | "nix-command flakes") ;; *) echo "$word" >> '{store}/calls'; break ;; esac
done
exec '{real_nix()}' "$@"
""",
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    made = repository(
        folder / "work",
        {".gitignore": "__pycache__/\n.doit.db*\n"},
        PATH=f"{store / 'bin'}{os.pathsep}{os.environ['PATH']}",
        HOME=str(folder / "home"),
        XDG_CACHE_HOME=str(store / "cache"),
        NIX_STORE_DIR=str(store / "store"),
        NIX_STATE_DIR=str(store / "var"),
        NIX_LOG_DIR=str(store / "log"),
        NIX_CONF_DIR=str(store / "etc"),
        NIX_REMOTE="",
        NIX_CONFIG=CONFIGURATION,
    )
    found = Pot(made=made, store=store)
    found.configure(table)
    found.flake(packages or {"wash": WASH})
    made.commit()
    return found
