"""What it costs to find out that nothing is to be done: seconds, ratios and memory, all from one run.

    python tests/bench/freshness.py scale [--counts 100,1000,10000] [--turbo PATH] [--folder DIR] [--runs 5]
    python tests/bench/freshness.py example [--runs 15]
    python tests/bench/freshness.py workspace WORKSPACE [--runs 7]

`scale` makes a workspace of so many small commands, builds it once (the slow part; `--folder` keeps it for the next
time), and times a run with nothing to do, `plan`, `list`, and a run after one edit. Beside them it times bare doit over
as many tasks with a source and a target each, and turborepo with a warm cache where `--turbo` names the program.
The ratio of processor time to bare doit is the median over pairs of runs that follow each other. `example` gives that
of nothing to do in this repository's example, which must be built, to `import doit`. `workspace` does the same in a
checkout that cargo builds, beside `cargo build`.
Nothing is asserted: read the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Sequence

SCRIPTS = Path(sysconfig.get_path("scripts"))
DOIT = [sys.executable, "-m", "doit"]
OURS = [str(SCRIPTS / "doit-provenance")]
EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter"


@dataclass(frozen=True, slots=True)
class Timed:
    """Median seconds of one command, and the most memory that it had, in MB."""

    seconds: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.3f} s, {self.memory:.0f} MB"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    kinds = parser.add_subparsers(dest="kind", required=True)
    scale = kinds.add_parser("scale")
    scale.add_argument("--counts", default="100,1000,10000")
    scale.add_argument("--turbo", type=Path)
    scale.add_argument("--folder", type=Path)
    scale.add_argument("--runs", type=int, default=5)
    workspace = kinds.add_parser("workspace")
    workspace.add_argument("workspace", type=Path)
    workspace.add_argument("--runs", type=int, default=7)
    kinds.add_parser("example").add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    if given.kind == "example":
        ratio = _ratio((OURS, EXAMPLE), ([sys.executable, "-c", "import doit.doit_cmd"], EXAMPLE), given.runs)
        print(f"nothing to do on the example: {ratio:.2f} of `import doit` (processor time)")
        return
    if given.kind == "workspace":
        _cargo(given.workspace.resolve(), given.runs)
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="freshness-"))
    for count in map(int, given.counts.split(",")):
        _scale(folder / str(count), count, given)
    if given.folder is None:
        shutil.rmtree(folder)


def _cargo(root: Path, runs: int) -> None:
    selection = _cargo_selection(root)
    _run(OURS, root)
    _run(OURS, root)  # what was just written is looked at once more, as its times prove nothing yet
    cargo = _timed(["cargo", "build", *selection], root, runs)
    print(f"cargo build, nothing to do: {cargo}")
    for name, argv in (("nothing to do", OURS), ("plan", [*OURS, "plan"]), ("list", [*OURS, "list"])):
        ours = _timed(argv, root, runs)
        print(f"{name}: {ours}; {ours.seconds / cargo.seconds:.2f} of cargo")


def _cargo_selection(root: Path) -> list[str]:
    from doit_provenance.tasks.cargo.builder import CargoBuilder
    from doit_provenance.tasks.graph import open_session, tasks

    session = open_session(root)
    list(tasks(session))
    builder = session.judge.builders["cargo"]
    assert isinstance(builder, CargoBuilder)
    (group,) = builder._groups.values()
    return [*group.selection(), *(word for b in group.binaries for word in ("--bin", b.target))]


def _scale(root: Path, count: int, given: argparse.Namespace) -> None:
    first = _make(root, count)
    ours = {
        "nothing to do": _timed(OURS, root, given.runs),
        "plan": _timed([*OURS, "plan", "--format", "json"], root, given.runs),
        "list": _timed([*OURS, "list"], root, given.runs),
        "one edit": _timed(OURS, root, given.runs, prepare=lambda: _edit(root / "src" / "0.txt")),
    }
    bare = _bare_doit(root.with_name(f"{root.name}-doit"), count, given.runs)
    turbo = _turborepo(root.with_name(f"{root.name}-turbo"), count, given) if given.turbo else None
    print(f"{count} artifacts ({first}):")
    for name, figure in ours.items():
        ratio = f"{figure.seconds / bare.seconds:.2f} of bare doit"
        if turbo:
            ratio += f", {figure.seconds / turbo.seconds:.3f} of turborepo"
        print(f"  {name}: {figure}; {ratio}")
    print(f"  bare doit, nothing to do: {bare}")
    ratio = _ratio((OURS, root), (DOIT, root.with_name(f"{root.name}-doit")), given.runs)
    print(f"  nothing to do: {ratio:.2f} of bare doit (processor time)")
    if turbo:
        print(f"  turborepo, warm cache: {turbo}")


def _make(root: Path, count: int) -> str:
    """Make and build the workspace, unless it is there; return how long the first build took."""
    if (root / "dist").is_dir():
        _run(OURS, root)
        return "built earlier"
    (root / "src").mkdir(parents=True)
    (root / "out").mkdir()
    tables = []
    for index in range(count):
        (root / "src" / f"{index}.txt").write_text(f"{index}\n")
        tables.append(
            f'[command.c{index}]\nrun = ["cp", "src/{index}.txt", "out/{index}.bin"]\n'
            f'inputs = ["src/{index}.txt"]\noutputs = ["out/{index}.bin"]\n'
        )
    (root / "provenance.toml").write_text("[cargo]\nmanifests = []\n" + "\n".join(tables))
    started = time.perf_counter()
    _run(OURS, root)
    seconds = time.perf_counter() - started
    time.sleep(0.1)
    _run(OURS, root)
    return f"first build {seconds:.1f} s, {1000 * seconds / count:.1f} ms each"


def _bare_doit(root: Path, count: int, runs: int) -> Timed:
    """Return the time of doit alone: SQLite backend, its own checker, a source and a target per task."""
    if not root.exists():
        (root / "src").mkdir(parents=True)
        (root / "out").mkdir()
        for index in range(count):
            (root / "src" / f"{index}.txt").write_text(f"{index}\n")
    (root / "dodo.py").write_text(
        'DOIT_CONFIG = {"backend": "sqlite3", "dep_file": "doit.db", "verbosity": 0}\n\n'
        "def copy(source, target):\n    open(target, 'w').write(open(source).read())\n\n"
        f"def task_copy():\n    for i in range({count}):\n"
        "        s, t = f'src/{i}.txt', f'out/{i}.bin'\n"
        "        yield {'name': str(i), 'actions': [(copy, (s, t))], 'file_dep': [s], 'targets': [t]}\n"
    )
    _run(DOIT, root)
    return _timed(DOIT, root, runs)


def _turborepo(root: Path, count: int, given: argparse.Namespace) -> Timed:
    """Return the time of turborepo over as many packages with one task each, all in its cache."""
    if not root.exists():
        for index in range(count):
            package = root / "packages" / f"c{index}"
            package.mkdir(parents=True)
            (package / "in.txt").write_text(f"{index}\n")
            script = {"name": f"c{index}", "version": "1.0.0", "scripts": {"build": "cp in.txt out.bin"}}
            (package / "package.json").write_text(json.dumps(script))
        whole = {"name": "root", "private": True, "packageManager": "npm@10.0.0", "workspaces": ["packages/*"]}
        (root / "package.json").write_text(json.dumps(whole))
        tasks = {"build": {"outputs": ["out.bin"], "inputs": ["in.txt"]}}
        (root / "turbo.json").write_text(json.dumps({"tasks": tasks}))
        locked = {
            "name": "root",
            "lockfileVersion": 3,
            "requires": True,
            "packages": {"": whole}
            | {f"packages/c{i}": {"name": f"c{i}", "version": "1.0.0"} for i in range(count)}
            | {f"node_modules/c{i}": {"resolved": f"packages/c{i}", "link": True} for i in range(count)},
        }
        (root / "package-lock.json").write_text(json.dumps(locked))
        for argv in (["git", "init", "-q"], ["git", "add", "-A"]):
            subprocess.run(argv, cwd=root, check=True)
    argv = [str(given.turbo.resolve()), "run", "build", "--no-daemon", "--output-logs=none"]
    _run(argv, root)
    return _timed(argv, root, given.runs)


def _edit(path: Path) -> None:
    with path.open("a", encoding="ascii") as stream:
        stream.write("more\n")


def _run(argv: Sequence[str], cwd: Path) -> None:
    done = subprocess.run(argv, cwd=cwd, env=_environment(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{argv} failed in {cwd}:\n{done.stdout[-2000:]!r}\n{done.stderr[-2000:]!r}")


def _timed(argv: Sequence[str], cwd: Path, runs: int, prepare: Callable[[], object] = lambda: None) -> Timed:
    seconds, memory = [], []
    for _ in range(runs):
        prepare()
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - started)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{argv} failed in {cwd}")
        memory.append(_megabytes(used))
    return Timed(statistics.median(seconds), max(memory))


def _ratio(ours: tuple[Sequence[str], Path], other: tuple[Sequence[str], Path], runs: int) -> float:
    """Return the median ratio of the processor times of two commands, each with its folder, run by turns."""
    for argv, cwd in (ours, other):
        _run(argv, cwd)
    return statistics.median(_processor_time(*ours) / _processor_time(*other) for _ in range(runs))


def _processor_time(argv: Sequence[str], cwd: Path) -> float:
    before = os.times()
    _run(argv, cwd)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _environment() -> dict[str, str]:
    """Return the environment of what is timed. Modules are compiled once, as they are on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"TURBO_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}


if __name__ == "__main__":
    main()
