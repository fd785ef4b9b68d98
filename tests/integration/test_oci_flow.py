"""Images from provenance.toml to evidence, from real archives, engines and registries; the build type's page is true.

`UPDATE_DOCS=1 python -m pytest tests/integration/test_oci_flow.py` writes the page's example anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Index
from doit_provenance.provenance.platform import Platform
from doit_provenance.tasks.images.oci.artifacts import BUILD_TYPE

from .pages import Page
from .workspaces import Repository, repository

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from doit_provenance.provenance.oci.layout import Image

    from .conftest import Service, Tools

pytestmark = pytest.mark.integration

PAGE = Page(builder="oci")
HOST = str(Platform.of_host())
BOTH = "linux/amd64,linux/arm64"
DOCKERFILE = "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\nCOPY leaf /leaf\nLABEL {label}=Pot\n"
TITLE = "org.opencontainers.image.title"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """Return a folder that an image can be built from."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "leaf").write_text("leaf\n", encoding="utf-8")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(label=TITLE), encoding="utf-8")
    return folder


@pytest.fixture
def layout(context: Path, buildkit: Service) -> Path:
    """Return a layout of two platforms, with BuildKit's own attestations in it."""
    return buildx(buildkit, context, f"--platform={BOTH}", "--provenance=mode=max")


def buildx(buildkit: Service, context: Path, *options: str, kind: str = "oci,tar=false") -> Path:
    target = context.parent / f"made-{len(list(context.parent.iterdir()))}"
    argv = ["docker", "buildx", "build", *options, "-o", f"type={kind},dest={target}", str(context)]
    subprocess.run(argv, env=os.environ | buildkit.env, check=True, capture_output=True)
    return target


def workspace(root: Path, table: str, **settings: str) -> Repository:
    made = repository(
        root,
        {
            "provenance.toml": f"[cargo]\nmanifests = []\n[project]\nname = 'pot'\n[oci.pot]\n{table}\n",
            ".gitignore": "__pycache__/\n/archive*\n.doit.db*\n",
        },
        **settings,
    )
    made.commit()
    made.git("remote", "add", "origin", "https://git.example.com/pot.git")
    return made


def image(made: Repository, platform: str = HOST) -> tuple[Image, Path]:
    path = made.root / "dist/oci/pot" / platform.replace("/", "-") / "image"
    return verify_layout(path), path


def annotations(path: Path) -> Mapping[str, str]:
    with opened_layout(path) as opened:
        return opened.manifest(opened.root).annotations


