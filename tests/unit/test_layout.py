"""What the code may import, start, open and name; each rule is also shown to catch what breaks it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = 500
"""Lines; a longer module is warned of: is there a second concept in it?"""
LONGEST_FUNCTION = 50

BUILDERS = frozenset({"tasks.cargo", "tasks.command", "tasks.nix", "tasks.images.docker", "tasks.images.oci"})
ENGINE = "tasks.images.docker.engine"
"""The only module that knows docker's library: the oci builder takes images from the engine's store by it."""
_LAYERS = (
    ("provenance.errors",),
    ("provenance.digest", "provenance.json", "provenance.platform", "provenance.process"),
    ("provenance.archive", "provenance.attest", "provenance.log", "provenance.record", "provenance.source"),
    ("provenance.sign",),
    ("provenance.redaction",),
    ("provenance.fs",),
    ("provenance.oci",),
    ("provenance.sbom",),
    ("provenance.config", "provenance.verify"),
    ("provenance",),
    ("tasks.artifacts", "tasks.memory", "tasks.sqlite", "tasks.workspace"),
    (
        *("tasks.builder", "tasks.context", "tasks.database", "tasks.freshness", "tasks.programs", "tasks.progress"),
        *("tasks.pipeline.outcome", "tasks.pipeline.signer"),
    ),
    ("tasks.pipeline",),
    ("tasks.cargo", "tasks.command", "tasks.images", "tasks.nix"),
    ("tasks.ci_matrix", "tasks.clean", "tasks.plan", "tasks.session"),
    ("tasks.graph", "tasks.reporter"),
    ("tasks.commands", "tasks.main"),
    ("tasks",),
)
"""Lowest first: a module imports from its own layer and from lower ones, for typing too."""
LAYERS = {name: layer for layer, names in enumerate(_LAYERS) for name in names}

# `json` and the rest are values without a world: no file formats, no processes, no network.
VALUES = frozenset({"provenance", "provenance.digest", "provenance.errors", "provenance.json", "provenance.platform"})
TYPING_ONLY = frozenset({"TYPE_CHECKING", "typing.TYPE_CHECKING"})
PROCESS_MODULES = frozenset({"subprocess", "multiprocessing", "pty", "_posixsubprocess", "concurrent.futures.process"})
PROCESS_NAMES = frozenset(
    {"CmdAction", "Interactive", "LongRunning", "PythonInteractiveAction", "ProcessPoolExecutor"}
    | {"create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell"}
)
PROCESS_CALLS = re.compile(r"os\.(?:system|popen|startfile|fork|forkpty|exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?)\Z")
CONNECTION_MODULES = frozenset(
    {"socket", "socketserver", "ssl", "ftplib", "smtplib", "imaplib", "poplib", "http", "xmlrpc", "urllib.request"}
    | {"requests", "urllib3", "httpx", "aiohttp", "oras", "docker"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module or name, absolute, as `provenance.errors.ToolError`; `typing_only`: not at run time."""

    name: str
    line: int
    relative: bool
    typing_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module of the two packages; its name is its path with dots, as `provenance.sbom.program.elf`."""

    name: str
    package: bool
    source: str

    @property
    def folder(self) -> str:
        return self.name if self.package else self.name.rpartition(".")[0]

    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    def imports(self) -> list[Import]:
        tree = self.tree()
        guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) in TYPING_ONLY]
        typing_only = {id(inner) for node in guards for branch in node.body for inner in ast.walk(branch)}
        return [
            Import(name=name, line=node.lineno, relative=relative, typing_only=id(node) in typing_only)
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name, relative in self._names(node)
        ]

    def _names(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
            return
        above = self.folder.split(".")
        base = above[: len(above) - node.level + 1] if node.level else []
        prefix = [*base, *([node.module] if node.module else [])]
        yield from ((".".join([*prefix, alias.name]), node.level > 0) for alias in node.names)


def _within(name: str, parents: frozenset[str] | set[str]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def _provenance_without_doit(module: Module) -> Iterator[str]:
    if module.name.startswith("provenance"):
        for found in module.imports():
            if _within(found.name, {"doit", "tasks", "doit_provenance.tasks"}):
                yield f"{module.name}:{found.line} imports `{found.name}`"
        for node in ast.walk(module.tree()):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
                yield f"{module.name}:{node.lineno} imports by name, which hides what"


def _formats_of_values(module: Module) -> Iterator[str]:
    own = next((p for p in ("provenance.attest", "provenance.sbom") if _within(module.name, {p})), None)
    if own is None:
        return
    for found in module.imports():
        parent, _, last = found.name.rpartition(".")
        # `from .. import VERSION` names a value of the package, `from .. import record` a module.
        target = parent if parent in VALUES - {"provenance"} or last.isupper() else found.name
        image = _within(module.name, {"provenance.sbom.image"}) and _within(
            found.name, {"provenance.oci.layout", "provenance.oci.model"}
        )
        archive = _within(module.name, {"provenance.sbom"}) and _within(found.name, {"provenance.archive"})
        if found.relative and not (target in VALUES or _within(found.name, {own}) or image or archive):
            yield f"{module.name}:{found.line} imports `{found.name}`; {own} knows values alone"


def _nobody_trusts_but_verify(module: Module) -> Iterator[str]:
    if _within(module.name, {"provenance.attest", "provenance.sign", "provenance.sbom"}):
        for found in module.imports():
            if _within(found.name, {"provenance.verify"}):
                yield f"{module.name}:{found.line} imports `{found.name}`"


def _one_door_to_processes(module: Module) -> Iterator[str]:
    if module.name == "provenance.process":
        return
    for found in module.imports():
        last = found.name.rpartition(".")[2]
        started = _within(found.name, PROCESS_MODULES) or last in PROCESS_NAMES or PROCESS_CALLS.match(found.name)
        if started and not found.typing_only:
            yield f"{module.name}:{found.line} imports `{found.name}`"
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if PROCESS_CALLS.match(name) or node.attr in PROCESS_NAMES:
                yield f"{module.name}:{node.lineno} uses `{name}`"


def _connections_in_their_places(module: Module) -> Iterator[str]:
    if _within(module.name, {"provenance.oci.registry", "provenance.sign", "tasks.images.docker"}):
        return
    for found in module.imports():
        if _within(found.name, CONNECTION_MODULES) and not found.typing_only:
            yield f"{module.name}:{found.line} imports `{found.name}`"


def _relative_imports(module: Module) -> Iterator[str]:
    for found in module.imports():
        if not found.relative and _within(found.name, {"doit_provenance", "provenance", "tasks"}):
            yield f"{module.name}:{found.line} imports `{found.name}` absolutely: a user's own would be taken for it"


def _layer(name: str) -> int | None:
    """Return the layer of a module: that of the longest name in the table which is its own or its package's."""
    parts = name.split(".")
    known = (LAYERS.get(".".join(parts[:end])) for end in range(len(parts), min(len(parts), 2) - 1, -1))
    return next((layer for layer in known if layer is not None), None)


