"""What it costs to find out that nothing is to be done about Nix packages: seconds, and which programs were started.

    python tests/bench/nix.py [--packages 20] [--files 2000] [--runs 7]

A flake without nixpkgs has so many packages, in a repository with so many other files; all of it is built once. Then a
run with nothing to do, `plan` and `list` are timed, in a clean tree and in a dirty one: elapsed seconds, and those of
the processor, which other work on the machine changes less. So is the evaluation that is not made, and how often `nix`
was started is told. Nothing is asserted: read the figures.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = [str(Path(sysconfig.get_path("scripts")) / "doit-provenance")]
CONFIGURATION = """
build-users-group =
sandbox = false
substituters =
experimental-features = nix-command flakes
"""
FLAKE = """
{{
  outputs = {{ self }}: {{
    packages."{system}" = builtins.listToAttrs (map (name: {{
      inherit name;
      value = derivation {{
        name = "${{name}}-1.0";
        system = "{system}";
        builder = "/bin/sh";
        PATH = "/bin:/usr/bin";
        args = [ "-c" "mkdir -p $out/bin; echo ${{name}} > $out/bin/${{name}}" ];
      }};
    }}) [ {names} ]);
  }};
}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--packages", type=int, default=20)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="nix-"))
    try:
        _bench(folder, given)
    finally:
        shutil.rmtree(folder)


def _bench(folder: Path, given: argparse.Namespace) -> None:
    environment = _environment(folder)
    root = folder / "work"
    _make(root, given.packages, given.files)
    for argv in (["git", "init", "-q"], ["git", "add", "-A"], _commit()):
        _run(argv, root, environment)
    started = time.perf_counter()
    _run(OURS, root, environment)
    print(f"first run over {given.packages} packages: {time.perf_counter() - started:.1f} s")
    _run(OURS, root, environment)  # what was just written is looked at once more, as its times prove nothing yet
    calls = folder / "calls"
    calls.unlink(missing_ok=True)
    _all("clean tree", root, environment, given.runs)
    (root / "src" / "0.txt").write_text("edited\n", encoding="ascii")
    _run(OURS, root, environment)
    _run(OURS, root, environment)
    evaluated = len(calls.read_text(encoding="ascii").split()) if calls.exists() else 0
    calls.unlink(missing_ok=True)
    _all("dirty tree", root, environment, given.runs)
    print(f"an edit: `nix` was started {evaluated} times")
    started = len(calls.read_text(encoding="ascii").split()) if calls.exists() else 0
    print(f"nothing to do: `nix` was started {started} times")
    evaluation = [
        "nix",
        "eval",
        "--json",
        ".#packages",
        "--apply",
        "builtins.mapAttrs (_: builtins.mapAttrs (_: p: p.drvPath))",
    ]
    print(f"the evaluation that is not made: {_timed(evaluation, root, environment, given.runs)}")


def _all(name: str, root: Path, environment: dict[str, str], runs: int) -> None:
    for word, argv in (("nothing to do", OURS), ("plan", [*OURS, "plan"]), ("list", [*OURS, "list"])):
        print(f"{name}, {word}: {_timed(argv, root, environment, runs)}")


def _make(root: Path, packages: int, files: int) -> None:
    (root / "src").mkdir(parents=True)
    for index in range(files):
        (root / "src" / f"{index}.txt").write_text(f"{index}\n", encoding="ascii")
    names = [f"p{index}" for index in range(packages)]
    system = f"{os.uname().machine}-linux"
    text = FLAKE.format(system=system, names=" ".join(f'"{name}"' for name in names))
    (root / "flake.nix").write_text(text, encoding="ascii")
    (root / ".gitignore").write_text("dist\n.provenance\n", encoding="ascii")
    (root / "provenance.toml").write_text('[cargo]\nmanifests = []\n[nix]\npackages = ["*"]\n', encoding="ascii")


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment with a store of its own, and a `nix` before the real one that notes each start."""
    nix = shutil.which("nix")
    if nix is None:
        raise SystemExit("`nix` is not installed; `sh tests/tools/install` does it")
    wrapper = folder / "bin" / "nix"
    wrapper.parent.mkdir()
    wrapper.write_text(f"#!/bin/sh\necho call >> '{folder}/calls'\nexec '{nix}' \"$@\"\n", encoding="ascii")
    wrapper.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NIX_", "PYTHON"))}
    return kept | {
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),  # as installed programs have it
        "PATH": f"{wrapper.parent}{os.pathsep}{kept['PATH']}",
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "DOIT_PROVENANCE_KEY": str(folder / "key.pem"),
        "NIX_CONFIG": CONFIGURATION.strip(),
        "NIX_CONF_DIR": str(folder / "etc"),
        "NIX_STORE_DIR": str(folder / "store"),
        "NIX_STATE_DIR": str(folder / "var"),
        "NIX_LOG_DIR": str(folder / "log"),
    }


def _commit() -> list[str]:
    return ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "commit", "-q", "-m", "state"]


def _run(argv: Sequence[str], cwd: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{argv} failed in {cwd}:\n{done.stdout[-2000:]!r}\n{done.stderr[-2000:]!r}")


def _timed(argv: Sequence[str], cwd: Path, environment: dict[str, str], runs: int) -> str:
    """Return the medians of the seconds that a command took: elapsed, and of the processor."""
    elapsed, used = [], []
    for _ in range(runs):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        _run(argv, cwd, environment)
        elapsed.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return f"{statistics.median(elapsed):.3f} s, {statistics.median(used):.3f} s of the processor"


if __name__ == "__main__":
    main()
