"""What goes wrong with Nix: its own message is told, and what to do; nothing that was there is lost or rewritten."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from .pots import CONFIGURATION, LEAF, SYSTEM, WASH, Pot, flake, pot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

OTHER = "aarch64-linux" if SYSTEM != "aarch64-linux" else "x86_64-linux"
NO_FEATURES = {"NIX_CONFIG": CONFIGURATION.replace("experimental-features = nix-command flakes\n", "")}


def told(made: Pot, *texts: str, env: dict[str, str | None] | None = None) -> str:
    """Hold that a run fails with these words, and leaves the output folder as it was."""
    before = made.made.state() if (made.made.root / "dist").exists() else {}
    ran = made.doit("run", env=env).failed(1, *texts)
    assert (made.made.state() if (made.made.root / "dist").exists() else {}) == before
    return ran.said


def test_there_is_no_nix(tmp_path: Path) -> None:
    """The task of the builder fails and says so; other builders go on."""
    made = pot(tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("git", "sh", "cp"):
        path = next(p for folder in ("/usr/bin", "/bin") if (p := f"{folder}/{name}") and os.path.exists(p))  # noqa: PTH110 - texts are at hand
        (programs / name).symlink_to(path)
    with (made.made.root / "provenance.toml").open("a", encoding="utf-8") as stream:
        stream.write(
            '[command.other]\nrun = ["cp", "flake.nix", "out/copy"]\ninputs = ["flake.nix"]\noutputs = ["out/copy"]\n'
        )
    said = made.doit("run", "--continue", env={"PATH": str(programs)}).failed(1, "`nix` is not installed").said
    assert "hint: install Nix, or take `[nix]` out of provenance.toml" in said
    assert list((made.made.root / "dist" / "command").rglob("copy"))


def test_flakes_are_not_enabled(tmp_path: Path) -> None:
    """Which setting is missing is told; one of ours passes it on the command line."""
    made = pot(tmp_path)
    told(
        made,
        "experimental Nix feature 'nix-command' is disabled",
        "hint: write `experimental-features = nix-command flakes` into nix.conf, or `experimental-features = true`",
        env=dict(NO_FEATURES),
    )
    made.configure('packages = ["*"]\nexperimental-features = true')
    made.doit("run", env=NO_FEATURES).ok()


def test_an_evaluation_fails(tmp_path: Path) -> None:
    """Nix's own message says why, with its place; what the flake's author wrote steers no terminal."""
    made = pot(tmp_path, {"wash": 'throw "no ${builtins.fromJSON "\\"\\\\u001b[31m\\""}wash today"'})
    said = told(made, "nix can't evaluate the flake in `.`", "wash today")
    assert "\x1b" not in said
    made.flake({"wash": "derivation { }"})
    told(made, "nix can't evaluate the flake in `.`", "name")
    made.flake({"wash": "{ }"})
    told(made, f"nix.packages: `wash` of {SYSTEM} is no derivation; leave it out with `exclude`")
    made.made.write({"flake.nix": "{ outputs = { self }: { packages = ; }; }\n"})
    told(made, "syntax error")
    made.made.write({"flake.nix": "{ outputs = { self }: { }; }\n"})
    told(made, "nix can't evaluate the flake in `.`", "packages")


def test_a_builder_fails(tmp_path: Path) -> None:
    """What it wrote is in the log that the message names, and is told last; packages beside it are built."""
    broken = 'sh "wash" "echo it breaks here; exit 3" { }'
    above = 'sh "above" "cat ${wash} > $out" { }'
    made = pot(tmp_path, {"above": above, "wash": broken, "leaf": LEAF, "tree": 'sh "tree" "echo tree > $out" { }'})
    ran = made.doit("run", "--continue").failed(1, "(exit code 1)", "it breaks here", "log: .provenance/logs/nix/")
    assert f"error: `nix:above@{SYSTEM}`, `nix:wash@{SYSTEM}`: nix failed" in ran.out
    assert made.calls().count("build") == 1
    for name in ("leaf", "tree"):
        assert made.origin(name)["origin"] == "built"
        assert made.claims_build(name)
    assert not made.folder("wash").exists()
    assert not made.folder("above").exists()
    assert {one: action for one, (action, _) in made.actions().items()} == {
        f"nix:above@{SYSTEM}": "build",
        f"nix:leaf@{SYSTEM}": "fresh",
        f"nix:tree@{SYSTEM}": "fresh",
        f"nix:wash@{SYSTEM}": "build",
    }


def test_a_builder_fails_and_leaves_its_output(tmp_path: Path) -> None:
    """Without a sandbox it lies in the store's folder, which the store does not hold: what is good is taken."""
    bad = 'sh "bad" "mkdir -p $out/bin; echo bad > $out/bin/bad; exit 1" { }'
    made = pot(tmp_path, {"bad": bad, "leaf": LEAF, "wash": WASH})
    made.nix("build", "--no-link", ".#wash")
    made.doit("run", "--continue").failed(1, "(exit code 1)")
    assert list((made.store / "store").glob("*-bad")), "the scene"
    assert made.origin("leaf")["origin"] == "built"
    assert made.origin("wash")["origin"] == "present"
    assert not made.claims_build("wash")
    assert not made.folder("bad").exists()
    assert made.calls().count("build") == 1


