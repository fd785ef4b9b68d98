"""What goes wrong is a clear error without a traceback, and what was there before is whole."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .workspaces import DOIT, Repository, host, library, manifest, one_program, program, repository

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

ID = f"cargo:solo@{host()}"


@pytest.fixture
def solo(tmp_path: Path) -> Repository:
    """Make a repository that ships one program."""
    return repository(tmp_path / "work", {".gitignore": "/target\n", **one_program()})


def _edit(made: Repository, text: str = "changed") -> None:
    made.write({"src/main.rs": f'fn main() {{ println!("{text}"); }}\n'})


@contextlib.contextmanager
def _unchanged(made: Repository) -> Iterator[None]:
    """Hold that the output folder is as it was, and verifies."""
    before = made.state()
    assert before
    yield
    assert made.state() == before
    made.doit("verify").ok()


def _source(made: Repository, name: str = "solo") -> dict[str, object] | None:
    materials = made.provenance(name)["buildDefinition"]["resolvedDependencies"]
    return next((m for m in materials if m.get("name") == "source"), None)


# What cargo refuses.


def test_build_that_fails(solo: Repository) -> None:
    solo.doit().ok()
    solo.write({"src/main.rs": "fn main() { wrong }\n"})
    with _unchanged(solo):
        ran = solo.doit().failed(1, f"error: `{ID}`: `cargo build` failed for `{ID}` (exit code 101)")
        assert "error[E0425]: cannot find value `wrong` in this scope" in ran.out
        assert ran.out.splitlines()[-1].startswith("error: could not compile `solo`"), "cargo has the last word"


def test_build_that_never_worked_leaves_nothing(solo: Repository) -> None:
    solo.write({"src/main.rs": "fn main() { wrong }\n"})
    solo.doit().failed(1)
    assert not (solo.root / "dist").exists() or not list((solo.root / "dist").rglob("solo*"))


@pytest.mark.parametrize(
    "lock", ["version = 4\n[[package]\n", "version = 99\n", "\x00\xff"], ids=["cut", "newer", "binary"]
)
def test_lock_file_that_is_broken(solo: Repository, lock: str) -> None:
    solo.doit().ok()
    (solo.root / "Cargo.lock").write_text(lock)
    with _unchanged(solo):
        ran = solo.doit().failed(1, "`cargo build` failed")
        assert "lock file" in ran.out


def test_lock_file_that_is_missing(solo: Repository) -> None:
    solo.doit().ok()
    (solo.root / "Cargo.lock").unlink()
    with _unchanged(solo):
        ran = solo.doit().failed(1, "`cargo build` failed")
        assert "--locked" in ran.out
        assert "hint: there is no Cargo.lock" in ran.out
    assert not (solo.root / "Cargo.lock").exists()


def test_lock_file_that_is_behind(solo: Repository) -> None:
    solo.doit().ok()
    solo.write({"Cargo.toml": manifest("solo", dependencies=['x = { path = "x" }']), **library("x")})
    before = (solo.root / "Cargo.lock").read_bytes()
    with _unchanged(solo):
        solo.doit().failed(1, "--locked")
    assert (solo.root / "Cargo.lock").read_bytes() == before


def test_manifest_that_is_broken(solo: Repository) -> None:
    solo.doit().ok()
    before = solo.state()
    solo.write({"Cargo.toml": '[package]\nname = "solo\n'})
    solo.doit().failed(1, "error: `cargo`: ", "Cargo.toml")
    assert solo.state() == before
    solo.doit("verify", "dist").ok()  # what is there can be verified without cargo's help


@pytest.mark.parametrize("missing", ["cargo", "git", "cargo and git"])
def test_programs_that_are_missing(solo: Repository, tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    for name in {"cargo", "git", "rustc", "cc", "ld", "sh"} - set(missing.split()):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(name))
    ran = solo.doit(env={"PATH": str(folder)})
    if "cargo" in missing:
        ran.failed(1, "`cargo` is not installed or not on the PATH", "hint: install `cargo`")
    else:
        ran.ok()
        assert _source(solo) is None
        solo.doit("verify").ok()


def test_compiler_that_is_killed(solo: Repository, tmp_path: Path) -> None:
    solo.doit().ok()
    _edit(solo)
    killer = program(tmp_path, "killer", 'case "$*" in *"--crate-name solo"*) kill -9 $$;; esac\nexec "$@"\n')
    with _unchanged(solo):
        solo.doit(env={"RUSTC_WRAPPER": str(killer)}).failed(1, "`cargo build` failed", "signal: 9")


# The output folder.


@contextlib.contextmanager
def _tmpfs(folder: Path, size: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a filesystem of a given size")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"no filesystem can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_output_on_a_full_disk(solo: Repository) -> None:
    with _tmpfs(solo.root / "dist", "1m"):
        solo.doit().ok()
        (solo.root / "dist" / "filler").touch()
        _edit(solo)
        _fill(solo.root / "dist" / "filler")
        with _unchanged(solo):
            solo.doit().failed(1, "No space left on device", "hint: free some disk space")
        assert not list((solo.root / "dist").rglob(".staging*"))
        (solo.root / "dist" / "filler").unlink()
        solo.doit().ok()
        solo.doit("verify").ok()
        assert solo.run(str(solo.folder("solo") / "solo")).ok().out == "changed\n"


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)


def test_state_on_a_full_disk(solo: Repository) -> None:
    """Where scratch files go, and doit's database."""
    with _tmpfs(solo.root / ".provenance", "1m"):
        solo.doit().ok()
        _edit(solo)
        _fill(solo.root / ".provenance" / "filler")
        with _unchanged(solo):
            solo.doit().failed(1, "No space left on device", "hint: free some disk space")


