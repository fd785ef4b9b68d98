#!/usr/bin/env python3
"""Run a real service on loopback for tests, and leave nothing of it behind.

    python tests/tools/services.py SERVICE [--tools FOLDER]

SERVICE: `buildkit` (buildkitd and a buildx builder that uses it), `engine` (dockerd), `registry` (the docker registry),
`registry-basic` (the same for user `tester`, password `secret`), `registry-memory` (go-containerregistry's).

Once the service answers, one line of JSON on stdout says how to reach it: an object of strings, of which those in
capitals are environment variables. The service runs until stdin ends or a signal comes, so it goes with whoever started
it, however that one ended; then its processes end, and its folder is removed. What failed is on stderr, with exit code
1; exit code 3: it can't run on this machine, stderr says why. By hand: wait for the line, later press Ctrl-D.

The engines run in mount and process namespaces of their own: their mounts and containers vanish together with them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
CANNOT_RUN = 3
TRIES = 3

# The password is `secret`, hashed with bcrypt, the one kind that the registry takes. It guards nothing.
HTPASSWD = "tester:$2y$05$0jZzq4w8VjwP497WX0XmVO1Puk2Q2GKRBdawxm3VPywm21bNII3aa\n"

Answer = dict[str, str]


class CannotRunError(Exception):
    """What the service needs is not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """How a service is started, and how to know that it answers.

    Attributes:
        argv: the program and its arguments.
        isolated: in namespaces of its own, which takes root.
        answers: whether it answers yet.
        finish: what is left to do once it answers; returns how to reach it.
        env: added to the environment.
    """

    argv: list[str]
    isolated: bool
    answers: Callable[[], bool]
    finish: Callable[[], Answer]
    env: Answer = field(default_factory=dict)


def program(name: str, tools: Path | None = None) -> str:
    """Return the path of a program: of the tools' folder where it has it, else of the PATH."""
    ours = tools / "bin" / name if tools else None
    if ours and ours.exists():
        return str(ours)
    found = shutil.which(name, path=PATH)
    if found is None:
        raise CannotRunError(f"`{name}` is not installed; `sh tests/tools/install` does it")
    return found


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def listens(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def is_registry(host: str) -> bool:
    """Whether a registry answers, with or without asking who we are."""
    try:
        with urllib.request.urlopen(f"http://{host}/v2/", timeout=1):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 401
    except OSError:
        return False


def buildkit(folder: Path, tools: Path) -> Daemon:
    """Run buildkitd, and tell buildx of it in a configuration of its own."""
    address, config = folder / "buildkitd.sock", folder / "docker"
    docker, buildx = program("docker"), program("buildx", tools)
    plugin = config / "cli-plugins" / "docker-buildx"
    plugin.parent.mkdir(parents=True)
    plugin.symlink_to(buildx)
    (config / "config.json").write_text("{}\n", encoding="utf-8")
    env = {"DOCKER_CONFIG": str(config), "BUILDX_CONFIG": str(config / "buildx"), "BUILDX_BUILDER": "tests"}

    def finish() -> Answer:
        create = [
            docker,
            "buildx",
            "create",
            "--name",
            env["BUILDX_BUILDER"],
            "--driver",
            "remote",
            f"unix://{address}",
        ]
        inspect = [docker, "buildx", "inspect", "--bootstrap"]
        for argv in (create, inspect):
            done = subprocess.run(
                argv, env=os.environ | env, capture_output=True, text=True, check=False, timeout=READY_SECONDS
            )
            if done.returncode != 0:
                raise RuntimeError(f"`{' '.join(argv)}` failed: {done.stdout}{done.stderr}")
        return {**env, "address": f"unix://{address}"}

    argv = [program("buildkitd", tools), "--addr", f"unix://{address}", "--root", str(folder / "root")]
    # No file of the machine's is read; `127.0.0.1` is taken for a registry without TLS as it is.
    (folder / "buildkitd.toml").write_text("", encoding="utf-8")
    argv += ["--config", str(folder / "buildkitd.toml"), "--containerd-worker=false", "--oci-worker=true"]
    argv += ["--oci-worker-net=host", "--oci-worker-gc=false", f"--oci-worker-binary={program('runc')}"]
    return Daemon(argv=argv, isolated=True, answers=lambda: listens(address), finish=finish)


def engine(folder: Path, _: Path) -> Daemon:
    """Run dockerd without a network, with images in plain folders, and beside an engine that the machine may have."""
    address = folder / "docker.sock"
    # An empty configuration, so that the machine's own engine's is not taken.
    (folder / "daemon.json").write_text("{}\n", encoding="utf-8")
    argv = [program("dockerd"), f"--config-file={folder / 'daemon.json'}", f"--host=unix://{address}"]
    argv += [f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'docker.pid'}"]
    argv += ["--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout=2"]
    # systemd would look for the processes of our namespace in its own.
    argv += ["--exec-opt=native.cgroupdriver=cgroupfs"]
    argv += ["--containerd-namespace=doit-tests", "--containerd-plugins-namespace=doit-tests-plugins"]

    def answers() -> bool:
        if not listens(address):
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(address))
                client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in client.recv(64)
            except OSError:
                return False

    return Daemon(
        argv=argv,
        isolated=True,
        answers=answers,
        finish=lambda: {"DOCKER_HOST": f"unix://{address}"},
        env={"DOCKER_TMPDIR": str(folder)},
    )


