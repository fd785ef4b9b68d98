"""Bake files as buildx plans them; buildx itself is asked in tests/integration/test_init_images.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.images.docker.bake import Target, bake_files, read_bake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FILES = ("docker-bake.hcl",)
Fake = Any  # what the fixture `buildx` returns


@pytest.fixture
def buildx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return what makes a `docker` that answers with a plan: of its default group, and of all targets."""

    def make(targets: Mapping[str, Any], *, default: tuple[str, ...] = (), code: str = "") -> None:
        plans = {
            "default.json": {"target": {name: targets[name] for name in default}},
            "others.json": {"target": {name: said for name, said in targets.items() if name not in default}},
            "list.json": [{"name": "all", "group": True}, *({"name": name} for name in targets)],
        }
        for name, plan in plans.items():
            (tmp_path / name).write_text(json.dumps(plan), encoding="utf-8")
        nothing = "echo 'ERROR: failed to find target default' >&2; exit 1"
        script = f"""#!/bin/sh
echo "$@" >>{tmp_path}/asked; env >{tmp_path}/environment
{code}
case "$*" in
    *--list*) cat {tmp_path}/list.json ;;
    *--print) {f"cat {tmp_path}/default.json" if default else nothing} ;;
    *) cat {tmp_path}/others.json ;;
esac
"""
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/docker").write_text(script, encoding="utf-8")
        (tmp_path / "bin/docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    return make


@pytest.fixture
def one(buildx: Fake, tmp_path: Path) -> Callable[[Mapping[str, Any]], Target]:
    """Return what reads a plan of one target."""

    def read(said: Mapping[str, Any]) -> Target:
        buildx({"tea": said}, default=("tea",))
        (found,) = read_bake(tmp_path, FILES)
        return found

    return read


def test_files_that_buildx_reads_by_itself(tmp_path: Path) -> None:
    for name in ("compose.yaml", "docker-bake.override.hcl", "docker-bake.hcl", "other.hcl"):
        (tmp_path / name).touch()
    (tmp_path / "docker-bake.json").mkdir()
    assert bake_files(tmp_path) == ("docker-bake.hcl", "docker-bake.override.hcl")


def test_all_targets_and_which_are_default(buildx: Fake, tmp_path: Path) -> None:
    buildx({"tea": {"context": "a"}, "pot": {"context": "b"}, "dev": {"context": "c"}}, default=("tea", "pot"))
    found = read_bake(tmp_path, FILES)
    assert [(one.name, one.is_default) for one in found] == [("dev", False), ("pot", True), ("tea", True)]
    assert (tmp_path / "asked").read_text().splitlines()[0] == "buildx bake --file docker-bake.hcl --print"


def test_without_a_default(buildx: Fake, tmp_path: Path) -> None:
    buildx({"tea": {}})
    assert [(one.name, one.is_default) for one in read_bake(tmp_path, FILES)] == [("tea", False)]


def test_without_a_target(buildx: Fake, tmp_path: Path) -> None:
    buildx({})
    assert read_bake(tmp_path, FILES) == ()


def test_in_the_words_of_the_configuration(one: Callable[[Mapping[str, Any]], Target]) -> None:
    found = one(
        {
            "context": "./images/",
            "dockerfile": "tea/Dockerfile",
            "args": {"A": "1", "NONE": None},
            "target": "runtime",
            "platforms": ["linux/amd64"],
            "secret": ["id=token,env=TOKEN", {"id": "file", "src": "x"}, {"id": "own"}],
            "contexts": {"assets": "./web/", "base": "docker-image://alpine:3"},
            "annotations": ["a=1=2", "manifest:b=2", "index,manifest:c=3"],
            "tags": ["tea:1"],
            "output": [{"type": "registry"}],
            "cache-from": [{"type": "gha"}],
            "labels": {},
        }
    )
    assert found.settings == {
        "context": "images",
        "dockerfile": "images/tea/Dockerfile",
        "platforms": ("linux/amd64",),
        "args": {"A": "1"},
        "target": "runtime",
        "secrets": ("id=token,env=TOKEN", "id=file,src=x", "id=own"),
        "contexts": {"assets": "web", "base": "docker-image://alpine:3"},
        "annotations": {"a": "1=2", "b": "2", "c": "3"},
    }
    assert (found.left_out, found.unfit) == ((), "")


def test_a_context_alone_says_where_the_dockerfile_is(one: Callable[[Mapping[str, Any]], Target]) -> None:
    found = one({"context": "tea", "dockerfile": "Dockerfile"})
    assert (found.settings, found.dockerfile) == ({"context": "tea"}, "tea/Dockerfile")


def test_what_no_setting_can_say(one: Callable[[Mapping[str, Any]], Target]) -> None:
    found = one(
        {
            "labels": {"a": "1"},
            "ssh": [{"id": "default"}],
            "contexts": {"other": "target:pot", "git": "https://example.com/x.git"},
            "annotations": ["index-descriptor:a=1"],
        }
    )
    assert found.left_out == (
        *("labels", "ssh", "the context `other=target:pot`", "the context `git=https://example.com/x.git`"),
        "the annotation `index-descriptor:a=1`",
    )
    assert found.settings == {"context": "."}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"dockerfile-inline": "FROM scratch"}, "its Dockerfile stands in the bake file"),
        ({"context": "https://example.com/x.git"}, "its context, `https://example.com/x.git`, is elsewhere"),
        ({"context": "../x"}, "its context, `../x`, is outside the workspace"),
        ({"context": "a/../.."}, "its context, `a/../..`, is outside the workspace"),
        ({"context": "/x"}, "its context, `/x`, is outside the workspace"),
    ],
)
def test_what_can_be_no_image_here(
    one: Callable[[Mapping[str, Any]], Target], said: Mapping[str, Any], why: str
) -> None:
    assert one(said).unfit == why