def test_logs_that_can_not_be_written(solo: Repository) -> None:
    solo.write({".provenance/logs": "something of the user's\n"})
    ran = solo.doit().ok()
    assert [json.loads(line)["event"] for line in ran.err.splitlines()].count("log.unwritable") == 1
    solo.doit("verify").ok()


def test_first_build_with_its_state_on_a_full_disk(solo: Repository) -> None:
    with _tmpfs(solo.root / ".provenance", "1m"):
        _fill(solo.root / ".provenance" / "filler")
        solo.doit().failed(1, "No space left on device", "hint: free some disk space")
        (solo.root / ".provenance" / "filler").unlink()
        solo.doit().ok()
        assert (solo.root / ".provenance" / ".gitignore").read_text() == "*\n"


def test_everything_on_a_full_disk(tmp_path: Path) -> None:
    with _tmpfs(tmp_path / "disk", "8m"):
        solo = repository(tmp_path / "disk" / "work", one_program())
        solo.doit().ok()
        _edit(solo)
        _fill(tmp_path / "disk" / "filler")
        with _unchanged(solo):
            solo.doit().failed(1, "No space left on device")


def test_output_that_is_read_only(solo: Repository) -> None:
    with _tmpfs(solo.root / "dist", "8m"):
        solo.doit().ok()
        subprocess.run(["mount", "-o", "remount,ro", str(solo.root / "dist")], check=True)
        _edit(solo)
        with _unchanged(solo):
            solo.doit().failed(1, "Read-only file system", "hint: the filesystem is read-only; `[project] output`")


def test_everything_read_only(tmp_path: Path) -> None:
    """`list`, `plan` and `show` need to write nothing, nor does a run that has nothing to do."""
    disk = tmp_path / "disk"
    with _tmpfs(disk, "64m"):
        solo = repository(disk / "work", one_program(), DOIT_PROVENANCE_KEY=str(tmp_path / "key.pem"))
        solo.doit().ok()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert ID in solo.doit("list").ok().out
        assert "solo" in solo.doit("show").ok().out
        assert "fresh" in solo.doit("plan").ok().out
        with _unchanged(solo):
            assert "fresh" in solo.doit().ok().out
            solo.doit("run", "-a").failed(1, "Read-only file system")


def test_output_that_is_a_file(solo: Repository) -> None:
    solo.write({"dist": "something of the user's\n"})
    solo.doit().failed(1, "can't write `", "dist")
    assert (solo.root / "dist").read_text() == "something of the user's\n"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_of_the_user_s_in_the_way(solo: Repository, tmp_path: Path, kind: str) -> None:
    solo.folder("solo").parent.mkdir(parents=True)
    if kind == "file":
        solo.folder("solo").write_text("not ours\n")
    else:
        solo.folder("solo").symlink_to(tmp_path)
    solo.doit().failed(1, f"dist/cargo/solo/{host()}` is in the way: it is not a folder", "hint: move it")
    assert solo.folder("solo").is_symlink() == (kind == "link")
    solo.folder("solo").unlink()
    solo.doit().ok()


