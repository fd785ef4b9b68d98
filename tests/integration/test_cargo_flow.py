"""`doit` and `doit-provenance` over a fresh copy of the example workspace: from sources to verified artifacts."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .workspaces import DODO, DOIT, DOIT_PROVENANCE, Repository, host, repository

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

EXAMPLE = Path(__file__).parents[2] / "examples" / "greeter"
NAMES = ("guests", "hello", "seek")
QUICK = {"CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0"}


@pytest.fixture(scope="module")
def greeter(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Build the example workspace."""
    root = tmp_path_factory.mktemp("greeter") / "work"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("dist", "target", ".provenance"))
    made = repository(root, {"dodo.py": DODO, ".gitignore": "/target\n__pycache__/\n"}, **QUICK)
    made.commit()
    made.doit().ok()
    return made


@pytest.fixture(params=[DOIT, DOIT_PROVENANCE], ids=["doit", "doit-provenance"])
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def test_each_artifact_stands_with_its_evidence(greeter: Repository) -> None:
    for name in NAMES:
        files = {p.name for p in greeter.folder(name).iterdir()}
        kinds = ("inventory", "spdx", "cdx", "provenance.sigstore", "spdx.sigstore", "cdx.sigstore", "record")
        assert files == {name, *(f"{name}.{kind}.json" for kind in kinds)}
    assert greeter.run(str(greeter.folder("hello") / "hello"), "you").ok().out == "Hello, you!\n"


def test_nothing_of_it_is_git_s_business(greeter: Repository) -> None:
    assert greeter.git("status", "--porcelain") == ""
    assert greeter.git("check-ignore", "dist/cargo", ".provenance/doit.db").split() == [
        "dist/cargo",
        ".provenance/doit.db",
    ]


def test_all_verify(greeter: Repository, program: tuple[str, ...]) -> None:
    lines = greeter.run(*program, "verify").ok().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("verified")] == [f"cargo:{n}@{host()}" for n in NAMES]


def test_artifacts_and_groups_are_tasks(greeter: Repository, program: tuple[str, ...]) -> None:
    listed = [line.split()[0] for line in greeter.run(*program, "list").ok().out.splitlines()]
    assert set(listed) == {"cargo", *(f"cargo:{n}" for n in NAMES), *(f"cargo:{n}@{host()}" for n in NAMES)}


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (["cargo:hello"], ["hello"]),
        (["cargo:*e*@*"], ["guests", "hello", "seek"]),
        (["cargo:s*", "cargo:hello"], ["hello", "seek"]),
        (["cargo"], ["guests", "hello", "seek"]),
    ],
    ids=" ".join,
)
def test_selections(greeter: Repository, selection: list[str], names: list[str]) -> None:
    said = greeter.doit("run", "-a", *selection).ok().out
    assert sorted(line.split(":")[1].split("@")[0] for line in said.splitlines()) == names


@pytest.mark.parametrize("selection", [["cargo:hallo"], ["cargo:x*"], ["cargo:hello", "cargo:x*"]], ids=" ".join)
@pytest.mark.parametrize("command", ["run", "verify", "show"])
def test_selection_that_matches_nothing(greeter: Repository, command: str, selection: list[str]) -> None:
    ran = greeter.doit(command, *selection)
    assert ran.code != 0
    assert selection[-1] in ran.said
    assert "built" not in ran.out


def test_built_again_is_what_it_was(greeter: Repository) -> None:
    before = greeter.state()
    said = greeter.doit("run", "-a").ok().out
    assert [line.split()[1] for line in said.splitlines()] == ["rebuilt"] * 3
    assert greeter.state() == before


def test_nothing_to_do_is_one_line(greeter: Repository) -> None:
    ran = greeter.doit().ok()
    assert (ran.out, ran.err) == ("3 artifacts are fresh\n", "")


def test_what_cargo_says_is_in_the_logs_and_standard_error_is_json(greeter: Repository) -> None:
    ran = greeter.doit("run", "-a").ok()
    events = [json.loads(line)["event"] for line in ran.err.splitlines()]
    assert sorted(events) == [*["artifact.rebuilt"] * 3, "tool.ended", "tool.started"]
    for name in ("guests", "hello", "seek"):
        text = (greeter.root / ".provenance" / "logs" / "cargo" / name / f"{host()}.log").read_text()
        assert "Finished `release` profile" in text