def _layers(module: Module) -> Iterator[str]:
    own = _layer(module.name)
    if own is None:
        yield f"{module.name} is in no layer: add it to LAYERS"
        return
    for found in module.imports():
        # A name in capitals is a value of the package itself, as `VERSION`.
        if found.relative and not (found.name.count(".") == 1 and found.name.rpartition(".")[2].isupper()):
            layer = _layer(found.name)
            if layer is None or layer > own:
                yield f"{module.name}:{found.line} imports `{found.name}`, which is above it"


def _builders_apart(module: Module) -> Iterator[str]:
    own = next((builder for builder in BUILDERS if _within(module.name, {builder})), None)
    for found in module.imports() if own else ():
        shared = own == "tasks.images.oci" and _within(found.name, {ENGINE})
        if _within(found.name, BUILDERS - {own}) and not shared:
            yield f"{module.name}:{found.line} imports `{found.name}` of another builder"


def _functions_fit_on_a_screen(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{module.name}:{node.lineno} `{node.name}` has {length} lines, more than {LONGEST_FUNCTION}"


Rule = Callable[[Module], Iterator[str]]
RULES: Mapping[str, tuple[Rule, tuple[tuple[str, str], ...]]] = {
    "provenance-without-doit": (
        _provenance_without_doit,
        (
            ("provenance.x", "import doit"),
            ("provenance.x", "from doit.task import Task"),
            ("provenance.x", "from ..tasks import graph"),
            ("provenance.sbom.x", "from ...tasks.graph import tasks"),
            ("provenance.x", "def f():\n    from doit_provenance.tasks import graph"),
            ("provenance.x", "import importlib\nimportlib.import_module(name)"),
        ),
    ),
    "formats-of-values": (
        _formats_of_values,
        (
            ("provenance.attest.x", "from ..process import capture"),
            ("provenance.attest.x", "from .. import record"),
            ("provenance.attest.x", "from ..sbom.inventory import Inventory"),
            ("provenance.sbom.x", "from ..oci.layout import Layout"),
        ),
    ),
    "nobody-trusts-but-verify": (
        _nobody_trusts_but_verify,
        (
            ("provenance.sign.key", "from ..verify.policy import Policy"),
            ("provenance.attest.x", "from .. import verify"),
        ),
    ),
    "one-door-to-processes": (
        _one_door_to_processes,
        (
            ("tasks.x", "import subprocess"),
            ("tasks.x", "from subprocess import run"),
            ("tasks.x", "import os\nos.system('ls')"),
            ("tasks.x", "from os import execvp"),
            ("tasks.x", "if not TYPE_CHECKING:\n    import pty"),
            ("provenance.x", "import os\nos.posix_spawn('ls', [], {})"),
            ("provenance.x", "from concurrent.futures import ProcessPoolExecutor"),
            ("provenance.x", "import multiprocessing.pool"),
            ("provenance.x", "import asyncio\nasyncio.create_subprocess_exec('ls')"),
            ("tasks.x", "from doit.action import CmdAction"),
        ),
    ),
    "connections-in-their-places": (
        _connections_in_their_places,
        (
            ("provenance.verify.x", "import socket"),
            ("provenance.oci.layout", "import requests"),
            ("tasks.x", "from http.client import HTTPConnection"),
            ("provenance.x", "def f():\n    import urllib.request"),
            ("tasks.cargo.x", "import docker"),
        ),
    ),
    "relative-imports": (
        _relative_imports,
        (
            ("tasks.x", "from provenance.errors import ToolError"),
            ("tasks.x", "import tasks.graph"),
            ("provenance.x", "from doit_provenance.provenance.errors import ToolError"),
        ),
    ),
    "layers": (
        _layers,
        (
            ("provenance.oci.x", "from ..verify.verifier import verify_folder"),
            ("provenance.json", "from .fs import store"),
            ("tasks.freshness.x", "from ..pipeline.produce import produce"),
            ("tasks.cargo.x", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..session import Session"),
            ("tasks.unheard_of", ""),
        ),
    ),
    "builders-apart": (_builders_apart, (("tasks.nix.x", "from ..images.docker.engine import build"),)),
    "functions-fit-on-a-screen": (
        _functions_fit_on_a_screen,
        (("tasks.cargo.x", "def f():\n" + "    x = 1\n" * LONGEST_FUNCTION),),
    ),
}


def _modules() -> dict[str, Module]:
    found = {}
    for path in sorted(p for folder in ("provenance", "tasks") for p in (ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name=name, package=parts[-1] == "__init__", source=path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds(rule: str) -> None:
    modules = _modules()
    assert {"provenance.errors", "tasks.builder"} <= modules.keys(), "this test looks in the wrong place"
    check, _ = RULES[rule]
    assert [broken for module in modules.values() for broken in check(module)] == []


@pytest.mark.parametrize(
    ("rule", "name", "source"), [(rule, *breach) for rule, (_, breaches) in RULES.items() for breach in breaches]
)
def test_rule_catches(rule: str, name: str, source: str) -> None:
    check, _ = RULES[rule]
    assert list(check(Module(name=name, package=False, source=source)))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tasks.graph", "from doit.task import Task\nfrom ..provenance.errors import ToolError"),
        ("provenance.attest.x", "from .. import VERSION\nfrom ..digest import Digest\nfrom . import dsse\nimport json"),
        ("provenance.sbom.image.x", "from ...oci.layout import Layout\nfrom ...oci.model import Manifest"),
        ("provenance.sbom.nix.x", "from ...archive.tar import TarReader"),
        ("provenance.process", "import subprocess"),
        ("tasks.main", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import subprocess"),
        ("tasks.main", "import os\nfrom urllib.parse import urlsplit\nos.environ.get('x')"),
        ("provenance.oci.registry", "import requests"),
    ],
)
def test_rules_let_pass(name: str, source: str) -> None:
    module = Module(name=name, package=False, source=source)
    assert [broken for check, _ in RULES.values() for broken in check(module)] == []


def _cycle(modules: Mapping[str, Module]) -> list[str]:
    """Return modules that import each other in a circle, for typing or at run time, if there are any."""
    edges = {
        name: {t for i in m.imports() for t in (i.name, i.name.rpartition(".")[0]) if t in modules}
        for name, m in modules.items()
    }
    # A module that imports something beside it names their package too: no import of its own.
    edges = {name: {t for t in targets if not _within(name, {t})} for name, targets in edges.items()}
    while free := {name for name, targets in edges.items() if not targets & edges.keys()}:
        edges = {name: targets for name, targets in edges.items() if name not in free}
    return sorted(edges)


def test_no_import_cycles() -> None:
    assert _cycle(_modules()) == []


def test_import_cycle_is_caught() -> None:
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import y"
    ring = {"provenance.a": "from .b import x", "provenance.b": "from . import c", "provenance.c": typing}
    modules = {name: Module(name=name, package=False, source=source) for name, source in ring.items()}
    assert _cycle(modules) == sorted(ring)


def test_long_modules_are_warned_of() -> None:
    for module in _modules().values():
        if (length := len(module.source.splitlines())) > LONG:
            warnings.warn(f"{module.name} has {length} lines, more than {LONG}", LongModuleWarning, stacklevel=1)


class LongModuleWarning(UserWarning):
    """A module of more than `LONG` lines: pyproject.toml lets it be shown, where other warnings are errors."""
