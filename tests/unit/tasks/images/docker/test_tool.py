"""Which builder builds is asked in a run that builds, and remembered for those that don't."""

from __future__ import annotations

import functools
import gc
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ConfigError, ToolError
from doit_provenance.tasks.images.docker.buildx import Tool, environment, find_tool, look_up, tool_value
from doit_provenance.tasks.images.docker.pins import POLICY, Asking, Pins, policy, resolution

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.tasks.images.docker.builder import DockerBuilder

    Docker = Callable[[str], Path]
    Images = Callable[[str], DockerBuilder]

SHA = "sha256:" + "ab" * 32
BUILDX = f"""
case "$2" in
version) echo github.com/docker/buildx v0.38.2 ;;
inspect) cat <<'E'
Name:          far
Driver:        remote
Last Activity: 2026-11-24 12:45:55 +0000 UTC

Nodes:
Name:             far0
Endpoint:         tcp://far:1234
Status:           running
BuildKit version: v0.34.2
Platforms:        linux/amd64*, linux/arm64
Labels:
 org.mobyproject.buildkit.worker.executor:         oci
E
;;
imagetools) echo {SHA} ;;
esac
"""


def test_builder(images: Images, docker: Docker) -> None:
    docker(BUILDX)
    context = images("").context
    assert find_tool(context) == Tool(
        argv=("docker", "buildx"),
        builder="far",
        driver="remote",
        version="v0.34.2",
        platforms=("linux/amd64", "linux/arm64"),
    )


def test_version_is_remembered_for_the_same_choice(
    images: Images, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked twice, until another builder may be in use."""
    calls = docker(BUILDX)
    context = images("").context
    find = functools.partial(find_tool, context)
    assert tool_value(context, find) == "BuildKit v0.34.2"
    asked = calls.read_text()
    assert tool_value(context, find) == "BuildKit v0.34.2"
    assert calls.read_text() == asked
    monkeypatch.setenv("BUILDX_BUILDER", "other")
    tool_value(context, find)
    assert calls.read_text() != asked


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "echo ERROR: Cannot connect to the Docker daemon at unix:///x. >&2; exit 1",
            "the docker engine does not answer",
        ),
        (
            '[ "$2" = version ] || printf "Name: b\\nDriver: remote\\nStatus: inactive\\nError: dial tcp: refused\\n"',
            "the builder `b` of `docker buildx` can't be used: dial tcp: refused",
        ),
        (
            '[ "$2" = version ] || { echo "ERROR: context deadline exceeded" >&2; exit 1; }',
            "the builder in use of `docker buildx` can't be used: context deadline exceeded\nhint: start it",
        ),
        ("echo broken >&2; exit 9", "failed in"),
    ],
)
def test_builder_that_can_not_be_used(images: Images, docker: Docker, script: str, said: str) -> None:
    docker(script)
    with pytest.raises(ToolError) as caught:
        find_tool(images("").context)
    assert said in str(caught.value)


# The library leaves the socket open that could not be connected.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_neither_buildx_nor_engine(images: Images, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    docker("echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    reason = (
        "^there is no `docker buildx`, and no docker engine can be reached: No such file or directory\nhint: install"
    )
    with pytest.raises(ToolError, match=reason):
        find_tool(images("").context)
    gc.collect()  # so that it is this test that hears of the socket


def test_nothing_steers_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDX_GIT_LABELS", "1")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    found = environment({"A": "b"})
    assert found["A"] == "b"
    assert not {"BUILDX_GIT_LABELS", "DOCKER_DEFAULT_PLATFORM", "DOIT_PROVENANCE_PASSPHRASE"} & found.keys()


def test_all_images_of_a_run_see_one_digest(images: Images, docker: Docker) -> None:
    calls = docker(BUILDX)
    context = images("").context
    find = functools.partial(find_tool, context)

    def ask(reference: str) -> str:
        return look_up(reference, find(), context.workspace.root)

    reference = "docker.io/library/debian:12"
    pins = Pins(context, ask)
    assert pins.resolve([reference, f"a.io/b@{SHA}"], Asking.ALWAYS) == {reference: SHA, f"a.io/b@{SHA}": SHA}
    assert f"buildx imagetools inspect --builder far {reference} --format {{{{.Manifest.Digest}}}}" in calls.read_text()
    docker(BUILDX.replace("ab" * 32, "cd" * 32))
    assert pins.resolve([reference], Asking.ALWAYS) == {reference: SHA}
    never = Asking.WHERE_UNKNOWN
    assert Pins(context, ask).resolve([reference], never) == {reference: SHA}, "a run that builds nothing asks nobody"
    assert Pins(context, ask).resolve([reference], Asking.ALWAYS) == {reference: "sha256:" + "cd" * 32}
    assert resolution(reference) == f"resolution:image {reference}"


@pytest.mark.parametrize(
    ("script", "said"), [("echo no", "did not tell the digest"), ("echo no >&2; exit 1", "can't be looked up")]
)
def test_image_that_is_not_there(images: Images, docker: Docker, script: str, said: str) -> None:
    docker(BUILDX)
    context = images("").context
    tool = find_tool(context)
    docker(script)
    with pytest.raises(ToolError, match=said):
        look_up("docker.io/library/debian:12", tool, context.workspace.root)


def test_policy_comes_after_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(POLICY, raising=False)
    ours = b'"selector": {"identifier": "docker-image://a.io/b:1", "match_type": 1}'
    assert ours in policy({"a.io/b:1": SHA, f"a.io/c@{SHA}": SHA})
    assert b"a.io/c" not in policy({f"a.io/c@{SHA}": SHA})
    path = tmp_path / "policy.json"
    monkeypatch.setenv(POLICY, str(path))
    path.write_text('{"rules": [{"action": "DENY"}]}')
    assert policy({"a.io/b:1": SHA}).startswith(b'{"version": 1, "rules": [{"action": "DENY"}, {"action": "CONVERT"')
    for wrong in ("{", '{"rules": 3}', "[]"):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match="the source policy"):
            policy({})
