"""How much code there is and how it hangs together: the table that a change of the structure is judged by.

    python tests/bench/structure.py

Prints lines, modules, modules of some areas, circles of imports (those for typing counted), long functions, ignores,
and the modules of ours that `doit list` imports in this repository with the time of their own. Nothing is asserted.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
PACKAGE = "doit_provenance"
AREAS = {
    "cargo": ("tasks/cargo",),
    "command": ("tasks/command",),
    "images": ("tasks/images", "provenance/oci", "provenance/sbom/image"),
    "nix": ("tasks/nix", "provenance/sbom/nix"),
    "configuration": ("provenance/config",),
}
LONG = 50
"""Lines of a function."""
_IGNORES = (re.compile(r"#\s*noqa"), re.compile(r"#\s*type:\s*ignore"))
"""Of ruff, and of mypy."""
_RUNS = 5


def main() -> None:
    """Measure and print."""
    files = {_module(path): path for top in ("tasks", "provenance") for path in sorted((ROOT / top).rglob("*.py"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    imports = {name: set(_imports(name, tree, files)) for name, tree in trees.items()}
    circles = _circles(imports)
    print(f"lines: {sum(text.count(chr(10)) for text in texts.values())}")
    print(f"modules: {len(files)}")
    for area, folders in AREAS.items():
        count = sum(len(list((ROOT / folder).rglob("*.py"))) for folder in folders)
        print(f"  {area}: {count} files in {', '.join(folders)}")
    print(f"circles, typing imports counted: {len(circles)}")
    for circle in circles:
        print(f"  {', '.join(circle)}")
    print(f"functions over {LONG} lines: {sum(len(list(_long(tree))) for tree in trees.values())}")
    of_ruff, of_mypy = (sum(len(each.findall(text)) for text in texts.values()) for each in _IGNORES)
    print(f"ignores: {of_ruff} of ruff, {of_mypy} of mypy")
    count, own = _listed()
    print(f"modules of ours that `doit list` imports: {count}; their own time: {own:.0f} ms (least of {_RUNS})")


def _module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, tree: ast.Module, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of ours that a module names at its top, for typing too; those in functions come later."""
    package = name if files[name].name == "__init__.py" else name.rpartition(".")[0]
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If | ast.Try):
            pending += node.body
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        parts = package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            found = inner if inner in files else base
            if found in files and found != name:
                yield found


def _circles(imports: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the modules that reach each other, sorted: the strongly connected parts of more than one module."""
    reached = {name: _reached(name, imports) for name in imports}
    groups: dict[frozenset[str], None] = {}
    for name in imports:
        group = frozenset({name, *(other for other in reached[name] if name in reached[other])})
        if len(group) > 1:
            groups[group] = None
    return [sorted(group) for group in groups]


def _reached(name: str, imports: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(imports[name])
    while pending:
        other = pending.pop()
        if other not in found:
            found.add(other)
            pending += imports[other]
    return found


def _long(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONG:
                yield node


def _listed() -> tuple[int, float]:
    """Return how many modules of ours `doit list` imports, and their own milliseconds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    argv = [sys.executable, "-X", "importtime", "-m", "doit", "list"]
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(_RUNS + 1):  # the first one compiles
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        for name, own in _times(done.stderr.splitlines()):
            times[name].append(own)
    return len(times), sum(min(each) for each in times.values()) / 1000


def _times(lines: Sequence[str]) -> Iterator[tuple[str, float]]:
    for line in lines:
        columns = line.removeprefix("import time:").split("|")
        name = columns[-1].strip()
        if name.partition(".")[0] == PACKAGE and columns[0].strip().isdecimal():
            yield name, float(columns[0])


if __name__ == "__main__":
    main()
