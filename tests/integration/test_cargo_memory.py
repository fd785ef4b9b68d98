"""What cargo said is believed only while cargo would say it again: after any edit, what is remembered is the truth."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.config import load
from doit_provenance.provenance.errors import ProvenanceError
from doit_provenance.tasks.cargo import toolchain, units, workspaces
from doit_provenance.tasks.cargo.builder import CargoBuilder
from doit_provenance.tasks.cargo.declare import UNKNOWN
from doit_provenance.tasks.cargo.discover import discover
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.memory import ShortMemory
from doit_provenance.tasks.workspace import Workspace

from .workspaces import Repository, host, library, manifest, one_program, program, repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from doit_provenance.tasks.freshness.inputs import Declared

pytestmark = pytest.mark.integration

MAIN = "fn main() {}\n"
FILES = {
    ".gitignore": "/target\n",
    "repo/Cargo.toml": """
        [workspace]
        members = ["apps/*", "tool"]
        exclude = ["apps/out"]
        resolver = "2"
        [workspace.package]
        version = "1.0.0"
    """,
    "repo/apps/one/Cargo.toml": manifest("one", dependencies=['part = { path = "../../../beside/part" }']),
    "repo/apps/one/src/main.rs": "fn main() { part::say(); }\n",
    "repo/apps/two/Cargo.toml": manifest("two", "[features]\nextra = []").replace(
        'version = "0.1.0"', "version.workspace = true"
    ),
    "repo/apps/two/src/main.rs": MAIN,
    "repo/apps/two/src/bin/three.rs": MAIN,
    "repo/tool/Cargo.toml": manifest("tool"),
    "repo/tool/src/lib.rs": "pub fn say() {}\n",
    **{f"beside/{name}": text for name, text in library("part").items()},
    "config/settings.toml": "[build]\n",
}


class Steered:
    """The repository and its environment, steered from outside; each method is one way to do so."""

    def __init__(self, made: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = made
        self.top = made.root.parent
        self.monkeypatch = monkeypatch
        self.asked: list[Sequence[str]] = []
        for module in (workspaces, toolchain, units):
            monkeypatch.setattr(module, "capture", self._counting(module.capture))

    def _counting(self, capture: Callable[..., bytes]) -> Callable[..., bytes]:
        def counted(argv: Sequence[str], **settings: Any) -> bytes:
            self.asked.append(argv)
            return capture(argv, **settings)

        return counted

    def seen(self, memory: ShortMemory) -> object:
        """Return all that discovery finds and what is declared of it, or why it can't be told."""
        root = self.made.root
        context = Context(workspace=Workspace(root=root, config=load(root)), memory=memory)
        try:
            groups = discover(context)
            builder = CargoBuilder(context)
            declared = {a.id: _certain(builder.declare(a)) for a in builder.discover()}
        except ProvenanceError as error:
            return error.message.partition("\n")[0].partition("doit-provenance-")[0]
        return [
            (
                *(g.id, g.root, g.target_directory, g.build_directory, g.triple, g.profile, g.binaries),
                dict(g.toolchain.version),
                g.toolchain.config,
                [declared[b.artifact.id] for b in g.binaries],
            )
            for g in groups
        ]

    def holds(self, memory: ShortMemory) -> object:
        """Hold that what is remembered is the truth, and that it is asked for once; return it."""
        truth = self.seen(ShortMemory())
        assert self.seen(memory) == truth
        if not isinstance(truth, str):
            self.asked.clear()
            assert self.seen(memory) == truth
            # What cargo refuses to resolve it is asked in each run, once.
            assert len(self.asked) == (f"'resolution:cargo': '{UNKNOWN}'" in repr(truth))
        return truth


def _certain(declared: Declared) -> Declared:
    """Leave out what stands for manifests while cargo can't resolve: there it is what they last were."""
    if declared.values["resolution:cargo"] != UNKNOWN:
        return declared
    values = {of: value for of, value in declared.values.items() if not of.endswith("Cargo.toml")}
    return replace(declared, values=values)


def _text(name: str, text: str) -> Callable[[Steered], None]:
    return lambda s: s.made.write({name: text})


def _edit(name: str, old: str, new: str) -> Callable[[Steered], None]:
    def edit(s: Steered) -> None:
        path = s.made.root / name
        path.write_text(path.read_text().replace(old, new))

    return edit


