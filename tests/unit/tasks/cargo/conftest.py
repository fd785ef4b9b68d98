"""A cargo and a rustc that answer what a test says, and run nothing."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo import invoke, observe, toolchain, units, workspaces
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HOST = "x86_64-unknown-linux-gnu"
VERSION = f"rustc 1.95.0 (abc 2026-04-14)\nbinary: rustc\ncommit-hash: abcdef\nhost: {HOST}\nrelease: 1.95.0\n"


@dataclass(slots=True)
class FakeCargo:
    """What the tools answer.

    Attributes:
        root: of the repository; every manifest lies below.
        members: folder of a cargo workspace from there, to the packages of `cargo metadata`.
        config: what cargo's configuration files say.
        cfg: what `rustc --print cfg` says.
        units: of the unit graph; `code` is what a build ends with, `messages` what it says.
        during: is done while cargo builds.
        rustc: is given rustc's arguments when it is asked what it loads.
        calls: every command line, with its settings.
    """

    root: Path
    members: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    config: Any = field(default_factory=dict)
    cfg: str = 'unix\ntarget_os="linux"\n'
    version: str = VERSION
    units: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    code: int = 0
    during: Callable[[], None] = lambda: None
    rustc: Callable[[Sequence[str]], None] = lambda _argv: None
    calls: list[tuple[list[str], dict[str, Any]]] = field(default_factory=list)

    def package(
        self,
        name: str,
        *,
        binaries: Sequence[str] | Mapping[str, Sequence[str]] | None = None,
        workspace: str = ".",
        folder: str | None = None,
        features: Mapping[str, Sequence[str]] | None = None,
        version: str = "0.1.0",
    ) -> Path:
        """Add a package with its manifest, and return its folder."""
        place = self.root / workspace / (folder if folder is not None else name)
        place.mkdir(parents=True, exist_ok=True)
        (self.root / workspace).mkdir(exist_ok=True)
        for manifest in (place / "Cargo.toml", self.root / workspace / "Cargo.toml"):
            if not manifest.exists():
                manifest.write_text(f'[package]\nname = "{name}"\nversion = "{version}"\nlicense = "MIT"\n')
        lock = self.root / workspace / "Cargo.lock"
        if not lock.exists():
            lock.write_text("version = 4\n")
        required = binaries if isinstance(binaries, dict) else {b: [] for b in binaries or [name]}
        targets = [{"name": name, "kind": ["lib"], "src_path": str(place / "src" / "lib.rs")}]
        targets += [{"name": b, "kind": ["bin"], "required-features": list(f)} for b, f in required.items()]
        self.members.setdefault(workspace, []).append(
            {
                "id": f"path+file://{place}#{name}@{version}",
                "name": name,
                "version": version,
                "manifest_path": str(place / "Cargo.toml"),
                "features": {k: list(v) for k, v in (features or {}).items()},
                "targets": targets,
                "authors": ["Ada <ada@tea.example>", "Bob"],
                "license": "MIT",
                "description": None,
            }
        )
        return place

    def capture(self, argv: Sequence[str], **settings: Any) -> bytes:
        self.calls.append((list(argv), settings))
        answers: tuple[tuple[bool, Callable[[], bytes]], ...] = (
            (argv[:2] == ["cargo", "metadata"], lambda: json.dumps(self._metadata(Path(argv[-1]))).encode()),
            (argv[:2] == ["cargo", "config"], self._configuration),
            (argv[:2] == ["cargo", "--version"], lambda: b"cargo 1.95.0 (abc 2026-03-21)\n"),
            ("--unit-graph" in argv, lambda: json.dumps(self.units).encode()),
            (argv[1:] == ["-vV"], self.version.encode),
            (argv[1:3] == ["--print", "cfg"], self.cfg.encode),
            (argv[1:] == ["--print", "sysroot"], f"{self.root.parent / 'sysroot'}\n".encode),
            ("-Zbinary-dep-depinfo" in argv, lambda: self.rustc(argv) or b""),
        )
        for asked, answer in answers:
            if asked:
                return answer()
        raise ToolError(f"nobody expected {argv}")

    def _configuration(self) -> bytes:
        return self.config if isinstance(self.config, bytes) else json.dumps(self.config).encode()

    @contextmanager
    def lines(self, argv: Sequence[str], **settings: Any) -> Iterator[tuple[Iterator[bytes], Any]]:
        self.calls.append((list(argv), settings))
        process = SimpleNamespace(returncode=None)
        self.during()
        yield iter([json.dumps(m, separators=(",", ":")).encode() + b"\n" for m in self.messages]), process
        process.returncode = self.code

    def _metadata(self, manifest: Path) -> dict[str, Any]:
        for workspace, packages in self.members.items():
            folder = (self.root / workspace).resolve()
            known = {folder / "Cargo.toml", *(Path(p.get("manifest_path", "")) for p in packages)}
            if manifest.resolve() in {path.resolve() for path in known}:
                return {"packages": packages, "workspace_root": str(folder), "target_directory": f"{folder}/target"}
        raise ToolError(f"`{manifest}` is no manifest")

    def builds(self) -> list[list[str]]:
        """Return the command lines that built something."""
        return [argv for argv, _ in self.calls if "--message-format" in argv]


@pytest.fixture
def cargo(root: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCargo:
    for name in ("CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC",
                 "CARGO_BUILD_RUSTC"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    fake = FakeCargo(root=root)
    for module in (workspaces, observe, toolchain, units):
        monkeypatch.setattr(module, "capture", fake.capture)
    monkeypatch.setattr(invoke, "lines", fake.lines)
    return fake


@pytest.fixture
def configured(root: Path) -> Callable[[str], Context]:
    """Return what makes the workspace with this `provenance.toml`."""

    def make(text: str = "") -> Context:
        (root / "provenance.toml").write_text(text)
        return Context(workspace=Workspace(root=root, config=load(root)))

    return make
