"""What evidence costs on top of a cargo build: seconds and ratios, all from one run on one workspace.

    python tests/bench/evidence.py WORKSPACE [--edit PATH] [--cold] [--runs 5]

WORKSPACE is a checkout that `doit` can build (with or without a provenance.toml). Without `--cold` it must have been
built before. `--edit` names a source file that is touched before each build, so that its binaries are built again;
`--cold` builds twice from an empty target folder, bare and with evidence. Nothing is asserted: read the figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sysconfig
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from doit_provenance.provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX, make_statement
from doit_provenance.provenance.digest import digest_file
from doit_provenance.provenance.record import file_names
from doit_provenance.provenance.verify.evidence import Measured
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.cargo.builder import CargoBuilder
from doit_provenance.tasks.graph import open_session, tasks
from doit_provenance.tasks.pipeline import attest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doit_provenance.tasks.cargo.discover import Group
    from doit_provenance.tasks.session import Session

OURS = [str(Path(sysconfig.get_path("scripts"), "doit-provenance"))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--edit", type=Path)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    os.chdir(given.workspace)
    groups = _groups()
    if given.cold:
        _pair("cold build", 1, groups, lambda: [shutil.rmtree(g.target_directory, ignore_errors=True) for g in groups])
    _pair("nothing to do", given.runs, groups, lambda: None)
    if given.edit:
        _pair("after an edit", given.runs, groups, lambda: _edit(given.edit))
    _parts(given.runs)


def _groups() -> list[Group]:
    session = open_session(Path())
    list(tasks(session))
    builder = session.judge.builders["cargo"]
    assert isinstance(builder, CargoBuilder)
    return list(builder._groups.values())


def _pair(title: str, runs: int, groups: list[Group], prepare: Callable[[], object]) -> None:
    """Time bare cargo and ours in turn."""
    bare, ours = [], []
    binaries = sum(len(g.binaries) for g in groups)
    for _ in range(runs):
        prepare()
        with _timed(bare):
            for group in groups:
                target = ["--target", group.platform] if group.triple else []
                names = [word for b in group.binaries for word in ("--bin", b.target)]
                argv = ["cargo", "build", *group.selection(), *target, *names]
                subprocess.run(argv, cwd=group.root, check=True, capture_output=True)
        prepare()
        with _timed(ours):
            subprocess.run(OURS, check=True, capture_output=True)
    b, o = statistics.median(bare), statistics.median(ours)
    print(f"{title}, {binaries} binaries: bare {b:.2f} s, with evidence {o:.2f} s: +{o - b:.2f} s, ratio {o / b:.3f}")


def _parts(runs: int) -> None:
    """Time the steps of the first artifact, in this process."""
    describing: list[float] = []
    signing: list[float] = []
    count = 0
    for _ in range(runs):
        session = _built_session()
        artifact = next(iter(session.artifacts.values()))
        built = session._build_once(artifact)
        builder, signer = session.judge.builders["cargo"], session._signer.signing()
        digest = digest_file(built.path)
        names = file_names(artifact.file)
        with _timed(describing):
            inventory, _packages = builder.describe(artifact, built.path, digest)
            documents = attest._documents(names, inventory)
        with _timed(signing):
            for kind, predicate in (
                (PROVENANCE, b"{}"),
                (SPDX, documents[names.spdx]),
                (CYCLONEDX, documents[names.cyclonedx]),
            ):
                text = make_statement(name=artifact.file, digest=digest, predicate_type=kind, predicate=predicate)
                signer.key.sign_statement(text)
            verify_folder(
                session.workspace.output / artifact.folder,
                trust=signer.trust,
                artifact=Measured.of_file(artifact.file, digest),
            )
        count = len(inventory.components)
    _print(f"inventory and both SBOMs, {count} components", describing)
    _print("three statements signed, folder checked (artifact's digest known)", signing)


def _print(title: str, seconds: list[float]) -> None:
    print(f"{title}: {statistics.median(seconds):.3f} s, best {min(seconds):.3f} s")


def _built_session() -> Session:
    """Return a new session whose first group is built and observed; lock file and manifests are not read yet."""
    session = open_session(Path())
    list(tasks(session))
    session.selected = set(session.artifacts)
    session.always = True
    session._build_once(next(iter(session.artifacts.values())))
    builder = session.judge.builders["cargo"]
    assert isinstance(builder, CargoBuilder)
    for run in builder._runs.values():
        for observed in run.observed.values():
            observed.result()
    _ = session.workspace.source.commit
    return session


def _edit(path: Path) -> None:
    """Change a source file as an editor would, and leave its meaning."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n")


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into.append(time.perf_counter() - start)


if __name__ == "__main__":
    main()
