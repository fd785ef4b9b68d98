"""An engine without buildx still builds: docker's library drives it, and its archive becomes an OCI image."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import service
from .test_docker_failures import fails, kill_below, started, wait_for
from .test_docker_flow import APP, RUN, base, build, contents, definition, make
from .workspaces import DOIT_PROVENANCE

if TYPE_CHECKING:
    from .conftest import Service, Tools
    from .workspaces import Repository

pytestmark = pytest.mark.integration

__all__ = ["base"]  # a fixture

RUNS = """FROM scratch AS made
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox echo made > /made"]
FROM scratch
COPY --from=made /made /
COPY . /
"""


def engine_only(root: Path, engine: Service, busybox: Path, files: dict[str, str]) -> Repository:
    """Make a workspace for whose user there is an engine, and no docker command."""
    folder = root.with_name("bin")
    folder.mkdir()
    for name in ("git", "sh", "env"):
        (folder / name).symlink_to(Path("/usr/bin") / name)
    made = make(root, engine, APP | files, PATH=str(folder), DOCKER_CONFIG=str(root.with_name("docker-config")))
    (made.root / "app/busybox").write_bytes(busybox.read_bytes())
    (made.root / "app/busybox").chmod(0o755)
    return made


def images_of(engine: Service) -> list[str]:
    import docker

    client = docker.DockerClient(base_url=engine.env["DOCKER_HOST"])
    try:
        return sorted(str(image.id) for image in client.images.list(all=True))
    finally:
        client.close()


def test_engine_builds(tmp_path: Path, engine: Service, busybox: Path) -> None:
    """The image is an OCI layout as any other; what cannot be equal with such an engine is its time."""
    made = engine_only(tmp_path / "work", engine, busybox, {"app/Dockerfile": RUNS})
    build(made)
    found = contents(made)
    assert found["made"][2] == b"made\n"
    assert found["src/a"][2] == b"one\n"
    assert stat.S_IMODE(found["busybox"][0]) == 0o755
    assert not [name for name in found if ".dockerfile" in name or ".dockerignore" in name]
    assert definition(made)["internalParameters"]["driver"] == "engine"
    made.run(*DOIT_PROVENANCE, "verify").ok()
    assert "1 artifact is fresh" in build(made)


def test_engine_keeps_no_image_of_ours(tmp_path: Path, engine: Service, busybox: Path) -> None:
    before = images_of(engine)
    build(engine_only(tmp_path / "work", engine, busybox, {"app/Dockerfile": "FROM scratch\nCOPY src/a /only\n"}))
    assert images_of(engine) == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"app/Dockerfile": RUNS, "provenance.toml": APP["provenance.toml"].replace("linux/amd64", "windows/amd64")},
            "`docker:app@windows/amd64`",
        ),
        (
            {"provenance.toml": APP["provenance.toml"] + 'secrets = ["id=a,env=PATH"]\n'},
            "`secrets` of `[docker.app]` need",
        ),
        ({"app/Dockerfile": "FROM scratch\nCOPY <<E /x\nhello\nE\n"}, "the docker engine failed to build"),
        ({"app/Dockerfile": "FROM scratch\nCOPY nowhere /\n"}, "nowhere"),
    ],
)
def test_what_such_an_engine_can_not(
    tmp_path: Path, engine: Service, busybox: Path, files: dict[str, str], said: str
) -> None:
    before = images_of(engine)
    fails(engine_only(tmp_path / "work", engine, busybox, files), said)
    assert images_of(engine) == before


def test_no_engine(tmp_path: Path, engine: Service, busybox: Path) -> None:
    made = engine_only(tmp_path / "work", engine, busybox, {})
    fails(made, "no docker engine can be reached", env={"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"})
    assert os.environ.get("DOCKER_HOST") != engine.env["DOCKER_HOST"]


def test_buildx_of_an_engine_that_exports_no_layouts(
    tmp_path: Path, engine: Service, buildkit: Service, busybox: Path
) -> None:
    """Its own BuildKit can't leave an OCI layout: the engine builds as if there were no buildx."""
    made = make(
        tmp_path / "work",
        engine,
        APP | {"app/Dockerfile": RUNS},
        DOCKER_CONFIG=buildkit.env["DOCKER_CONFIG"],
        BUILDX_BUILDER="default",
    )
    (made.root / "app/busybox").write_bytes(busybox.read_bytes())
    (made.root / "app/busybox").chmod(0o755)
    build(made)
    assert contents(made)["made"][2] == b"made\n"
    assert definition(made)["internalParameters"]["driver"] == "engine"


def test_base_is_the_one_that_was_looked_up(tmp_path: Path, engine: Service, busybox: Path, base: str) -> None:
    """It is pulled by its digest, and listed by it."""
    made = engine_only(tmp_path / "work", engine, busybox, {"app/Dockerfile": f"FROM {base}:1\n{RUN}"})
    build(made)
    assert contents(made)["made"][2] == b"made\n"
    names = [one.get("name") for one in definition(made)["resolvedDependencies"]]
    assert names[-2:] == [f"{base}:1", "engine"]


def test_engine_that_dies_in_the_middle(tmp_path: Path, tools: Tools, busybox: Path) -> None:
    with service("engine", tools) as dying:
        run = 'RUN ["/bin/busybox", "sh", "-c", "echo begun; sleep 30"]\n'
        dockerfile = f"FROM scratch\nCOPY busybox /bin/busybox\n{run}"
        made = engine_only(tmp_path / "work", dying, busybox, {"app/Dockerfile": dockerfile})
        with started(made) as process:
            wait_for(made, "begun")
            kill_below(dying, "dockerd")
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 1, output
        assert "the docker engine" in output
        assert "Traceback" not in output
        assert not (made.root / "dist/docker/app/linux-amd64").exists()
        assert list((made.root / ".provenance/docker").iterdir()) == []