def predicate(made: Repository, platform: str = HOST) -> dict[str, Any]:
    folder = made.root / "dist/oci/pot" / platform.replace("/", "-")
    bundle = json.loads((folder / "pot.provenance.sigstore.json").read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    found: dict[str, Any] = statement["predicate"]
    return found


class TestPlatforms:
    @pytest.fixture
    def made(self, tmp_path: Path, layout: Path) -> Repository:
        made = workspace(tmp_path / "pot", "source = 'oci:pot'\nplatforms = ['linux/amd64', 'linux/arm64']")
        shutil.copytree(layout, made.root / "pot")
        shutil.rmtree(made.root / "pot/ingest", ignore_errors=True)
        made.commit()
        made.doit().ok()
        return made

    def test_index_is_over_the_images_that_were_attested(self, made: Repository) -> None:
        index, path = image(made, "index")
        images = {platform: image(made, platform)[0] for platform in BOTH.split(",")}
        with opened_layout(path) as opened:
            found = opened.manifest(opened.root)
        assert isinstance(found, Index)
        assert {str(one.platform): one.digest for one in found.manifests} == {
            platform: one.descriptor.digest for platform, one in images.items()
        }
        materials = predicate(made, "index")["buildDefinition"]["resolvedDependencies"]
        assert {m["name"]: m["digest"]["sha256"] for m in materials if m["name"].startswith("oci:")} == {
            f"oci:pot@{platform}": one.digest.sha256 for platform, one in images.items()
        }
        made.doit("verify").ok()
        shown = made.doit("show", "oci:pot@index").ok().out
        assert index.descriptor.digest in shown
        assert "oci:pot@linux/arm64" in shown

    def test_git_and_labels_say_what_the_image_is(self, made: Repository) -> None:
        found = annotations(image(made, "linux/arm64")[1])
        assert found[TITLE] == "Pot"
        assert found["org.opencontainers.image.source"] == "https://git.example.com/pot"
        assert found["org.opencontainers.image.revision"] == made.git("rev-parse", "HEAD")
        assert found["org.opencontainers.image.created"] == made.git(
            "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
        )
        assert annotations(image(made, "index")[1]) == found

    def test_nothing_is_done_twice_and_everywhere_the_same(self, made: Repository, tmp_path: Path) -> None:
        assert "3 artifacts are fresh" in made.doit().ok().out
        clone = tmp_path / "elsewhere" / "clone"
        clone.parent.mkdir()
        made.git("clone", "--quiet", str(made.root), str(clone))
        other = repository(clone, umask="077")
        other.git("remote", "set-url", "origin", "https://git.example.com/pot.git")
        other.run("sh", "-c", "umask 077; find pot -type f -exec touch {} +; exec doit").ok()
        for platform in (*BOTH.split(","), "index"):
            assert image(other, platform)[0].descriptor == image(made, platform)[0].descriptor

    def test_damaged_source_leaves_what_was_there(self, made: Repository) -> None:
        before = image(made, "index")[0]
        blob = max((made.root / "pot/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        blob.write_bytes(b"poison")
        made.doit().failed(1, "has 6 bytes, not the", "oci:pot")
        assert image(made, "index")[0] == before

    def test_platform_that_is_not_asked_for(self, made: Repository) -> None:
        text = (made.root / "provenance.toml").read_text(encoding="utf-8")
        made.write({"provenance.toml": text.replace(", 'linux/arm64'", "")})
        shutil.rmtree(made.root / "dist")
        made.doit().failed(1, "it holds `linux/arm64` beyond these", 'platforms = ["linux/amd64", "linux/arm64"]')
        assert not (made.root / "dist/oci").exists() or not list((made.root / "dist/oci").rglob("index.json"))


class TestArchives:
    @pytest.mark.parametrize("kind", ["docker", "oci"])
    @pytest.mark.parametrize("packing", ["plain", "gzip"])
    def test_what_buildkit_writes(
        self, tmp_path: Path, context: Path, buildkit: Service, kind: str, packing: str
    ) -> None:
        archive = buildx(buildkit, context, "--provenance=false", kind=kind)
        made = workspace(tmp_path / "pot", f"source = '{kind}-archive:archive'")
        shutil.copy(archive, made.root / "archive")
        if packing == "gzip":
            made.run("gzip", "--keep", "archive").ok()
            shutil.move(made.root / "archive.gz", made.root / "archive")
        made.doit().ok()
        assert annotations(image(made)[1])[TITLE] == "Pot"
        made.doit("verify").ok()

    @pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
    def test_what_skopeo_writes(self, tmp_path: Path, context: Path, buildkit: Service, kind: str) -> None:
        if shutil.which("skopeo") is None:
            pytest.skip("`skopeo` is not installed")
        source = buildx(buildkit, context, "--provenance=false")
        made = workspace(tmp_path / "pot", f"source = '{kind}:archive'")
        made.run("skopeo", "copy", "--quiet", f"oci:{source}", f"{kind}:{made.root}/archive:pot:1").ok()
        made.doit().ok()
        assert annotations(image(made)[1])[TITLE] == "Pot"

    @pytest.mark.parametrize("tool", ["crane", "regctl"])
    def test_what_tools_of_registries_write(
        self, tmp_path: Path, context: Path, buildkit: Service, registry: Service, tools: Tools, tool: str
    ) -> None:
        """Of crane a docker-archive whose layers are compressed, of regctl both formats in one archive."""
        name = f"{registry.host}/pot-{tool}:1"
        source = buildx(buildkit, context, "--provenance=false")
        program = str(tools.path(f"bin/{tool}"))
        made = workspace(tmp_path / "pot", "source = 'docker-archive:archive'")
        made.run(str(tools.path("bin/crane")), "push", "--insecure", str(source), name).ok()
        if tool == "crane":
            made.run(program, "pull", "--insecure", name, "archive").ok()
        else:
            made.run(program, "--host", f"reg={registry.host},tls=disabled", "image", "export", name, "archive").ok()
        made.doit().ok()
        assert annotations(image(made)[1])[TITLE] == "Pot"

    def test_memory_does_not_grow_with_the_image(self, tmp_path: Path) -> None:
        """200 MB: half of them are random, as programs are to a hash, and the archive is not compressed."""
        content = os.urandom(1 << 20)
        with tarfile.open(tmp_path / "layer.tar", "w") as layer:
            header = tarfile.TarInfo("file")
            header.size = 200 << 20
            layer.addfile(header, _Repeated(content, header.size))  # type: ignore[arg-type] # it is read, no more
        with (tmp_path / "layer.tar").open("rb") as stream:
            diff_id = hashlib.file_digest(stream, "sha256").hexdigest()
        machine = HOST.split("/")[1]
        config = {
            "os": "linux",
            "architecture": machine,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        }
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        entry = {"Config": "config.json", "RepoTags": None, "Layers": ["layer.tar"]}
        (tmp_path / "manifest.json").write_text(json.dumps([entry]), encoding="utf-8")
        names = ("layer.tar", "config.json", "manifest.json")
        subprocess.run(["tar", "-cf", "archive", *names], cwd=tmp_path, check=True)
        script = (
            "import sys\nfrom pathlib import Path\n"
            "from doit_provenance.provenance.oci import archive, convert, select, writer\n"
            "made = writer.LayoutWriter(Path(sys.argv[2]))\n"
            "found = select.select(archive.read_archive(Path(sys.argv[1]), made), made)\n"
            "made.finish(convert.to_oci(*found.images.values(), made))\n"
            # Of this program alone: `ru_maxrss` begins with what the process had that started it.
            "status = Path('/proc/self/status').read_text().split()\n"
            "print(status[status.index('VmHWM:') + 1])\n"
        )
        argv = [sys.executable, "-c", script, str(tmp_path / "archive"), str(tmp_path / "out")]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert int(done.stdout) < 150 << 10
        verify_layout(tmp_path / "out")

    def test_what_an_engine_saves(self, tmp_path: Path, context: Path, engine: Service) -> None:
        made = workspace(tmp_path / "pot", "source = 'docker-archive:archive'", **engine.env)
        built_by_engine(context, engine)
        made.run("docker", "save", "--output", "archive", "pot:1").ok()
        made.doit().ok()
        configured = made.run("docker", "inspect", "--format", "{{.Id}}", "pot:1").ok().out.strip()
        with opened_layout(image(made)[1]) as opened:
            ((_, manifest),) = opened.images()
        assert manifest.config.digest == configured

    def test_archive_that_is_an_artifact(self, tmp_path: Path, context: Path, engine: Service) -> None:
        """One run makes it, takes it over, and its lineage goes through both."""
        built_by_engine(context, engine)
        made = workspace(
            tmp_path / "pot",
            """artifact = "command:saved"
            [command.saved]
            run = ["docker", "save", "--output", "dist/saved.tar", "pot:1"]
            inputs = []
            outputs = ["dist/saved.tar"]
            """.replace("            ", ""),
            **engine.env,
        )
        made.doit("oci:pot").ok()
        names = [m["name"] for m in predicate(made)["buildDefinition"]["resolvedDependencies"]]
        assert names[-2:] == ["command:saved", f"command:saved@{HOST}"]
        assert annotations(image(made)[1])["org.opencontainers.image.revision"] == made.git("rev-parse", "HEAD")
        shown = made.doit("show", "oci:pot").ok().out
        assert "command:saved" in shown


class _Repeated:
    """As many bytes as are asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._content[: min(size, self._left)]
        self._left -= len(data)
        return data


def built_by_engine(context: Path, engine: Service) -> None:
    text = (context / "Dockerfile").read_text(encoding="utf-8").replace("$TARGETARCH", "arch")
    (context / "Dockerfile").write_text(text, encoding="utf-8")
    env = os.environ | engine.env | {"DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": str(context / "none")}
    subprocess.run(["docker", "build", "-t", "pot:1", str(context)], env=env, check=True, capture_output=True)


class TestElsewhere:
    def test_engines_store(self, tmp_path: Path, context: Path, engine: Service) -> None:
        built_by_engine(context, engine)
        made = workspace(tmp_path / "pot", "source = 'docker-daemon:pot:1'", **engine.env)
        made.doit().ok()
        found = annotations(image(made)[1])
        assert (found[TITLE], "org.opencontainers.image.revision" in found) == ("Pot", False)
        gone = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
        assert "1 artifact is fresh" in made.doit(env=gone).ok().out  # nobody is asked
        shutil.rmtree(made.root / "dist")
        made.doit(env=gone).failed(1, "no docker engine can be reached")

    def test_image_that_no_engine_has(self, tmp_path: Path, engine: Service) -> None:
        made = workspace(tmp_path / "pot", "source = 'docker-daemon:nothing:1'", **engine.env)
        made.doit().failed(1, "the docker engine has no such image")

    @pytest.mark.parametrize("form", ["oci", "v2s2"])
    def test_registry(self, tmp_path: Path, context: Path, buildkit: Service, registry: Service, form: str) -> None:
        """Docker's media types become OCI's; what a tag stands for is looked up only where that is asked for."""
        if shutil.which("skopeo") is None:
            pytest.skip("`skopeo` is not installed")
        name = f"{registry.host}/pot-{form}:1"
        source = buildx(buildkit, context, "--provenance=false", f"--platform={BOTH}")

        def push(at: Path) -> None:
            argv = ["skopeo", "copy", "--quiet", "--all", f"--format={form}", "--dest-tls-verify=false"]
            subprocess.run([*argv, f"oci:{at}", f"docker://{name}"], check=True)

        push(source)
        table = f"source = 'docker://{name}'\nplatforms = ['linux/amd64', 'linux/arm64']"
        made = workspace(tmp_path / "pot", table)
        made.doit().ok()
        first = image(made, "index")[0]
        with opened_layout(image(made, "linux/arm64")[1]) as opened:
            ((_, manifest),) = opened.images()
        assert manifest.config.media_type == "application/vnd.oci.image.config.v1+json"
        (context / "leaf").write_text("another leaf\n", encoding="utf-8")
        push(buildx(buildkit, context, "--provenance=false", f"--platform={BOTH}"))
        assert "3 artifacts are fresh" in made.doit().ok().out
        made.write({"provenance.toml": (made.root / "provenance.toml").read_text(encoding="utf-8") + "pull = true\n"})
        made.doit().ok()
        assert image(made, "index")[0].digest != first.digest


class TestReaders:
    """Every tool for images reads what is in the output folder, and finds the digest that was attested."""

    @pytest.fixture
    def made(self, tmp_path: Path, context: Path, buildkit: Service) -> Repository:
        archive = buildx(buildkit, context, "--provenance=false", kind="docker")
        made = workspace(tmp_path / "pot", "source = 'docker-archive:archive'")
        shutil.copy(archive, made.root / "archive")
        made.doit().ok()
        return made

    def test_skopeo(self, made: Repository, tmp_path: Path) -> None:
        if shutil.which("skopeo") is None:
            pytest.skip("`skopeo` is not installed")
        found, path = image(made)
        said = json.loads(made.run("skopeo", "inspect", f"oci:{path}").ok().out)
        assert said["Digest"] == found.descriptor.digest
        made.run("skopeo", "copy", "--quiet", "--preserve-digests", f"oci:{path}", f"dir:{tmp_path}/dir").ok()

    def test_umoci(self, made: Repository, tmp_path: Path) -> None:
        if shutil.which("umoci") is None:
            pytest.skip("`umoci` is not installed")
        found, path = image(made)
        shutil.copytree(path, tmp_path / "copy")  # it looks for a tag, which a digest needs not
        index = json.loads((tmp_path / "copy/index.json").read_bytes())
        index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "1"}
        (tmp_path / "copy/index.json").write_text(json.dumps(index), encoding="utf-8")
        made.run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/copy:1", str(tmp_path / "bundle")).ok()
        assert (tmp_path / "bundle/rootfs/leaf").read_text(encoding="utf-8") == "leaf\n"
        assert found.descriptor.size > 0

    def test_crane_regctl_and_oras(self, made: Repository, tools: Tools, registry: Service) -> None:
        found, path = image(made)
        digest = found.descriptor.digest
        name = f"{registry.host}/read"
        made.run(str(tools.path("bin/crane")), "push", "--insecure", str(path), f"{name}:crane").ok()
        assert (
            made.run(str(tools.path("bin/crane")), "digest", "--insecure", f"{name}:crane").ok().out.strip() == digest
        )
        made.run(str(tools.path("bin/crane")), "validate", "--insecure", "--remote", f"{name}:crane").ok()
        regctl = [str(tools.path("bin/regctl")), "--host", f"reg={registry.host},tls=disabled"]
        made.run(*regctl, "image", "copy", f"ocidir://{path}@{digest}", f"{name}:regctl").ok()
        assert made.run(*regctl, "image", "digest", f"{name}:regctl").ok().out.strip() == digest
        oras = [str(tools.path("bin/oras"))]
        raw = made.run(*oras, "manifest", "fetch", "--oci-layout", f"{path}@{digest}").ok().out
        assert json.loads(raw)["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
        made.run(*oras, "cp", "--to-plain-http", "--from-oci-layout", f"{path}@{digest}", f"{name}:oras").ok()
        assert made.run(*regctl, "image", "digest", f"{name}:oras").ok().out.strip() == digest

    def test_engine_loads_an_export(self, made: Repository, engine: Service, tools: Tools, tmp_path: Path) -> None:
        """The archive has the digest that was attested; an engine before 25 takes its manifest.json, and runs it."""
        found, path = image(made)
        archive = tmp_path / "pot.tar"
        made.doit("export", "oci:pot", str(archive), "--name", "pot:exported").ok()
        made.run("docker", "load", "--input", str(archive), env=engine.env).ok()
        configured = made.run("docker", "inspect", "--format", "{{.Id}}", "pot:exported", env=engine.env).ok().out
        with opened_layout(path) as opened:
            ((_, manifest),) = opened.images()
        assert configured.strip() == manifest.config.digest
        made.run(str(tools.path("bin/crane")), "validate", "--tarball", str(archive)).ok()
        if shutil.which("skopeo") is not None:
            said = json.loads(made.run("skopeo", "inspect", f"oci-archive:{archive}").ok().out)
            assert said["Digest"] == found.descriptor.digest


class TestPage:
    @pytest.fixture
    def made(self, tmp_path: Path, context: Path, buildkit: Service) -> Repository:
        made = workspace(
            tmp_path / "pot",
            "source = 'docker-archive:archive'\nplatforms = ['linux/arm64']\n"
            "annotations = { 'org.opencontainers.image.licenses' = 'MIT' }",
        )
        archive = buildx(buildkit, context, "--provenance=false", "--platform=linux/arm64", kind="docker")
        shutil.copy(archive, made.root / "archive")
        made.doit().ok()
        return made

    def test_example_is_what_a_build_says(self, made: Repository) -> None:
        PAGE.hold(predicate(made, "linux/arm64"), BUILD_TYPE)

    def test_every_parameter_is_explained(self) -> None:
        PAGE.explains_all()
