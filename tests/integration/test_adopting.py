"""A repository that has a life of its own takes `doit` up, and nothing of its own is hidden or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .workspaces import DOIT, DOIT_PROVENANCE, Repository, host, one_program, repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

ID = f"cargo:solo@{host()}"


@pytest.fixture
def solo(tmp_path: Path) -> Repository:
    """Make a repository that ships one program and knows nothing of doit."""
    made = repository(tmp_path / "work", {".gitignore": "/target\n__pycache__/\n", **one_program()})
    (made.root / "dodo.py").unlink()
    return made


@pytest.mark.parametrize("program", ["doit", "doit-provenance"])
def test_init_then_build_then_verify(solo: Repository, program: str) -> None:
    said = (solo.doit("init") if program == "doit" else solo.run(*DOIT_PROVENANCE, "init")).ok().out
    assert said.splitlines()[:2] == ["wrote   dodo.py", "wrote   provenance.toml"]
    assert ID in said
    solo.commit()
    solo.doit().ok()
    solo.doit("verify").ok()
    assert solo.git("status", "--porcelain") == ""


def test_init_leaves_what_is_there(solo: Repository) -> None:
    files = {"dodo.py": "DOIT_CONFIG = {}\n", "provenance.toml": '[cargo]\nprofile = "dev"\n'}
    solo.write(files)
    said = solo.run(*DOIT_PROVENANCE, "init").ok().out
    assert said.splitlines()[:2] == ["kept    dodo.py", "kept    provenance.toml"]
    assert {name: (solo.root / name).read_text() for name in files} == files


@pytest.mark.parametrize("name", ["dodo.py", "provenance.toml"])
def test_init_writes_through_no_link(solo: Repository, tmp_path: Path, name: str) -> None:
    (solo.root / name).symlink_to(tmp_path / "elsewhere")
    solo.run(*DOIT_PROVENANCE, "init")
    assert (solo.root / name).is_symlink()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("command", ["verify", "show"])
def test_without_a_dodo_py_a_command_says_what_to_do(solo: Repository, command: str) -> None:
    solo.doit("key").ok()
    said = solo.doit(command).failed(2).err
    assert said.endswith(f"hint: `doit init` writes one; `doit-provenance {command}` needs none\n")


def test_starter_file_says_what_is_anyway(solo: Repository) -> None:
    """With `provenance.toml` as written and without one the same is built, from inputs that differ in nothing else."""
    solo.doit("init").ok()
    solo.doit().ok()
    before = solo.state()
    (solo.root / "provenance.toml").unlink()
    assert "fresh" in solo.doit().ok().out
    assert solo.state() == before


OWN = {
    "tasks.py": 'WHOSE = "own"\n',
    "provenance.py": 'WHOSE = "own"\n',
    "dodo.py": """
        import provenance
        import tasks
        from doit_provenance.tasks.graph import workspace

        DOIT_CONFIG, task_artifacts = workspace()
        assert (tasks.WHOSE, provenance.WHOSE) == ("own", "own")


        def task_greet():
            return {"actions": ["echo hello from the user"], "verbosity": 2}
    """,
}


@pytest.mark.parametrize("shape", ["files", "folders", "package of the same layout"])
def test_own_modules_of_our_names_are_theirs(solo: Repository, shape: str) -> None:
    files = dict(OWN)
    if shape != "files":
        files |= {f"{name}/__init__.py": files.pop(f"{name}.py") for name in ("tasks", "provenance")}
    if shape == "package of the same layout":
        files |= {"tasks/graph.py": "raise SystemExit\n", "provenance/errors.py": "raise SystemExit\n"}
    solo.write(files)
    ran = solo.doit().ok()
    assert "hello from the user" in ran.out
    assert f"{ID}  built" in ran.out
    solo.doit("verify").ok()


def test_tasks_of_the_user_s_own_look_as_ever(solo: Repository) -> None:
    solo.write(OWN)
    assert {"cargo", "cargo:solo", ID, "greet"} == {line.split()[0] for line in solo.doit("list").ok().out.splitlines()}
    assert ".  greet" in solo.doit("greet").ok().out
    solo.write({"dodo.py": OWN["dodo.py"].replace("echo hello from the user", "false")})
    ran = solo.doit("greet").failed(1, "greet")
    assert "TaskFailed" in ran.said
    assert "cargo" not in ran.said


def test_own_task_that_depends_on_an_artifact(solo: Repository) -> None:
    depends = f'"task_dep": ["cargo:solo"], "actions": ["dist/cargo/solo/{host()}/solo"]'
    solo.write({**OWN, "dodo.py": OWN["dodo.py"].replace('"actions": ["echo hello from the user"]', depends)})
    said = solo.doit("greet").ok().out
    assert "hello" in said, "which only the artifact says"
    assert "  built  " in said


@pytest.mark.parametrize("place", [".", "deep/er"])
def test_workspace_below_the_dodo_file(tmp_path: Path, place: str) -> None:
    """As this project has it: the dodo.py at the root, what is built further down."""
    made = repository(
        tmp_path / "work",
        {
            "dodo.py": f"""
                from doit_provenance.tasks.graph import workspace

                DOIT_CONFIG, task_artifacts = workspace({place!r})
            """,
            **{f"{place}/{name}": text for name, text in one_program().items()},
        },
    )
    made.commit()
    made.doit().ok()
    assert (made.root / place / "dist" / "cargo" / "solo" / host() / "solo").exists()
    made.doit("verify").ok()


def test_dodo_file_used_from_another_folder(solo: Repository, tmp_path: Path) -> None:
    solo.doit("init").ok()
    ran = solo.run(*DOIT, "-f", str(solo.root / "dodo.py"), "-d", str(solo.root), cwd=tmp_path)
    ran.ok()
    solo.doit("verify").ok()


def test_repository_without_anything_to_build(tmp_path: Path) -> None:
    made = repository(tmp_path / "work")
    assert "nothing to build yet" in made.doit("init").ok().out
    made.doit("list").ok()
    made.doit("key").ok()
    made.doit("verify").failed(2, "no artifacts", "hint: ")
