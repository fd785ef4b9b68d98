"""What goes wrong with images is said in words, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .test_docker_flow import APP, RUN, base, build, make
from .workspaces import DOIT_PROVENANCE

if TYPE_CHECKING:
    from .conftest import Service, Tools
    from .workspaces import Ran, Repository

pytestmark = pytest.mark.integration

__all__ = ["base"]  # a fixture

ARM = APP["provenance.toml"].replace("amd64", "arm64")


def fails(made: Repository, *texts: str, env: dict[str, str | None] | None = None) -> Ran:
    """Run a build that can't be done; it leaves nothing but logs."""
    ran = made.run(*DOIT_PROVENANCE, "run", "docker", env=env).failed(1, *texts)
    left = [path for path in (made.root / "dist").rglob("*") if path.is_file() and path.name != ".gitignore"]
    assert left == []
    state = made.root / ".provenance/docker"
    assert not state.exists() or list(state.iterdir()) == []
    return ran


def test_dockerfile_that_fails(tmp_path: Path, buildkit: Service, base: str) -> None:
    """The Dockerfile's own words come last."""
    run = 'RUN ["/bin/busybox", "sh", "-c", "echo these are my words; exit 3"]\n'
    made = make(tmp_path / "work", buildkit, APP | {"app/Dockerfile": f"FROM {base}:1\n{run}"})
    ran = fails(made, "`docker buildx build` failed for `docker:app@linux/amd64` (exit code 1)", "these are my words")
    assert ran.said.rindex("these are my words") > ran.said.index("failed for")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"app/Dockerfile": "FORM scratch\n"}, "unknown instruction: FORM"),
        ({"app/Dockerfile": "FROM scratch\nCOPY nowhere /\n"}, "nowhere"),
        ({"app/Dockerfile": "FROM scratch\nRUN <<E\n"}, "the heredoc `E` of line 2 does not end"),
        ({"app/Dockerfile": ""}, "failed for `docker:app@linux/amd64`"),
        (
            {"app/Dockerfile.rego": 'package docker\n\ndecision := {"allow": false}\n'},
            "not allowed by policy",
        ),
        ({"app/.dockerignore": "[a\n"}, "`[a` is no pattern: a `[` is not closed"),
        ({"provenance.toml": APP["provenance.toml"] + 'target = "none"\n'}, 'target stage "none" could not be found'),
        ({"provenance.toml": APP["provenance.toml"] + 'dockerfile = "no"\n'}, "the Dockerfile `no` is no file"),
        (
            {"provenance.toml": '[docker.app]\ncontext = "no"\ndockerfile = "app/Dockerfile"\n'},
            "the context `no` can't be read: no such folder",
        ),
        (
            {"provenance.toml": APP["provenance.toml"] + 'secrets = ["id=a,src=nowhere"]\n'},
            "the secret `a` of `[docker.app]` is no file: `nowhere`",
        ),
    ],
)
def test_mistake(tmp_path: Path, buildkit: Service, files: dict[str, str], said: str) -> None:
    fails(make(tmp_path / "work", buildkit, APP | files), said)


def test_image_that_is_not_there(tmp_path: Path, buildkit: Service, registry: Service) -> None:
    made = make(tmp_path / "work", buildkit, APP | {"app/Dockerfile": f"FROM {registry.host}/nowhere:1\n"})
    fails(made, f"the image `{registry.host}/nowhere:1`, which a Dockerfile names, can't be looked up", "docker login")


def test_platform_that_the_builder_does_not_run(tmp_path: Path, buildkit: Service, busybox: Path) -> None:
    """Copying files is possible for any; a RUN needs a machine of the platform, or an emulator."""
    files = {"app/Dockerfile": f"FROM scratch\nCOPY busybox /bin/busybox\n{RUN}", "provenance.toml": ARM}
    made = make(tmp_path / "work", buildkit, APP | files)
    program = bytearray(busybox.read_bytes())
    program[18:20] = (183).to_bytes(2, "little")  # e_machine of AArch64 (ELF, chapter 4)
    (made.root / "app/busybox").write_bytes(program)
    (made.root / "app/busybox").chmod(0o755)
    fails(made, "exec format error", "runs `linux/386`, `linux/amd64`", "a remote BuildKit) or an emulator (binfmt)")