# The sources' state.


def test_no_repository(solo: Repository) -> None:
    solo.doit().ok()
    assert _source(solo) is None
    solo.doit("verify").ok()


def test_repository_without_a_commit(solo: Repository) -> None:
    solo.git("init", "--quiet")
    solo.doit().ok()
    assert _source(solo) is None


def test_dirty_tree_is_said(solo: Repository) -> None:
    commit = solo.commit()
    solo.doit().ok()
    clean = _source(solo)
    assert clean is not None
    assert (clean["digest"], clean["annotations"]) == ({"gitCommit": commit}, {"dirty": False})
    _edit(solo)
    solo.doit().ok()
    dirty = _source(solo)
    assert dirty is not None
    assert (dirty["digest"], dirty["annotations"]) == ({"gitCommit": commit}, {"dirty": True})
    assert "not committed" in solo.doit("show").ok().out


def test_detached_head_and_shallow_clone(solo: Repository, tmp_path: Path) -> None:
    solo.commit("first")
    _edit(solo, "second")
    commit = solo.commit("second")
    solo.git("clone", "--quiet", "--depth", "1", f"file://{solo.root}", str(tmp_path / "clone"))
    clone = repository(tmp_path / "clone")
    clone.git("checkout", "--quiet", "--detach")
    clone.git("remote", "set-url", "origin", "https://name:secret@example.com/solo.git")
    clone.doit().ok()
    source = _source(clone)
    assert source is not None
    assert (source["digest"], source["annotations"]) == ({"gitCommit": commit}, {"dirty": False})
    assert source["uri"] == "git+https://example.com/solo"
    clone.doit("verify").ok()


