"""The tools that integration tests drive. A missing one skips the test, and fails the run in CI."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .forks import Forks, forks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOOLS = Path(__file__).parents[1] / "tools"
_INSTALL = _TOOLS / "install"
_SERVICES = _TOOLS / "services.py"
_CANNOT_RUN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The folder that `tests/tools/install` fills."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a tool, as `bin/cosign`; skip the test where it is not installed."""
        path = self.folder / name
        if not path.exists():
            pytest.skip(f"`{name}` is not installed; `sh tests/tools/install` does it")
        return path


@pytest.fixture(scope="session")
def tools() -> Tools:
    done = subprocess.run(["sh", str(_INSTALL), "--where"], capture_output=True, check=True, text=True)
    return Tools(folder=Path(done.stdout.strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that runs until the session ends, however that ends.

    Attributes:
        reached: how to reach it: what `tests/tools/services.py` says; names in capitals are environment variables.
        env: these variables alone; give them to what shall use the service.
    """

    reached: Mapping[str, str]

    @property
    def env(self) -> dict[str, str]:
        return {name: value for name, value in self.reached.items() if name.isupper()}

    @property
    def host(self) -> str:
        """A registry's `HOST:PORT`, as references to its images begin."""
        return self.reached["host"]


@contextlib.contextmanager
def service(name: str, tools: Tools) -> Iterator[Service]:
    """Run a service of `tests/tools/services.py`; skip the test where this machine can't run it."""
    argv = [sys.executable, str(_SERVICES), name, "--tools", str(tools.folder)]
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            status = process.wait()
            said.seek(0)
            (pytest.skip if status == _CANNOT_RUN else pytest.fail)(said.read())
        yield Service(reached=json.loads(line))
        # The service ends with its input.
        process.stdin.close()
        status = process.wait()
        said.seek(0)
        assert (status, said.read()) == (0, "")


@pytest.fixture(scope="session")
def buildkit(tools: Tools) -> Iterator[Service]:
    """Run BuildKit; its `env` lets `docker buildx` find it, and nothing of the user's."""
    with service("buildkit", tools) as found:
        yield found


@pytest.fixture(scope="session")
def engine(tools: Tools) -> Iterator[Service]:
    """Run a docker engine with an empty store and no network; its `env` is DOCKER_HOST."""
    with service("engine", tools) as found:
        yield found


@pytest.fixture(scope="session")
def registry(tools: Tools) -> Iterator[Service]:
    """Run the docker registry, without a password."""
    with service("registry", tools) as found:
        yield found


@pytest.fixture(scope="session")
def registry_basic(tools: Tools) -> Iterator[Service]:
    """Run the docker registry for the user `tester` with the password `secret`."""
    with service("registry-basic", tools) as found:
        yield found


@pytest.fixture(scope="session")
def registry_memory(tools: Tools) -> Iterator[Service]:
    """Run go-containerregistry's registry."""
    with service("registry-memory", tools) as found:
        yield found


@pytest.fixture(scope="session")
def busybox() -> Path:
    """Return a statically linked busybox: what images from scratch can run."""
    for path in (Path("/bin/busybox"), Path("/usr/bin/busybox"), Path("/bin/busybox-static")):
        if path.is_file() and subprocess.run(["ldd", str(path)], capture_output=True, check=False).returncode != 0:
            return path
    pytest.skip("no static busybox is installed; `sh tests/tools/install` does it")


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Run doit quickly, and with faults."""
    with forks(tmp_path_factory.mktemp("faults")) as found:
        yield found


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """Return a folder like `tmp_path`, in memory where there is such a place: no test of many runs waits for a disk."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder in it is the test's own
    if not memory.is_dir():
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)