def test_source_that_nobody_has_pinned(tmp_path: Path, buildkit: Service, registry: Service) -> None:
    """What was downloaded is named with its digest, and written into the Dockerfile it is taken."""
    url = f"http://{registry.host}/v2/"
    made = make(tmp_path / "work", buildkit, APP | {"app/Dockerfile": f"FROM scratch\nADD {url} /x\n"})
    ran = fails(made, f"the build used `{url}`, and `app/Dockerfile` does not say by a digest what that is")
    checksum = ran.said.partition("write `ADD --checksum=")[2].partition("`")[0]
    assert checksum.startswith("sha256:")
    made.write({"app/Dockerfile": f"FROM scratch\nADD --checksum={checksum} {url} /x\n"})
    build(made)


def test_no_builder(tmp_path: Path, buildkit: Service) -> None:
    made = make(tmp_path / "work", buildkit, APP)
    fails(made, 'no builder "nobody" found', env={"BUILDX_BUILDER": "nobody"})
    fails(made, "no docker engine can be reached", env={"PATH": "/nowhere:/usr/bin/git", "DOCKER_HOST": "unix:///no"})


def test_input_that_changes_meanwhile(tmp_path: Path, buildkit: Service, base: str) -> None:
    """What was built of something else than what is there afterwards is not taken."""
    run = 'RUN ["/bin/busybox", "sh", "-c", "echo begun; sleep 2"]\n'
    made = make(tmp_path / "work", buildkit, APP | {"app/Dockerfile": f"FROM {base}:1\n{run}COPY . /\n"})
    with started(made) as process:
        wait_for(made, "begun")
        made.write({"app/src/a": "other\n"})
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert "an input changed while it was being built: `app/src/a`" in output
    assert not (made.root / "dist/docker/app/linux-amd64").exists()


def test_buildkit_that_dies_in_the_middle(tmp_path: Path, tools: Tools, busybox: Path) -> None:
    """The build fails in words, and leaves nothing; the next run builds."""
    from .conftest import service

    with service("buildkit", tools) as dying:
        (tmp_path / "base").mkdir()
        run = 'RUN ["/busybox", "sh", "-c", "echo begun; sleep 30"]\n'
        made = make(tmp_path / "work", dying, APP | {"app/Dockerfile": f"FROM scratch\nCOPY busybox /\n{run}"})
        (made.root / "app/busybox").write_bytes(busybox.read_bytes())
        (made.root / "app/busybox").chmod(0o755)
        with started(made) as process:
            wait_for(made, "begun")
            kill_below(dying, "buildkitd")
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 1, output
        assert "failed for `docker:app@linux/amd64`" in output
        assert "Traceback" not in output
        assert not (made.root / "dist/docker/app/linux-amd64").exists()
        assert list((made.root / ".provenance/docker").iterdir()) == []


def kill_below(dying: Service, daemon: str) -> None:
    """End a daemon of the test's own at once, as a machine that goes away does."""
    place = dying.env.get("DOCKER_CONFIG") or dying.env["DOCKER_HOST"].removeprefix("unix://")
    marker = place.rpartition("/")[0]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if line.partition(" ")[0].endswith(daemon) and marker in line:
            os.kill(int(path.parent.name), signal.SIGKILL)


def started(made: Repository) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*DOIT_PROVENANCE, "run", "docker"],
        cwd=made.root,
        env=made.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(made: Repository, text: str) -> None:
    log = made.root / ".provenance/logs/docker/app/linux-amd64.log"
    end = time.monotonic() + 60
    while not (log.exists() and f" {text}" in log.read_text()):
        assert time.monotonic() < end, "the build did not begin"
        time.sleep(0.05)