@pytest.mark.parametrize(
    ("said", "is_image"),
    [
        ({}, True),
        ({"output": [{"type": "registry"}]}, True),
        ({"output": [{"type": "local", "dest": "out"}, {"type": "docker"}]}, True),
        ({"output": ["type=oci,dest=x.tar"]}, True),
        ({"output": [{"type": "local", "dest": "out"}]}, False),
        ({"output": [{"type": "cacheonly"}]}, False),
        ({"output": ["out"]}, False),
        ({"output": [1]}, False),
        ({"call": "check"}, False),
        ({"call": "build"}, True),
    ],
)
def test_what_makes_an_image(
    one: Callable[[Mapping[str, Any]], Target],
    said: Mapping[str, Any],
    is_image: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert one(said).is_image is is_image


def test_the_builders_own_platform_is_no_setting(one: Callable[[Mapping[str, Any]], Target]) -> None:
    assert one({"platforms": ["local"]}).settings == {"context": "."}


def test_no_secret_of_the_environment_gets_into_a_plan(
    one: Callable[[Mapping[str, Any]], Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    one({})
    assert "hunter2" not in (tmp_path / "environment").read_text()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("echo 'ERROR: docker-bake.hcl:3' >&2; exit 1", "docker-bake.hcl:3"),
        ("echo '{'; exit", "malformed JSON"),
        ("echo '[]'; exit", "did not answer with a plan"),
    ],
)
def test_buildx_that_can_not_tell(buildx: Fake, tmp_path: Path, code: str, said: str) -> None:
    buildx({}, code=code)
    with pytest.raises(ToolError, match=said):
        read_bake(tmp_path, FILES)


@pytest.mark.parametrize("plan", [{"target": []}, {"target": {"tea": 1}}, {"target": None}, {}])
def test_plans_of_another_shape(buildx: Fake, tmp_path: Path, plan: Any) -> None:
    buildx({}, code=f"echo '{json.dumps(plan)}'; exit")
    assert read_bake(tmp_path, FILES) == ()


@pytest.mark.parametrize("key", ["context", "dockerfile", "args", "target", "platforms", "secret", "contexts"])
def test_values_of_another_shape(one: Callable[[Mapping[str, Any]], Target], key: str) -> None:
    """What buildx plans in a way that is not known yet is left out; the user reads what is proposed."""
    assert one({key: [[1]]}).settings == {"context": "."}
    assert one({key: 1}).settings == {"context": "."}