def _gone(name: str) -> Callable[[Steered], None]:
    def remove(s: Steered) -> None:
        path = s.made.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    return remove


def _locked(*steps: Callable[[Steered], None]) -> Callable[[Steered], None]:
    def lock(s: Steered) -> None:
        for step in steps:
            step(s)
        s.made.lock()

    return lock


def _variable(name: str, value: str) -> Callable[[Steered], None]:
    return lambda s: s.monkeypatch.setenv(name, value)


def _another_cargo(s: Steered) -> None:
    real = shutil.which("cargo")
    folder = program(s.top / "programs", "cargo", f'exec {real} "$@"\n').parent
    s.monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def _another_toolchain(s: Steered) -> None:
    (s.top / "rustup" / "settings.toml").write_text(f'version = "12"\ndefault_toolchain = "nightly-{host()}"\n')


def _link_another_toolchain(s: Steered) -> None:
    link = s.top / "rustup" / "toolchains" / f"stable-{host()}"
    target = link.with_name(f"nightly-{host()}").resolve()
    link.unlink()
    link.symlink_to(target)


STEPS: dict[str, Callable[[Steered], None]] = {
    "nothing": lambda _: None,
    "new member": _locked(_text("apps/four/Cargo.toml", manifest("four")), _text("apps/four/src/main.rs", MAIN)),
    "new member that is not locked": _text("tool/Cargo.toml", manifest("another")),
    "member gone": _gone("apps/two"),
    "member is a library now": lambda s: (s.made.root / "apps/two/src/main.rs").rename(
        s.made.root / "apps/two/src/lib.rs"
    ),
    "new program": _text("tool/src/bin/other.rs", MAIN),
    "new program in a folder": _text("tool/src/bin/more/main.rs", MAIN),
    "library is a program too": _text("tool/src/main.rs", MAIN),
    "program gone": _gone("apps/two/src/bin/three.rs"),
    "program has a name": _edit(
        "apps/two/Cargo.toml", "[features]", '[[bin]]\nname = "x"\npath = "src/main.rs"\n[features]'
    ),
    "program needs a feature": _edit(
        "apps/two/Cargo.toml",
        "[features]",
        '[[bin]]\nname = "three"\nrequired-features = ["extra"]\n[features]',
    ),
    "version": _locked(_edit("apps/one/Cargo.toml", "0.1.0", "0.2.0")),
    "inherited version": _locked(_edit("Cargo.toml", "1.0.0", "2.0.0")),
    "readme": _text("apps/one/README.md", "# one\n"),
    "feature of a package beside": _text(
        "../beside/part/Cargo.toml", manifest("part", "[features]\ndefault = ['x']\nx = []")
    ),
    "build script of a package beside": _text("../beside/part/build.rs", MAIN),
    "manifest is no TOML": _edit("apps/one/Cargo.toml", "[package]", "[package"),
    "configuration": _text(".cargo/config.toml", '[build]\ntarget-dir = "elsewhere"\n'),
    "configuration without a suffix": _text(".cargo/config", '[build]\nrustflags = ["--cfg", "x"]\n'),
    "configuration above": _text("../.cargo/config.toml", '[build]\ntarget-dir = "above"\n'),
    "configuration of the user": lambda s: s.made.write(
        {f"{os.environ['CARGO_HOME']}/config.toml": '[build]\nbuild-dir = "between"\n'}
    ),
    "configuration that is included": lambda s: s.made.write(
        {
            ".cargo/config.toml": 'include = ["../../config/settings.toml"]\n',
            "../config/settings.toml": '[env]\nWORD = "one"\n',
        }
    ),
    "target folder": _variable("CARGO_TARGET_DIR", "somewhere"),
    "target": lambda s: s.monkeypatch.setenv("CARGO_BUILD_TARGET", host()),
    "flags": _variable("RUSTFLAGS", "--cfg x"),
    "profile": _variable("CARGO_PROFILE_RELEASE_LTO", "true"),
    "toolchain file": lambda s: s.made.write({"rust-toolchain.toml": f'[toolchain]\nchannel = "nightly-{host()}"\n'}),
    "toolchain file above": lambda s: s.made.write({"../rust-toolchain": f"nightly-{host()}\n"}),
    "toolchain variable": lambda s: s.monkeypatch.setenv("RUSTUP_TOOLCHAIN", f"nightly-{host()}"),
    "toolchain by default": _another_toolchain,
    "toolchain by link": _link_another_toolchain,
    "lock file gone": _gone("Cargo.lock"),
}
UNCERTAIN: dict[str, Callable[[Steered], None]] = {
    "a script for cargo": _another_cargo,
    "members below any folder": _edit("Cargo.toml", '"apps/*"', '"apps/**"'),
}