def registry(folder: Path, _: Path, *, password: bool = False) -> Daemon:
    """Run the docker registry, version 2, from a folder."""
    host = f"127.0.0.1:{free_port()}"
    text = f"""version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder / "blobs"}}}, delete: {{enabled: true}}}}
http: {{addr: "{host}"}}
"""
    if password:
        (folder / "htpasswd").write_text(HTPASSWD, encoding="utf-8")
        text += f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    (folder / "config.yml").write_text(text, encoding="utf-8")
    argv = [program("docker-registry"), "serve", str(folder / "config.yml")]
    return Daemon(argv=argv, isolated=False, answers=lambda: is_registry(host), finish=lambda: {"host": host})


def registry_basic(folder: Path, tools: Path) -> Daemon:
    """Run the docker registry with a password."""
    return registry(folder, tools, password=True)


def registry_memory(_: Path, tools: Path) -> Daemon:
    """Run go-containerregistry's registry, which keeps everything in memory."""
    port = free_port()
    argv = [program("registry", tools), "-port", str(port)]
    host = f"localhost:{port}"
    return Daemon(argv=argv, isolated=False, answers=lambda: is_registry(host), finish=lambda: {"host": host})


SERVICES: dict[str, Callable[[Path, Path], Daemon]] = {
    "buildkit": buildkit,
    "engine": engine,
    "registry": registry,
    "registry-basic": registry_basic,
    "registry-memory": registry_memory,
}


def started(daemon: Daemon, log: Path) -> subprocess.Popen[bytes]:
    """Start the service so that the kernel ends it together with this process."""
    argv = daemon.argv
    if daemon.isolated:
        if os.geteuid() != 0:
            raise CannotRunError(f"`{Path(argv[0]).name}` needs root")
        own = ["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
        argv = [program("unshare"), *own, "--", *argv]
    argv = [program("setpriv"), "--pdeathsig", "KILL", "--", *argv]
    env = os.environ | {"PATH": PATH} | daemon.env
    with log.open("wb") as out:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=log.parent, start_new_session=True
        )


def wait_until_ready(daemon: Daemon, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the service to answer.

    Raises:
        RuntimeError: it ended, or did not answer in time; the end of its log.
    """
    end = time.monotonic() + READY_SECONDS
    while process.poll() is not None or not daemon.answers():
        if process.poll() is not None or time.monotonic() > end:
            tail = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise RuntimeError(f"`{Path(daemon.argv[0]).name}` does not answer; its log ends with:\n{tail}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes], *, isolated: bool) -> None:
    """Ask the service to end; insist when it does not. Its mounts and containers go with its namespaces."""
    if process.poll() is not None:
        return
    if isolated:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        for child in children:
            os.kill(int(child), signal.SIGTERM)
    else:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def begin(name: str, tools: Path, folder: Path) -> tuple[Daemon, subprocess.Popen[bytes]]:
    """Start a service that answers; again where somebody else may have taken its port in between."""
    log = folder / "log"
    for left in reversed(range(TRIES)):
        daemon = SERVICES[name](folder, tools)
        process = started(daemon, log)
        try:
            wait_until_ready(daemon, process, log)
        except BaseException as error:
            stop(process, isolated=daemon.isolated)
            if left and not daemon.isolated and isinstance(error, RuntimeError):
                continue
            raise
        return daemon, process
    raise AssertionError  # the last turn returns or raises


def serve(name: str, tools: Path, folder: Path) -> None:
    """Run a service until stdin ends."""
    daemon, process = begin(name, tools, folder)
    try:
        sys.stdout.write(json.dumps({**daemon.finish(), "folder": str(folder)}) + "\n")
        sys.stdout.flush()
        while sys.stdin.buffer.read(4096):
            pass
    finally:
        stop(process, isolated=daemon.isolated)


def end(_signal: int, _frame: object) -> None:
    """Leave through the clean-up."""
    raise SystemExit(0)


def main() -> int:
    """Run the service that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--tools", type=Path, metavar="FOLDER", help="what `tests/tools/install` prints")
    chosen = parser.parse_args()
    tools = chosen.tools
    if tools is None:
        where = [str(Path(__file__).with_name("install")), "--where"]
        tools = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    # Below the system's own folder for such files: the path of a unix socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="doit-tests-"))
    try:
        serve(chosen.service, tools, folder)
    except CannotRunError as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT_RUN
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