def test_a_forged_derivation(tmp_path: Path) -> None:
    """What a flake says of its packages never becomes an option of Nix, nor anything else than a derivation."""
    made = pot(tmp_path)
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho > {tmp_path / 'ran'}\n", encoding="utf-8")
    hook.chmod(0o755)
    forged = '{{ type = "derivation"; name = "x"; drvPath = "{}"; outPath = "/x"; outputs = [ ]; }}'
    packages = {"a": forged.format("--post-build-hook"), "b": forged.format(hook), "wash": WASH}
    made.flake(packages)
    made.made.commit()
    told(made, "the package `a` says that its derivation is `--post-build-hook`", "hint: leave it out in `[nix]`")
    assert made.calls() == ["eval"]
    assert not (tmp_path / "ran").exists()


def test_an_output_holds_something_else(tmp_path: Path) -> None:
    """That of one package does not keep the others from their evidence."""
    made = pot(tmp_path, {"empty": 'sh "empty" "mkdir $out" { }', "leaf": LEAF})
    made.doit("run", "--continue").failed(1, "no file matches `bin/*` in the output of `empty`; it is empty")
    assert made.origin("leaf")["origin"] == "built"
    assert not made.folder("empty").exists()


def test_what_is_fetched_has_changed(tmp_path: Path) -> None:
    """A fixed hash that is another one is Nix's to tell, and ours to explain."""
    fixed = 'sh "leaf" "echo leaf > $out" { outputHash = "' + "0" * 64 + '"; outputHashAlgo = "sha256"; }'
    told(
        pot(tmp_path, {"leaf": fixed}), "hash mismatch in fixed-output derivation", "hint: what it fetches has changed"
    )


def test_another_system_can_not_be_built_here(tmp_path: Path) -> None:
    """The packages of this machine's own system are built all the same."""
    made = pot(tmp_path, table=f'packages = ["*"]\nsystems = ["{SYSTEM}", "{OTHER}"]')
    foreign = WASH.replace("{ }", f'{{ system = "{OTHER}"; }}')
    made.made.write({"flake.nix": flake({SYSTEM: {"wash": WASH}, OTHER: {"wash": foreign}})})
    ran = made.doit("run", "--continue").failed(1, f"`nix:wash@{OTHER}`", OTHER)
    assert "hint: this machine can't build for that system: configure a remote builder in nix.conf" in ran.said
    assert made.folder("wash").exists()
    assert not made.folder("wash", OTHER).exists()


