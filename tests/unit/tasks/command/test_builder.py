"""A command runs between two looks at its inputs, and what it leaves is taken as it was left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import BuildError, InputChangedError, ProvenanceError, StoreError, ToolError
from doit_provenance.provenance.record import Record, file_names
from doit_provenance.provenance.sbom.inventory import Completeness, Inventory, Kind, Role
from doit_provenance.tasks import graph
from doit_provenance.tasks.command.build import OURS
from doit_provenance.tasks.freshness.inputs import MEASURED, InputHasher, parts
from doit_provenance.tasks.pipeline import build as pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.builder import Built
    from doit_provenance.tasks.command.builder import CommandBuilder

    Commands = Callable[[str], CommandBuilder]


def shell(script: str, *, outputs: str = "['out/a']", inputs: str = "['src/**']", more: str = "") -> str:
    """Return a provenance.toml with one command that a shell reads."""
    run = json.dumps(["sh", "-c", script])
    return f"[command.a]\nrun = {run}\ninputs = {inputs}\noutputs = {outputs}\nplatform = 'any'\n{more}\n"


def build(builder: CommandBuilder, *names: str) -> Mapping[str, Built]:
    """Build all artifacts of the first command, or some of them."""
    found = list(builder.discover())
    wanted = [a for a in found if (a.name in names if names else a.group == found[0].group)]
    return {a.name: built for a, built in pipeline.build(builder.context, builder, wanted[0].group, wanted).items()}


@pytest.fixture(autouse=True)
def src(root: Path) -> Path:
    folder = root / "src"
    folder.mkdir()
    (folder / "x.txt").write_text("tea\n", encoding="ascii")
    return folder


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_all_that_it_was_made_from(commands: Commands, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs are files, patterns, variables, settings and the program; those of provenance are the files."""
    monkeypatch.setenv("MILK", "no")
    builder = commands(
        shell(
            "cat src/x.txt > out/a",
            inputs="['src/**', 'provenance.toml']",
            more="environment = ['MILK', 'SUGAR']\nexclude = ['src/gen/**', 'docs/**']",
        )
    )
    (built,) = build(builder).values()
    assert built.path.name == "a"
    assert built.path.read_text(encoding="ascii") == "tea\n"
    toml = (root / "provenance.toml").read_text(encoding="utf-8")
    files = {"src/x.txt": sha256("tea\n"), "provenance.toml": sha256(toml)}
    assert built.files == files
    program = shutil.which("sh")
    assert program is not None
    digest = digest_bytes(Path(program).read_bytes()).sha256
    assert built.inputs == {
        "setting:run": '["sh","-c","cat src/x.txt > out/a"]',
        "setting:inputs": '["src/**","provenance.toml"]',
        "setting:exclude": '["src/gen/**","docs/**"]',
        "setting:outputs": '["out/a"]',
        "tool:sh": f"sha256:{digest}",
        "glob:src/** !src/gen/**": sha256("src/x.txt"),
        "variable:MILK": sha256("no"),
        "variable:SUGAR": "unset",
        **{f"file:{name}": value for name, value in files.items()},
    }
    assert built.finished >= built.started


def test_declared_is_what_was_recorded(commands: Commands, root: Path) -> None:
    """Without running anything the builder says what, measured by anyone, is what the last run recorded."""
    builder = commands(shell("cat src/* > out/a", more="environment = ['MILK']"))
    (built,) = build(builder).values()
    (artifact,) = builder.discover()
    declared = builder.declare(artifact)
    meter = InputHasher(root, made=builder.context.build_dirs)
    now = dict(declared.values) | {of: meter.measure(of) for of in declared.measured}
    assert now.items() <= built.inputs.items()
    assert all(parts(of)[0] in MEASURED for of in declared.measured)
    rest = built.inputs.keys() - now.keys()
    assert rest == {"file:src/x.txt"}
    assert {of: meter.measure(of) for of in rest} == {of: built.inputs[of] for of in rest}