def test_repository_of_somebody_else(solo: Repository) -> None:
    """Git refuses to read it; whether the tree is clean is not known, and silence would be a lie."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files to somebody else")
    solo.commit()
    for path in (solo.root, solo.root / ".git"):
        os.chown(path, 4711, 4711)
    solo.doit(env={"SUDO_UID": None}).failed(1, "dubious ownership")


@pytest.mark.parametrize("folder", ["with space", "größe 日本", "it's #1", "a\\b"])
def test_odd_paths(tmp_path: Path, folder: str) -> None:
    """Of the workspace, of a package, of a source file and of a folder that is watched."""
    files = {
        "rust/Cargo.toml": f"[workspace]\nresolver = '2'\nmembers = [{json.dumps(folder)}]\n",
        f"rust/{folder}/Cargo.toml": manifest("solo", dependencies=['dep = { path = "the dep" }']),
        f"rust/{folder}/src/main.rs": 'mod part { include!("ein stück.rs"); }\nfn main() { part::say(); }\n',
        f"rust/{folder}/src/ein stück.rs": """
            pub fn say() { println!("{}{}", dep::say(), include_str!("../# data/ä b")); }
        """,
        f"rust/{folder}/build.rs": 'fn main() { println!("cargo::rerun-if-changed=# data"); }\n',
        f"rust/{folder}/# data/ä b": "text",
        f"rust/{folder}/the dep/Cargo.toml": manifest("dep"),
        f"rust/{folder}/the dep/src/lib.rs": 'pub fn say() -> &\'static str { "dep " }\n',
        "provenance.toml": '[cargo]\nmanifests = ["rust/Cargo.toml"]\n[project]\noutput = "dist"\n',
    }
    made = repository(tmp_path / folder / "work", files)
    made.lock("rust")
    made.write({".gitignore": "target/\n"})
    made.commit()
    made.doit().ok()
    assert made.run(str(made.folder("solo") / "solo")).ok().out == "dep text\n"
    assert made.packages("solo") == {"dep"}
    assert made.inventory("solo")["completeness"] == "complete"
    before = _inputs_digest(made)
    for name in ("src/ein stück.rs", "# data/ä b", "the dep/src/lib.rs"):
        path = made.root / "rust" / folder / name
        path.write_text(path.read_text().replace("text", "word").replace("dep ", "tep ") + " ")
        made.doit().ok()
        after = _inputs_digest(made)
        assert after != before, name
        before = after
    made.doit("verify").ok()


def _inputs_digest(made: Repository) -> object:
    return json.loads((made.folder("solo") / "solo.record.json").read_bytes())["inputs"]


# What changes under our hands.

SLOW = {
    "Cargo.toml": manifest("solo"),
    "build.rs": """
        fn main() {
            println!("cargo::rerun-if-changed=data.txt");
            let mark = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/building");
            std::fs::write(&mark, "").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(700));
        }
    """,
    "data.txt": "one",
    "src/main.rs": 'fn main() { println!("{}", include_str!("../data.txt")); }\n',
    "Cargo.lock": one_program()["Cargo.lock"],
}


@contextlib.contextmanager
def _edited_while_building(made: Repository, texts: list[str]) -> Iterator[None]:
    """Write the next text into `data.txt` each time that the build script has begun."""
    mark = made.root / "target" / "building"
    mark.unlink(missing_ok=True)
    stop = threading.Event()

    def edit() -> None:
        for text in texts:
            while not mark.exists() and not stop.is_set():
                time.sleep(0.02)
            if stop.is_set():
                return
            mark.unlink()
            time.sleep(0.1)
            (made.root / "data.txt").write_text(text)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_input_that_changes_while_it_is_built(tmp_path: Path) -> None:
    made = repository(tmp_path / "work", SLOW)
    made.doit().ok()
    made.write({"data.txt": "two"})
    with _unchanged(made), _edited_while_building(made, ["three"]):
        made.doit().failed(1, "an input changed while it was being built: `", "data.txt`", "hint: run again")
    made.doit().ok()
    assert made.run(str(made.folder("solo") / "solo")).ok().out == "three\n"


def test_input_that_changes_in_the_first_build_is_built_again(tmp_path: Path) -> None:
    """Nobody knows what such a file held before; so the build is done once more, with what it holds now."""
    made = repository(tmp_path / "work", SLOW)
    with _edited_while_building(made, ["two"]):
        made.doit().ok()
    assert made.run(str(made.folder("solo") / "solo")).ok().out == "two\n"
    made.doit("verify").ok()


# Keys and secrets.


def test_configuration_tells_all_that_is_wrong(solo: Repository) -> None:
    solo.doit().ok()
    wrong = '[cargo]\nprofil = "release"\ntargets = "x86"\n[project]\nname = 7\n[cargoo]\n'
    solo.write({"provenance.toml": wrong})
    before = solo.state()
    for command in (("run",), ("list",), ("verify",), ("show",), ("key",)):
        ran = solo.doit(*command)
        assert ran.code in {2, 3}, ran.said
        for text in ("cargo.profil", "did you mean `profile`", "cargo.targets", "project.name", "cargoo"):
            assert text in ran.said, (command, ran.said)
    assert solo.state() == before


def test_key_that_others_may_read(solo: Repository) -> None:
    solo.doit().ok()
    key = Path(solo.environ["DOIT_PROVENANCE_KEY"])
    key.chmod(0o644)
    before = solo.state()
    ran = solo.doit("run", "-a").failed(1, str(key), "hint: ")
    assert "PRIVATE" not in ran.said
    assert "Compiling" not in ran.err  # told before anything is built
    assert solo.state() == before


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS"])
def test_no_key_is_made_in_ci(solo: Repository, variable: str) -> None:
    ran = solo.doit(env={variable: "true"}).failed(1, "none is created in CI", "DOIT_PROVENANCE_KEY")
    assert "Compiling" not in ran.err
    assert not Path(solo.environ["DOIT_PROVENANCE_KEY"]).exists()


def test_key_given_in_ci(solo: Repository) -> None:
    solo.doit("key").ok()
    solo.doit(env={"CI": "true"}).ok()
    assert "/ci" in solo.provenance("solo")["runDetails"]["builder"]["id"].lower()
    solo.doit("verify", env={"CI": "true"}).ok()


@pytest.mark.parametrize("way", ["variable", "file"])
def test_encrypted_key_and_what_builds_see_of_it(tmp_path: Path, way: str) -> None:
    """A build script that writes its whole environment down finds nothing that leads to the key."""
    files = {
        **one_program(),
        "build.rs": """
            fn main() {
                let all: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}\\n")).collect();
                std::fs::write("target/environment", all.concat()).unwrap();
                println!("cargo::rerun-if-changed=build.rs");
            }
        """,
    }
    secret = "correct horse battery staple"  # noqa: S105 - of a key that this test makes
    made = repository(tmp_path / "work", files)
    if way == "variable":
        env = {"DOIT_PROVENANCE_PASSPHRASE": secret}
    else:
        (tmp_path / "phrase").write_text(f"{secret}\n")
        env = {"DOIT_PROVENANCE_PASSPHRASE_FILE": str(tmp_path / "phrase")}
    made.doit(env=env).ok()
    key = Path(made.environ["DOIT_PROVENANCE_KEY"])
    assert "ENCRYPTED PRIVATE KEY" in key.read_text()
    seen = (made.root / "target" / "environment").read_text()
    assert "CARGO_PKG_NAME=solo" in seen
    assert "DOIT_PROVENANCE" not in seen
    state = {**made.state(), "seen": seen.encode()}
    for name, data in state.items():
        assert secret.encode() not in data, name
        assert str(key).encode() not in data, name
        assert b"PRIVATE" not in data, name
    made.doit("verify").ok()  # needs no passphrase
    _edit(made)
    with _unchanged(made):
        made.doit().failed(1, "is encrypted and there is no terminal", "DOIT_PROVENANCE_PASSPHRASE")
        made.doit(env={"DOIT_PROVENANCE_PASSPHRASE": "a guess"}).failed(1, "the passphrase is wrong")
    made.doit(env=env).ok()


def test_killed_at_any_time_old_or_new_is_whole(solo: Repository) -> None:
    """Killed hard, again and again, at growing times: what is in the output folder always verifies."""
    solo.doit().ok()
    old = solo.bytes_of("solo")
    for step in range(9):
        _edit(solo, f"state {step}")
        process = subprocess.Popen(
            DOIT, cwd=solo.root, env=solo.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.3 + 0.12 * step)
        process.kill()
        process.wait()
        solo.doit("verify").ok()
        said = solo.run(str(solo.folder("solo") / "solo")).ok().out
        assert said == f"state {step}\n" or solo.bytes_of("solo") == old
        old = solo.bytes_of("solo")
    solo.doit().ok()
    assert not list((solo.root / "dist").rglob(".staging*"))


def test_messages_are_for_people(solo: Repository) -> None:
    """One message as the user sees it, whole."""
    solo.write({"src/main.rs": "fn main() { wrong }\n"})
    said = solo.doit().out
    log = f".provenance/logs/cargo/solo/{host()}.log"
    message = rf"error: `{ID}`: `cargo build` failed for `{ID}` \(exit code 101\)\nlog: {re.escape(log)}\n\n"
    found = re.match(message, said)
    assert found, said
    kept = (solo.root / log).read_text()
    assert said[found.end() :] in kept
    assert kept.startswith("$ cargo build ")


def test_database_of_doit_that_is_damaged(solo: Repository) -> None:
    """Nothing of ours is in it, so a run goes on without; it is put aside when something is to be written."""
    solo.doit().ok()
    database = solo.root / ".provenance" / "doit.db"
    database.write_bytes(b"nothing of the kind" * 1000)
    assert "is fresh" in solo.doit().ok().out
    solo.doit("ignore", "cargo:solo").ok()
    assert database.with_name("doit.db.damaged").is_file()
    assert ID not in solo.doit("plan").ok().out


def test_database_of_doit_that_is_in_use(solo: Repository) -> None:
    """Whatever holds it can't hold up what does not need it."""
    solo.doit().ok()
    solo.doit("ignore", "cargo:solo").ok()
    solo.doit("forget", "cargo:solo").ok()
    with contextlib.closing(sqlite3.connect(solo.root / ".provenance" / "doit.db")) as other:
        other.execute("begin immediate")
        assert "is fresh" in solo.doit().ok().out
    solo.doit("verify").ok()


def test_two_runs_at_once(solo: Repository) -> None:
    """One waits for the other and says so; all end well, and what they leave verifies."""
    processes = [
        subprocess.Popen(DOIT, cwd=solo.root, env=solo.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    ran = [(process.communicate()[0].decode(), process.returncode) for process in processes]
    assert [code for _, code in ran] == [0, 0, 0], ran
    assert sum("lock.waiting" in said for said, _ in ran) >= 1
    assert sum("artifact.built" in said for said, _ in ran) == 1
    solo.doit("verify").ok()
    assert not list((solo.root / "dist").rglob(".staging*"))
