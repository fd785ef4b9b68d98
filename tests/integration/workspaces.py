"""Small throw-away repositories that real cargo builds in a second or two: path crates only, no registry."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_STEERING = re.compile(
    r"(CARGO_(?!HOME)|RUSTFLAGS|RUSTC|RUSTDOC|RUSTUP_TOOLCHAIN|GIT_|DOIT_PROVENANCE_|SOURCE_DATE_EPOCH)"
)
_SCRIPTS = Path(sysconfig.get_path("scripts"))
DOIT = (sys.executable, "-m", "doit")
DOIT_PROVENANCE = (str(_SCRIPTS / "doit-provenance"),)

DODO = """
from doit_provenance.tasks.graph import workspace

DOIT_CONFIG, task_artifacts = workspace()
"""


@functools.cache
def host() -> str:
    """Return the host's target triple, as rustc has it."""
    output = subprocess.run(["rustc", "-vV"], capture_output=True, check=True, text=True).stdout
    return re.search(r"^host: (.+)$", output, re.MULTILINE)[1]  # type: ignore[index] # rustc always says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One finished command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    def ok(self) -> Ran:
        assert self.code == 0, self.said
        return self

    def failed(self, code: int, *texts: str) -> Ran:
        """Hold the end of a command that can't do its work: its exit code, and what it says."""
        assert self.code == code, self.said
        for text in texts:
            assert text in self.said, self.said
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A folder with a `dodo.py`, an environment that nothing outside steers, and a key of its own."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *argv: str, env: Mapping[str, str | None] | None = None, cwd: Path | None = None) -> Ran:
        """Run a command; `None` in `env` unsets a variable. No command may ever end in a traceback."""
        environ = {k: v for k, v in (self.environ | dict(env or {})).items() if v is not None}
        done = subprocess.run(
            argv, cwd=cwd or self.root, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        ran = Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
        assert "Traceback" not in ran.said, ran.said
        return ran

    def doit(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Ran:
        return self.run(*DOIT, *arguments, env=env)

    def cargo(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run cargo as the user does; return what it writes to standard error with `-v`."""
        return self.run("cargo", *arguments, cwd=cwd).ok().err

    def write(self, files: Mapping[str, str]) -> None:
        write(self.root, files)

    def lock(self, *folders: str) -> None:
        """Let cargo write the `Cargo.lock` of each workspace, as `--locked` asks for one."""
        for folder in folders or (".",):
            self.run("cargo", "generate-lockfile", "--offline", cwd=self.root / folder).ok()

    def commit(self, message: str = "state") -> str:
        """Commit everything; return the commit."""
        if not (self.root / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
        return self.run("git", *who, *arguments).ok().out.strip()

    def folder(self, name: str, platform: str | None = None) -> Path:
        """Return the folder of a cargo artifact."""
        return self.root / "dist" / "cargo" / name / (platform or host())

    def inventory(self, name: str, file: str | None = None) -> dict[str, Any]:
        path = self.folder(name) / f"{file or name}.inventory.json"
        found: dict[str, Any] = json.loads(path.read_bytes())
        return found

    def packages(self, name: str, role: str = "linked") -> set[str]:
        """Return the names of an artifact's components of one role, the standard library aside."""
        return {c["name"] for c in self.inventory(name)["components"] if c["role"] == role} - {"rust-std"}

    def provenance(self, name: str, file: str | None = None) -> dict[str, Any]:
        """Return the SLSA predicate of an artifact."""
        bundle = json.loads((self.folder(name) / f"{file or name}.provenance.sigstore.json").read_bytes())
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        found: dict[str, Any] = statement["predicate"]
        return found

    def bytes_of(self, name: str, file: str | None = None) -> bytes:
        return (self.folder(name) / (file or name)).read_bytes()

    def state(self) -> dict[str, bytes]:
        """Everything in the output folder, by path."""
        dist = self.root / "dist"
        return {str(p.relative_to(dist)): p.read_bytes() for p in sorted(dist.rglob("*")) if p.is_file()}


def repository(root: Path, files: Mapping[str, str] | None = None, **settings: str) -> Repository:
    """Make a repository at `root`; `settings` are environment variables for everything that runs in it."""
    root.mkdir(parents=True, exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not _STEERING.match(k)}
    own = {
        "CARGO_TERM_COLOR": "never",
        "DOIT_PROVENANCE_KEY": str(root.with_name(f"{root.name}-key.pem")),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(root.parent),
        "XDG_CONFIG_HOME": str(root.with_name(f"{root.name}-config")),
    }
    made = Repository(root=root, environ=inherited | own | settings)
    write(root, {"dodo.py": DODO, **(files or {})})
    return made


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def program(root: Path, name: str, text: str) -> Path:
    """Write an executable `sh` script; return its path."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(text).lstrip()}", encoding="utf-8")
    path.chmod(0o755)
    return path


def manifest(name: str, *tables: str, dependencies: Iterable[str] = (), version: str = "0.1.0") -> str:
    """Return the text of a `Cargo.toml`; a dependency is a line of TOML, or the name of a package beside this one."""
    lines = [d if "=" in d else f'{d} = {{ path = "../{d}" }}' for d in dependencies]
    head = ["[package]", f'name = "{name}"', f'version = "{version}"', 'edition = "2021"', 'license = "MIT"', ""]
    return "\n".join([*head, "[dependencies]", *lines, *map(textwrap.dedent, tables)]) + "\n"


def library(name: str, body: str | None = None, dependencies: Iterable[str] = (), *tables: str) -> dict[str, str]:
    """Return the files of a library in the folder `name`; without a body it has one function, `say`."""
    wanted = list(dependencies)
    calls = "".join(f"s.push_str(&{d.replace('-', '_')}::say()); " for d in wanted if "=" not in d)
    text = f'pub fn say() -> String {{ let {"mut " if calls else ""}s = String::from("{name}"); {calls}s }}\n'
    return {
        f"{name}/Cargo.toml": manifest(name, *tables, dependencies=wanted),
        f"{name}/src/lib.rs": text if body is None else body,
    }


def one_program(name: str = "solo", main: str = 'fn main() { println!("hello"); }\n') -> dict[str, str]:
    """Return the files of a repository that ships one program, at its root."""
    lock = f'version = 4\n\n[[package]]\nname = "{name}"\nversion = "0.1.0"\n'
    return {"Cargo.toml": manifest(name), "Cargo.lock": lock, "src/main.rs": main}


WORDS = {
    "src/a.txt": "one two\n",
    "provenance.toml": """
    [command.words]
    run = ["sh", "-c", "echo words >> $NOTES; cat src/*.txt > out/words"]
    inputs = ["src/*.txt"]
    outputs = ["out/words"]
    platform = "any"

    [command.count]
    run = ["sh", "-c", "echo count >> $NOTES; wc -w < {command:words} > out/count"]
    inputs = []
    artifacts = ["command:words"]
    outputs = ["out/count"]
    platform = "any"
    """,
}
"""Two commands, the second of which is made from what the first leaves; each run of one is noted in `$NOTES`."""


def words(root: Path, files: Mapping[str, str] | None = None) -> Repository:
    """Make a repository with the commands of `WORDS`, whose runs are noted beside it."""
    return repository(root, WORDS | dict(files or {}), NOTES=str(root.with_name(f"{root.name}-runs")))


def runs(made: Repository) -> list[str]:
    """Return the names of the commands of a `words` repository that have run, in that order."""
    notes = Path(made.environ["NOTES"])
    return notes.read_text(encoding="ascii").split() if notes.exists() else []