def test_program_of_the_workspace_is_a_file(commands: Commands, root: Path) -> None:
    """Its bytes count as any other input's do, and provenance lists them."""
    script = root / "make.sh"
    script.write_text("#!/bin/sh\ncp src/x.txt out/a\n", encoding="ascii")
    script.chmod(0o755)
    builder = commands("[command.a]\nrun = ['./make.sh']\ninputs = ['src/**']\noutputs = ['out/a']")
    (built,) = build(builder).values()
    digest = sha256("#!/bin/sh\ncp src/x.txt out/a\n")
    assert built.files["make.sh"] == built.inputs["file:make.sh"] == digest
    assert not any(of.startswith("tool:") for of in built.inputs)


def test_secrets_are_kept_from_it(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    monkeypatch.setenv("MILK", "no")
    (built,) = build(commands(shell("env > out/a"))).values()
    text = built.path.read_text(encoding="utf-8")
    assert "MILK=no" in text
    assert "hunter2" not in text


def test_some_outputs_of_a_group(commands: Commands) -> None:
    """What is asked for is taken, in one run."""
    script = "date +%N > out/a; cp out/a out/b; cp out/a out/c"
    builder = commands(shell(script, outputs="['out/a', 'out/b', 'out/c']"))
    built = build(builder, "a/a", "a/c")
    assert built.keys() == {"a/a", "a/c"}
    assert len({one.path.read_bytes() for one in built.values()}) == 1


def test_copy_stays_as_it_was(commands: Commands, root: Path) -> None:
    """A program that writes anew into the file that it left changes nothing of what was taken; then the copy goes."""
    builder = commands(shell("echo 1 > out/a; chmod 755 out/a"))
    (built,) = build(builder).values()
    with (root / "out/a").open("a", encoding="ascii") as stream:
        stream.write("2\n")
    assert built.path.read_text(encoding="ascii") == "1\n"
    assert stat.S_IMODE(built.path.stat().st_mode) == 0o755
    (artifact,) = builder.discover()
    builder.release(artifact)
    assert not built.path.exists()
    builder.release(artifact)


def test_copy_that_cannot_be_written(commands: Commands, root: Path) -> None:
    state = root / ".provenance"
    state.mkdir()
    (state / "command").write_text("in the way", encoding="ascii")
    with pytest.raises(StoreError, match="can't write"):
        build(commands(shell("echo 1 > out/a")))


CHANGES = {
    "edit": ("echo more >> src/x.txt", "src/x.txt", "holds still"),
    "new file": ("touch src/y.txt", "src/y.txt", "`exclude`"),
    "removed file": ("rm src/x.txt; touch src/y.txt", "src/x.txt", "holds still"),
    "last file": ("rm src/x.txt", "src/x.txt", "holds still"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_input_that_changes_meanwhile(commands: Commands, change: str) -> None:
    """What was built is of neither state: nothing is taken, and the error names the path."""
    script, path, hint = CHANGES[change]
    with pytest.raises(InputChangedError, match=f"while it was being built: `{path}`") as caught:
        build(commands(shell(f"echo 1 > out/a; {script}")))
    assert hint in str(caught.value.hint)


def test_program_that_changes_meanwhile(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho 1 > out/a; echo "# changed" >> "$0"\n', encoding="ascii")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InputChangedError, match="an input changed while it was being built: `tool`"):
        build(commands("[command.a]\nrun = ['tool']\ninputs = []\noutputs = ['out/a']"))


def test_what_it_writes_itself_is_no_input(commands: Commands) -> None:
    """Outputs never are, and neither is what `exclude` names."""
    text = shell("echo > gen; echo 1 > out/a", inputs="['**', 'out/a']", more="exclude = ['gen']")
    (built,) = build(commands(text)).values()
    assert built.files.keys() == {"provenance.toml", "src/x.txt"}
    (again,) = build(commands(text)).values()
    assert again.inputs == built.inputs


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("['src']", "the input `src` is no file"),
        ("['nothing.txt']", "the input `nothing.txt` is no file"),
        ("['scr/**']", r"no file matches the input `scr/\*\*`"),
        ("['src/**', 'dist/*']", r"no file matches the input `dist/\*`"),
    ],
)
def test_input_that_is_not_there(commands: Commands, root: Path, inputs: str, said: str) -> None:
    """A slip of the pen would let a command never run again; artifacts are no input files."""
    (root / "dist/command").mkdir(parents=True)
    (root / "dist/command/x").touch()
    with pytest.raises(BuildError, match=said) as caught:
        build(commands(shell("echo 1 > out/a", inputs=inputs)))
    assert "FOLDER/**" in str(caught.value.hint)
    assert not (root / "out/a").exists()


def test_failures(commands: Commands) -> None:
    with pytest.raises(BuildError, match=r"`sh` failed for `command:a@any` \(exit code 3\)"):
        build(commands(shell("exit 3")))
    with pytest.raises(BuildError, match=r"`sh` failed for `command:a@any` \(ended by signal 15\)"):
        build(commands(shell("kill $$")))
    with pytest.raises(ToolError, match="`no-such-tool` is not installed"):
        build(commands("[command.a]\nrun = ['no-such-tool']\ninputs = []\noutputs = ['a']"))


def test_folders_of_outputs_are_made(commands: Commands, root: Path) -> None:
    """So that no command has to; the output folder keeps itself out of git as ever."""
    build(commands(shell("echo 1 > dist/x/a", outputs="['dist/x/*']")))
    assert (root / "dist/.gitignore").read_text(encoding="ascii") == "*\n"
    (root / "file").touch()
    with pytest.raises(StoreError, match="the folder of an output can't be made: `file`"):
        build(commands(shell("true", outputs="['file/a']")))


def test_the_one_that_was_written_counts(commands: Commands, root: Path) -> None:
    """An older version's file may lie beside; one that is alone counts even if nothing was to be done."""
    out = root / "out"
    out.mkdir()
    (out / "a-1").touch()
    time.sleep(0.05)  # within a tick of the kernel's clock nobody can tell a file that was written again
    (built,) = build(commands(shell("echo 2 > out/a-2", outputs="['out/a-*']"))).values()
    assert built.path.name == "a-2"
    (out / "a-1").unlink()
    (built,) = build(commands(shell("true", outputs="['out/a-*']"))).values()
    assert built.path.name == "a-2"


def test_outputs_that_are_not_one_file(commands: Commands, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match="the run left no file that matches the output `out/a`"):
        build(commands(shell("mkdir -p out/a")))
    script = "for n in 1 2 3 4 5 6 7; do echo > out/b-$n; done"
    with pytest.raises(BuildError, match=r"not 7, that the run has written: `out/b-1`, .*`out/b-5` and 2 more"):
        build(commands(shell(script, outputs="['out/b-*']")))
    monkeypatch.setattr("doit_provenance.tasks.command.build.settled", lambda *_: True)
    with pytest.raises(BuildError, match="not 7, none of which the run has written"):
        build(commands(shell("true", outputs="['out/b-*']")))
    assert not (root / ".provenance/command").exists()


def test_name_that_cannot_be_shown(commands: Commands) -> None:
    with pytest.raises(BuildError, match=r"an output of `command:a@any` has a name that can't be shown: `a\\nb`"):
        build(commands(shell("touch 'out/a\nb'", outputs="['out/*']")))


def test_artifacts_look_like_outputs_and_are_none(commands: Commands, root: Path) -> None:
    """The output folder may be where a command writes; what was put there with its evidence is passed over."""
    for name in OURS:
        (root / "dist" / name / "a/any").mkdir(parents=True)
        (root / "dist" / name / "a/any/a.whl").touch()
    (built,) = build(commands(shell("echo 1 > dist/a.whl", outputs="['dist/**/*.whl']"))).values()
    assert built.path.read_text(encoding="ascii") == "1\n"


def test_folders_of_every_builder_are_passed_over(commands: Commands) -> None:
    context = commands("").context
    assert {make(context).name for make in graph.BUILDERS} <= set(OURS)


def test_file_that_another_command_left(commands: Commands) -> None:
    """Two commands whose patterns meet: the second one's error says so, instead of shipping the first one's file."""
    text = shell("echo 1 > out/a.whl", outputs="['out/*.whl']")
    other = text.replace("command.a", "command.b").replace("out/*.whl", "out/[a-z].whl")
    builder = commands(text + other)
    a, b = builder.discover()
    pipeline.build(builder.context, builder, a.group, [a])
    pipeline.build(builder.context, builder, a.group, [a])
    with pytest.raises(BuildError, match=r"`a.whl`, an output of `command:b@any`, is one of `command:a@any` too"):
        pipeline.build(builder.context, builder, b.group, [b])


def place(root: Path, artifact: Artifact, data: bytes) -> None:
    """Put an artifact with its record into the output folder, as the flow does."""
    folder = root / "dist" / artifact.folder
    folder.mkdir(parents=True, exist_ok=True)
    names = file_names(artifact.file)
    record = Record(
        artifact=artifact.id,
        file=artifact.file,
        digest=digest_bytes(data),
        inputs="a" * 64,
        evidence={},
        generator="0.1.0",
    )
    (folder / names.artifact).write_bytes(data)
    (folder / names.record).write_bytes(record.to_json())


GIVEN = shell("cat {kettle:tea@mac} > out/a", inputs="[]", more="artifacts = ['kettle:tea@mac']")


def test_upstream_by_digest(commands: Commands, root: Path, upstream: list[Artifact]) -> None:
    """An upstream artifact is given by its file; its digest is an input, a component and a material."""
    place(root, upstream[0], b"hot tea")
    builder = commands(GIVEN)
    (artifact,) = builder.discover()
    built = pipeline.build(builder.context, builder, artifact.group, [artifact])[artifact]
    digest = digest_bytes(b"hot tea")
    assert built.path.read_bytes() == b"hot tea"
    assert built.inputs["artifact:kettle:tea@mac"] == str(digest)
    assert built.external["run"] == ["sh", "-c", "cat {kettle:tea@mac} > out/a"]
    inventory, materials = builder.describe(artifact, built.path, digest)
    assert Inventory.from_json(inventory.to_json()) == inventory
    assert (inventory.completeness, inventory.subject.kind) == (Completeness.UNKNOWN, Kind.FILE)
    roles = {c.ref: (c.role, c.hashes.get("sha512")) for c in inventory.components}
    assert roles == {"kettle:tea@mac": (Role.INPUT, digest.sha512), "tool:sh": (Role.BUILD, None)}
    assert [(m.name, dict(m.digest)) for m in materials] == [
        ("kettle:tea@mac", {"sha256": digest.sha256, "sha512": digest.sha512}),
        ("sh", {"sha256": built.inputs["tool:sh"].removeprefix("sha256:")}),
    ]


def test_upstream_as_the_program(commands: Commands, root: Path, upstream: list[Artifact]) -> None:
    """What was built here may build more; its digest is that of the artifact, not of a tool."""
    place(root, upstream[0], b"#!/bin/sh\necho made > out/a\n")
    (root / "dist" / upstream[0].folder / "tea").chmod(0o755)
    text = "[command.a]\nrun = ['{kettle:tea@mac}']\ninputs = []\noutputs = ['out/a']\nartifacts = ['kettle:tea@mac']"
    builder = commands(text)
    (artifact,) = builder.discover()
    built = pipeline.build(builder.context, builder, artifact.group, [artifact])[artifact]
    assert built.path.read_text(encoding="ascii") == "made\n"
    assert not any(of.startswith("tool:") for of in built.inputs)
    inventory, materials = builder.describe(artifact, built.path, digest_bytes(b"made\n"))
    assert [c.ref for c in inventory.components] == [m.name for m in materials] == ["kettle:tea@mac"]


@pytest.mark.parametrize("damage", ["missing", "changed", "without a record", "a folder"])
def test_upstream_that_is_not_as_recorded(
    commands: Commands, root: Path, upstream: list[Artifact], damage: str
) -> None:
    """Whatever lies there: provenance would name the digest of something else."""
    place(root, upstream[0], b"hot tea")
    file = root / "dist" / upstream[0].folder / "tea"
    if damage == "changed":
        file.write_bytes(b"cold tea")
    elif damage == "without a record":
        file.with_name("tea.record.json").unlink()
    else:
        file.unlink()
    if damage == "a folder":
        file.mkdir()
    with pytest.raises(ProvenanceError, match="tea"):
        build(commands(GIVEN))
    assert not (root / "out/a").exists()


def test_upstream_that_changes_meanwhile(commands: Commands, root: Path, upstream: list[Artifact]) -> None:
    place(root, upstream[0], b"hot tea")
    place(root.parent, upstream[0], b"cold tea")
    text = shell("echo > out/a; rm -r dist; cp -r ../dist .", inputs="[]", more="artifacts = ['kettle:tea@mac']")
    with pytest.raises(InputChangedError, match="while it was being built: `kettle:tea@mac`"):
        build(commands(text))
