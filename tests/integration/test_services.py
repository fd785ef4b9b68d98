"""The services that other tests use run, answer, and leave nothing behind, however they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import Service, Tools, service

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.integration

RUNS = """FROM scratch AS made
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox echo made > /made"]
FROM scratch
COPY --from=made /made /made
"""


def _processes(folder: str) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if folder in line:
            lines.append(line)
    return lines


def _soon(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def context(tmp_path: Path, busybox: Path) -> Path:
    shutil.copy(busybox, tmp_path / "busybox")
    (tmp_path / "Dockerfile").write_text(RUNS, encoding="utf-8")
    return tmp_path


def test_buildkit_runs_steps_and_exports_a_layout(buildkit: Service, context: Path) -> None:
    out = context / "out"
    argv = ["docker", "buildx", "build", "--provenance=false", "-o", f"type=oci,tar=false,dest={out}", str(context)]
    subprocess.run(argv, env=os.environ | buildkit.env, check=True, capture_output=True)
    (root,) = json.loads((out / "index.json").read_bytes())["manifests"]
    manifest = json.loads((out / "blobs/sha256" / root["digest"].removeprefix("sha256:")).read_bytes())
    assert len(manifest["layers"]) == 1


def test_an_engine_runs_steps(engine: Service, context: Path) -> None:
    env = os.environ | engine.env | {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(context / "none")}
    subprocess.run(["docker", "build", "-t", "made:1", str(context)], env=env, check=True, capture_output=True)
    listed = subprocess.run(["docker", "images", "-q", "made:1"], env=env, check=True, capture_output=True, text=True)
    assert listed.stdout.strip()


@pytest.mark.parametrize("name", ["registry", "registry_memory"])
def test_registries_answer(name: str, request: pytest.FixtureRequest) -> None:
    found: Service = request.getfixturevalue(name)
    with urllib.request.urlopen(f"http://{found.host}/v2/") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["buildkit", "engine", "registry"])
def test_nothing_is_left_of_a_service_that_was_asked_to_end(name: str, tools: Tools) -> None:
    with service(name, tools) as found:
        folder = found.reached["folder"]
        assert _processes(folder)
    assert not Path(folder).exists()
    assert _processes(folder) == []


@pytest.mark.parametrize("name", ["buildkit", "engine", "registry"])
def test_no_process_and_no_mount_is_left_of_a_service_whose_keeper_was_killed(name: str, tools: Tools) -> None:
    argv = ["python3", str(Path(__file__).parents[1] / "tools/services.py"), name, "--tools", str(tools.folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdout is not None
        line = keeper.stdout.readline()
        if not line and keeper.wait() == 3:
            pytest.skip(f"`{name}` can't run here")
        folder = json.loads(line)["folder"]
        keeper.send_signal(signal.SIGKILL)
    assert _soon(lambda: not _processes(folder))
    assert folder not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    shutil.rmtree(folder)
