"""Images from Dockerfiles, built by a real BuildKit: what goes in, what comes out, and when it is built again."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Manifest
from doit_provenance.provenance.platform import Platform

from . import workspaces
from .workspaces import DOIT_PROVENANCE, Repository, repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .conftest import Service

pytestmark = pytest.mark.integration

EPOCH = 1_700_000_000
RUN = 'RUN ["/bin/busybox", "sh", "-c", "echo made > /made"]\n'


@pytest.fixture(scope="module")
def base(buildkit: Service, registry: Service, busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of an image in a registry that has busybox, with the tag `1`."""
    name = f"{registry.host}/base"
    push(buildkit, busybox, tmp_path_factory.mktemp("base"), f"{name}:1", "first")
    return name


def push(buildkit: Service, busybox: Path, folder: Path, reference: str, label: str) -> None:
    shutil.copy(busybox, folder / "busybox")
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY busybox /bin/busybox\nLABEL is={label}\n")
    platforms = "--platform=linux/amd64,linux/arm64"
    argv = ["docker", "buildx", "build", "--push", "--provenance=false", platforms, "--tag", reference, str(folder)]
    subprocess.run(argv, env=os.environ | buildkit.env, check=True, capture_output=True)


def make(root: Path, service: Service, files: Mapping[str, str], **settings: str) -> Repository:
    made = repository(root, files, **service.env, SOURCE_DATE_EPOCH=str(EPOCH), **settings)
    (root / "dodo.py").unlink()
    made.commit()
    return made


def build(made: Repository, *what: str, env: Mapping[str, str | None] | None = None) -> str:
    return made.run(*DOIT_PROVENANCE, "run", *what, env=env).ok().said


def place(made: Repository, platform: str = "linux/amd64", name: str = "app") -> Path:
    return made.root / "dist/docker" / name / platform.replace("/", "-")


def digest(made: Repository, platform: str = "linux/amd64", name: str = "app") -> str:
    return str(verify_layout(place(made, platform, name) / "image").digest)