def test_show_and_key(greeter: Repository, program: tuple[str, ...]) -> None:
    shown = greeter.run(*program, "show", "cargo:guests").ok().out
    assert "serde_json" in shown
    assert "serde_derive" in shown.partition("tools that built it")[2]
    assert str(greeter.environ["DOIT_PROVENANCE_KEY"]) in greeter.run(*program, "key").ok().out


def test_registry_packages_are_named_with_checksum_and_licence(greeter: Repository) -> None:
    (regex,) = [c for c in greeter.inventory("seek")["components"] if c["name"] == "regex"]
    lock = (greeter.root / "Cargo.lock").read_text()
    assert regex["purl"] == f"pkg:cargo/regex@{regex['version']}"
    assert f'checksum = "{regex["hashes"]["sha256"]}"' in lock
    assert regex["licence"] == "MIT OR Apache-2.0"
    materials = {
        d.get("uri"): d["digest"] for d in greeter.provenance("seek")["buildDefinition"]["resolvedDependencies"]
    }
    assert materials[regex["purl"]] == {"sha256": regex["hashes"]["sha256"]}


def test_three_programs_of_one_package_hold_different_crates(greeter: Repository) -> None:
    assert greeter.packages("hello") == set()
    assert {"serde_json", "anyhow"} <= greeter.packages("guests")
    assert "regex" not in greeter.packages("guests")
    assert {"regex", "anyhow"} <= greeter.packages("seek")
    assert "serde_json" not in greeter.packages("seek")


def test_no_path_of_this_machine_leaves_in_evidence(greeter: Repository) -> None:
    for path, data in greeter.state().items():
        if path.endswith(".json"):
            text = data + b"".join(_payload(data))
            assert str(greeter.root.parent).encode() not in text, path
            assert str(Path.home()).encode() not in text, path


def _payload(data: bytes) -> Iterator[bytes]:
    envelope = json.loads(data).get("dsseEnvelope")
    if envelope is not None:
        yield base64.b64decode(envelope["payload"])


@pytest.mark.parametrize("suffix", ["", ".spdx.json", ".provenance.sigstore.json", ".record.json"])
def test_damage_is_told_and_repaired(greeter: Repository, suffix: str) -> None:
    file = greeter.folder("hello") / f"hello{suffix}"
    before = greeter.state()
    file.write_bytes(file.read_bytes()[:-30])
    ran = greeter.doit("verify", "cargo:hello")
    assert ran.code in {1, 2}
    assert "not verified" in ran.out
    greeter.doit("cargo:hello").ok()
    greeter.doit("verify", "cargo:hello").ok()
    after = greeter.state()
    changed = {path for path in before if before[path] != after[path]}
    if suffix == ".provenance.sigstore.json":  # only that one has to be made anew; signatures differ each time
        assert f"cargo/hello/{host()}/hello{suffix}" in changed
    else:  # a record may need another seal
        assert changed <= {f"cargo/hello/{host()}/hello.record.json"}


def test_runs_no_python_of_the_repository(greeter: Repository) -> None:
    trap = "raise SystemExit('python of the repository was run')\n"
    greeter.write(
        {"dodo.py": trap, "doit.cfg": "[GLOBAL]\nnonsense = 1\n", "sitecustomize.py": trap, "provenance.py": trap}
    )
    try:
        assert "python of the repository" in greeter.doit("list").said
        greeter.run(*DOIT_PROVENANCE, "verify").ok()
    finally:
        greeter.write({"dodo.py": DODO})
        for name in ("doit.cfg", "sitecustomize.py", "provenance.py"):
            (greeter.root / name).unlink()


def test_second_names_of_binaries_are_let_go(greeter: Repository) -> None:
    """What a run holds while it takes binaries to their places is gone when it ends."""
    assert [p for p in (greeter.root / ".provenance" / "cargo" / "built").rglob("*") if p.is_file()] == []