@pytest.fixture
def steered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steered:
    """Make the repository, with homes for cargo and rustup of its own that have the toolchains of this machine."""
    made = repository(tmp_path / "repo")
    monkeypatch.setattr(os, "environ", os.environ)  # put back as it was, whatever a step does
    rustup = tmp_path / "rustup"
    shared = [p for p in (_rustup_home() / "toolchains").iterdir() if p.name.endswith(host())]
    (rustup / "toolchains").mkdir(parents=True)
    for installed in shared:
        (rustup / "toolchains" / installed.name).symlink_to(installed.resolve())
    (rustup / "settings.toml").write_text(f'version = "12"\ndefault_toolchain = "stable-{host()}"\n')
    for name in set(os.environ) - made.environ.keys():
        monkeypatch.delenv(name)
    own = {"CARGO_HOME": str(tmp_path / "cargo"), "RUSTUP_HOME": str(rustup), "RUSTUP_AUTO_INSTALL": "0"}
    for name, value in (made.environ | own).items():
        monkeypatch.setenv(name, value)
    Repository(root=tmp_path, environ=dict(os.environ)).write(FILES)
    found = Repository(root=made.root, environ=dict(os.environ))
    found.lock()
    return Steered(found, monkeypatch)


def _rustup_home() -> Path:
    from doit_provenance.tasks.cargo.manifest_scan import rustup_home

    return rustup_home()


@pytest.mark.parametrize("step", STEPS)
def test_remembered_is_the_truth_after(steered: Steered, step: str) -> None:
    memory = ShortMemory()
    before = steered.holds(memory)
    assert isinstance(before, list)
    STEPS[step](steered)
    after = steered.holds(memory)
    assert (after == before) == (step == "nothing")


@pytest.mark.parametrize("seed", range(3))
def test_remembered_is_the_truth_after_many(steered: Steered, seed: int) -> None:
    """In any order, one on top of the other, until cargo refuses."""
    memory = ShortMemory()
    steps = sorted(STEPS)
    random.Random(seed).shuffle(steps)  # noqa: S311 - no secret
    for step in steps[:12]:
        with contextlib.suppress(FileNotFoundError, AssertionError):  # what a step before took away, or left unlocked
            STEPS[step](steered)
        steered.holds(memory)


@pytest.mark.parametrize("step", UNCERTAIN)
def test_cargo_is_asked_each_time_where_something_is_unclear(steered: Steered, step: str) -> None:
    UNCERTAIN[step](steered)
    memory = ShortMemory()
    truth = steered.seen(memory)
    steered.asked.clear()
    assert steered.seen(memory) == truth
    assert any("metadata" in argv for argv in steered.asked)


def test_edit_that_keeps_the_time_is_seen(steered: Steered) -> None:
    memory = ShortMemory()
    before = steered.seen(memory)
    path = steered.made.root / "apps/one/Cargo.toml"
    found = path.stat()
    path.write_text(path.read_text().replace('name = "one"', 'name = "eno"'))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    steered.made.lock()
    after = steered.seen(memory)
    assert after != before
    assert after == steered.seen(ShortMemory())


def test_configuration_that_is_included_counts(steered: Steered) -> None:
    memory = ShortMemory()
    STEPS["configuration that is included"](steered)
    before = steered.holds(memory)
    steered.made.write({"../config/settings.toml": '[env]\nWORD = "two"\n'})
    assert steered.holds(memory) != before


def test_workspace_that_comes_to_lie_around_a_package(steered: Steered) -> None:
    """The package then belongs to it, with another lock file and target folder."""
    made = steered.made
    shutil.rmtree(made.root)
    made.write(one_program())
    memory = ShortMemory()
    before = steered.holds(memory)
    made.write({"../Cargo.toml": '[workspace]\nmembers = ["repo"]\n'})
    made.lock("..")
    after = steered.holds(memory)
    assert after != before
    assert isinstance(after, list)