def predicate(made: Repository, platform: str = "linux/amd64", name: str = "app") -> dict[str, Any]:
    """Return the SLSA predicate of an image."""
    bundle = json.loads((place(made, platform, name) / f"{name}.provenance.sigstore.json").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    found: dict[str, Any] = statement["predicate"]
    return found


def definition(made: Repository, platform: str = "linux/amd64", name: str = "app") -> dict[str, Any]:
    found: dict[str, Any] = predicate(made, platform, name)["buildDefinition"]
    return found


def contents(made: Repository, platform: str = "linux/amd64", name: str = "app") -> dict[str, tuple[int, float, bytes]]:
    """Return mode, time and bytes of the files of an image."""
    found = {}
    with opened_layout(place(made, platform, name) / "image") as layout:
        manifest = layout.manifest(layout.root)
        assert isinstance(manifest, Manifest)
        for layer in manifest.layers:
            with layout.blob(layer) as stream, tarfile.open(fileobj=stream) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    found[member.name] = (member.mode, member.mtime, file.read() if file else b"")
    return found


APP = {
    "app/Dockerfile": "FROM scratch\nCOPY . /\n",
    "app/.dockerignore": "*.log\nDockerfile\n.dockerignore\n",
    "app/src/a": "one\n",
    "provenance.toml": '[docker.app]\ncontext = "app"\nplatforms = ["linux/amd64"]\n',
}


def test_each_platform_and_the_index_over_them(tmp_path: Path, buildkit: Service, base: str) -> None:
    """Upstream artifacts go in; bases are pinned for the build and listed; all of it verifies, and stays fresh."""
    made = make(
        tmp_path / "work",
        buildkit,
        APP
        | {
            "app/Dockerfile": (
                f"ARG TAG=0\nFROM --platform=linux/amd64 {base}:$TAG AS made\n{RUN}FROM scratch\n"
                f"COPY --from=made /made /\nCOPY --from={base}:1 /bin/busybox /\nCOPY . /\n"
                "LABEL org.opencontainers.image.licenses=MIT\n"
            ),
            "provenance.toml": """
            [command.words]
            run = ["sh", "-c", "echo words > words.txt"]
            inputs = []
            outputs = ["words.txt"]
            platform = "any"

            [docker.app]
            context = "app"
            platforms = ["linux/amd64", "linux/arm64"]
            args = { TAG = "1" }
            artifacts = ["command:words"]
            """,
        },
    )
    build(made)
    for platform in ("linux/amd64", "linux/arm64"):
        found = contents(made, platform)
        assert found["made"] == (0o644, EPOCH, b"made\n")
        assert found["words.txt"][2] == b"words\n"
        assert found["src/a"] == (0o644, EPOCH, b"one\n")
        assert "Dockerfile" not in found
    said = definition(made, "linux/arm64")
    names = [one.get("name") for one in said["resolvedDependencies"]]
    assert sorted(set(names[2:])) == sorted({"command:words@any", f"{base}:1", "BuildKit"})
    bases = [one for one in said["resolvedDependencies"] if one.get("name") == f"{base}:1"]
    assert {one["digest"]["sha256"] for one in bases} == {_digest_of(buildkit, f"{base}:1")}
    assert said["internalParameters"]["sourceDateEpoch"] == EPOCH
    with opened_layout(place(made, "index") / "image") as layout:
        assert [str(one.platform) for one, _ in layout.images()] == ["linux/amd64", "linux/arm64"]
        root = layout.manifest(layout.root)
        assert root.annotations["org.opencontainers.image.licenses"] == "MIT"
    made.run(*DOIT_PROVENANCE, "verify").ok()
    assert "4 artifacts are fresh" in build(made)
    assert not list((made.root / ".provenance/docker").iterdir())


def _digest_of(buildkit: Service, reference: str) -> str:
    argv = ["docker", "buildx", "imagetools", "inspect", reference, "--format", "{{.Manifest.Digest}}"]
    done = subprocess.run(argv, env=os.environ | buildkit.env, check=True, capture_output=True, text=True)
    return done.stdout.strip().removeprefix("sha256:")


def test_ignored_file_changes_nothing_and_others_do(tmp_path: Path, buildkit: Service) -> None:
    """A file of equal size is seen too, though its time in the context is that of the old one."""
    made = make(tmp_path / "work", buildkit, APP)
    build(made)
    first = digest(made)
    made.write({"app/x.log": "log", "beside": "x"})
    assert "1 artifact is fresh" in build(made)
    made.write({"app/src/a": "two\n"})
    plan = made.run(*DOIT_PROVENANCE, "plan").ok().out
    assert "app/src/a" in plan
    build(made)
    assert contents(made)["src/a"][2] == b"two\n"
    made.write({"app/src/new": ""})
    assert "app/src/new" in made.run(*DOIT_PROVENANCE, "plan").ok().out
    build(made)
    assert "src/new" in contents(made)
    (made.root / "app/src/new").unlink()
    made.write({"app/src/a": "one\n"})
    build(made)
    assert digest(made) == first


def test_equal_sources_give_equal_images(tmp_path: Path, buildkit: Service, base: str) -> None:
    """Whatever the umask, the times and the place of a checkout."""
    files = APP | {"app/Dockerfile": f"FROM {base}:1\n{RUN}COPY . /app/\n"}
    one = make(tmp_path / "one", buildkit, files)
    build(one)
    other = repository(tmp_path / 'else where, "too"', **buildkit.env, SOURCE_DATE_EPOCH=str(EPOCH))
    shutil.rmtree(other.root)
    one.git("clone", "--quiet", ".", str(other.root))
    prune = ["docker", "buildx", "prune", "--all", "--force"]  # nothing comes from BuildKit's cache
    subprocess.run(prune, env=os.environ | buildkit.env, check=True, capture_output=True)
    (other.root / "app/src/a").chmod(0o640)
    os.utime(other.root / "app/src/a", (1, 1))
    build(other)
    assert digest(one) == digest(other)
    annotations = json.loads(_manifest(one))["annotations"]
    assert annotations["org.opencontainers.image.base.name"] == f"{base}:1"
    pinned = annotations["org.opencontainers.image.base.digest"]
    assert pinned in {
        f"sha256:{one['digest']['sha256']}"
        for one in definition(one)["resolvedDependencies"]
        if one.get("name") == f"{base}:1"
    }


def _manifest(made: Repository) -> bytes:
    return (place(made) / "image/blobs/sha256" / digest(made).removeprefix("sha256:")).read_bytes()


def test_moved_tag(tmp_path: Path, buildkit: Service, busybox: Path, registry: Service) -> None:
    """It is seen when something is built, and with `pull` in every run; each digest is listed as it was used."""
    name = f"{registry.host}/moving"
    (tmp_path / "base").mkdir()
    push(buildkit, busybox, tmp_path / "base", f"{name}:1", "first")
    made = make(tmp_path / "work", buildkit, APP | {"app/Dockerfile": f"FROM {name}:1\nCOPY . /\n"})
    build(made)
    first = _base_digest(made, name)
    push(buildkit, busybox, tmp_path / "base", f"{name}:1", "second")
    assert "1 artifact is fresh" in build(made)
    made.write({"provenance.toml": APP["provenance.toml"] + "pull = true\n"})
    plan = made.run(*DOIT_PROVENANCE, "plan").ok().out
    assert f"image {name}:1" in plan
    build(made)
    second = _base_digest(made, name)
    assert first != second
    assert "1 artifact is fresh" in build(made)


def _base_digest(made: Repository, name: str) -> str:
    (found,) = (one for one in definition(made)["resolvedDependencies"] if one.get("name") == f"{name}:1")
    text: str = found["digest"]["sha256"]
    return text


def test_secret_is_passed_and_nowhere_kept(tmp_path: Path, buildkit: Service, base: str) -> None:
    made = make(
        tmp_path / "work",
        buildkit,
        APP
        | {
            "app/Dockerfile": (
                f"FROM {base}:1 AS made\nRUN --mount=type=secret,id=token --mount=type=secret,id=file "
                '["/bin/busybox", "sh", "-c", "cd /run/secrets; wc -c < token > /sizes; wc -c < file >> /sizes"]\n'
                "FROM scratch\nCOPY --from=made /sizes /\n"
            ),
            "secret.txt": "hunter2 in a file",
            "provenance.toml": APP["provenance.toml"] + 'secrets = ["id=token,env=TOKEN", "id=file,src=secret.txt"]\n',
        },
        TOKEN="hunter2",  # noqa: S106 - it is looked for, and guards nothing
    )
    build(made)
    assert contents(made)["sizes"][2].split() == [b"7", b"17"]
    assert definition(made)["externalParameters"]["secrets"] == ["file", "token"]
    assert not [path for path in made.root.rglob("*") if path.is_file() and _holds(path, b"hunter2")]


def _holds(path: Path, text: bytes) -> bool:
    return path.name != "secret.txt" and ".git" not in path.parts and text in path.read_bytes()


def test_named_contexts(tmp_path: Path, buildkit: Service, base: str) -> None:
    """A folder and an image; what changes in the folder is an input, and the image is pinned."""
    made = make(
        tmp_path / "work",
        buildkit,
        APP
        | {
            "app/Dockerfile": (
                "FROM tools AS made\nFROM scratch\nCOPY --from=assets . /\nCOPY --from=made /bin/busybox /\n"
            ),
            "web/a": "a",
            "web/b": "b",
            "web/.dockerignore": "b\n.dockerignore",
            "provenance.toml": APP["provenance.toml"]
            + f'contexts = {{ assets = "web", tools = "docker-image://{base}:1" }}\n',
        },
    )
    build(made)
    assert contents(made).keys() >= {"a", "busybox"}
    assert "b" not in contents(made)
    assert f"{base}:1" in [one.get("name") for one in definition(made)["resolvedDependencies"]]
    made.write({"web/b": "c"})
    assert "1 artifact is fresh" in build(made)
    made.write({"web/a": "c"})
    assert "web/a" in made.run(*DOIT_PROVENANCE, "plan").ok().out


def test_what_a_run_makes_of_a_checkout_is_sent_to_nobody(tmp_path: Path, buildkit: Service) -> None:
    """A context that is the whole workspace has neither our output nor git's folder in it, and stays fresh."""
    made = make(
        tmp_path / "work",
        buildkit,
        {
            "Dockerfile": "FROM scratch\nCOPY . /\n",
            "a": "a",
            "provenance.toml": '[docker.app]\nplatforms = ["linux/amd64"]\n',
        },
    )
    build(made)
    assert contents(made).keys() == {"Dockerfile", "a", "provenance.toml"}
    assert "1 artifact is fresh" in build(made)
    made.commit("another one")
    assert "1 artifact is fresh" in build(made)


def test_binary_of_cargo_goes_in_as_it_was_attested(tmp_path: Path, buildkit: Service) -> None:
    """No second build of it, and nothing of cargo's target folder, whatever `.dockerignore` says."""
    made = make(
        tmp_path / "work",
        buildkit,
        workspaces.one_program("solo")
        | {
            "Dockerfile": "FROM scratch\nCOPY solo /bin/solo\nCOPY . /src\n",
            "provenance.toml": '[docker.app]\nplatforms = ["linux/amd64"]\nartifacts = ["cargo:solo"]\n',
        },
    )
    if Platform.of_triple(workspaces.host()) != Platform.parse("linux/amd64"):
        pytest.skip("cargo builds for another platform on this machine")
    build(made)
    found = contents(made)
    assert found["bin/solo"][2] == made.bytes_of("solo")
    assert not [name for name in found if name.startswith(("src/target", "src/dist", "src/.provenance"))]
    inventory = json.loads((place(made) / "app.inventory.json").read_bytes())
    assert f"cargo:solo@{workspaces.host()}" in json.dumps(inventory)
    assert "2 artifacts are fresh" in build(made)