@pytest.fixture
def unlocked(tmp_path: Path) -> Pot:
    """Return a repository whose flake has an input that it has not locked."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "flake.nix").write_text('{ outputs = { self }: { word = "one"; }; }\n', encoding="utf-8")
    made = pot(tmp_path)
    made.flake(
        {"leaf": 'sh "leaf" "echo ${beside.word} > $out" { }'},
        inputs=f'inputs.beside.url = "path:{beside}";',
        names=("self", "beside"),
    )
    made.made.commit()
    return made


def test_there_is_no_lock(unlocked: Pot) -> None:
    """It is never written here: what goes into a build is for the user to decide."""
    told(
        unlocked,
        "requires lock file changes",
        "hint: flake.lock is missing or out of date, and is never rewritten here",
    )
    assert not (unlocked.made.root / "flake.lock").exists()


def test_the_lock_is_out_of_date(unlocked: Pot, tmp_path: Path) -> None:
    """Nor is it brought up to date."""
    unlocked.nix("flake", "lock")
    unlocked.made.commit()
    unlocked.doit("run").ok()
    lock = (unlocked.made.root / "flake.lock").read_bytes()
    other = tmp_path / "other"
    (tmp_path / "beside").rename(other)
    unlocked.flake({"leaf": LEAF}, inputs=f'inputs.beside.url = "path:{other}";', names=("self", "beside"))
    told(unlocked, "requires lock file changes", "run `nix flake lock`")
    assert (unlocked.made.root / "flake.lock").read_bytes() == lock


def test_a_damaged_lock(unlocked: Pot) -> None:
    """It is told as what it is."""
    unlocked.made.write({"flake.lock": "{}\n"})
    told(unlocked, "`flake.lock` is no lock of a flake")
    unlocked.made.write({"flake.lock": "[\n"})
    told(unlocked, "`flake.lock` is not JSON")


def test_a_flake_that_git_does_not_track(tmp_path: Path) -> None:
    """Git's view is Nix's: the message says what to do."""
    made = pot(tmp_path)
    made.made.git("rm", "--quiet", "--cached", "flake.nix")
    told(made, "flake.nix", "hint: a flake sees only files that git tracks: `git add` them")


def test_there_is_no_repository(tmp_path: Path) -> None:
    """Nix would copy everything that lies there, with all that was built: that is refused."""
    made = pot(tmp_path)
    (made.made.root / ".git").rename(tmp_path / "git")
    told(made, "a flake has to be in a git repository", "hint: run `git init`")


def test_the_store_can_not_be_written(tmp_path: Path) -> None:
    """A store that is no folder, as one that may not be written, is told with its path."""
    made = pot(tmp_path)
    (made.store / "var").write_text("no folder\n", encoding="utf-8")
    told(made, "nix can't evaluate the flake in `.`", str(made.store / "var"))


def test_another_process_holds_the_store(tmp_path: Path) -> None:
    """Nix waits for it, and that it waits is told at once; when the other one ends, the run goes on."""
    made = pot(tmp_path)
    made.nix("build", "--no-link", ".#wash")
    derivation_lock = next((made.store / "store").glob("*-wash-0.1.0"))
    made.forget_store()
    made.nix("eval", ".#wash.drvPath")
    lock = made.store / "store" / f"{derivation_lock.name}.lock"
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        timer = threading.Timer(4, lambda: fcntl.flock(stream, fcntl.LOCK_UN))
        timer.start()
        began = time.monotonic()
        made.doit("run").ok()
        timer.join()
    assert time.monotonic() - began > 3.5
    log = next((made.made.root / ".provenance" / "logs" / "nix").rglob("*.log")).read_text(encoding="utf-8")
    assert "waiting for" in log


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with room for two megabytes; skip the test where nothing may be mounted."""
    folder = tmp_path / "nix"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount a filesystem")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_the_disk_of_the_store_is_full(small: Path, tmp_path: Path) -> None:
    """Nix says so, we say what to do, and with room the run goes on."""
    made = pot(tmp_path, {"wash": 'sh "wash" "head -c 4000000 /dev/zero > $out" { }'})
    told(made, "No space left on device", "hint: the disk is full: make room")
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    made.doit("run").ok()
    made.doit("verify").ok()


def test_an_edit_while_it_builds(tmp_path: Path) -> None:
    """What is built is the derivation that was evaluated: an edit meanwhile changes nothing, and is seen next."""
    made = pot(tmp_path, {"leaf": 'sh "leaf" "cat ${./leaf.txt} > $out; sleep 3" { }'})
    made.made.write({"leaf.txt": "one\n"})
    made.made.commit()
    argv = [sys.executable, "-m", "doit", "run"]
    with subprocess.Popen(
        argv, cwd=made.made.root, env=made.made.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as ran:
        deadline = time.monotonic() + 60
        while not list((made.made.root / ".provenance" / "logs").rglob("*.log")) and time.monotonic() < deadline:
            time.sleep(0.1)
        made.made.write({"leaf.txt": "two\n"})
        assert ran.wait(60) == 0
    assert (made.folder("leaf") / "leaf").read_text(encoding="utf-8") == "one\n"
    made.doit("run").ok()
    assert (made.folder("leaf") / "leaf").read_text(encoding="utf-8") == "two\n"
