"""An image is built between two looks at all that it is made from; what `docker` left is believed as far as said."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import BuildError, InputChangedError, ProvenanceError, ToolError
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_MANIFEST, Manifest
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.tasks.freshness.inputs import MEASURED, InputHasher, parts
from doit_provenance.tasks.images.docker import buildx, engine
from doit_provenance.tasks.pipeline import build as pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.builder import Built
    from doit_provenance.tasks.images.docker.builder import DockerBuilder

    Docker = Callable[[str], Path]
    Images = Callable[[str], DockerBuilder]

HEX = "ab" * 32
BASE = {"uri": f"pkg:docker/debian@12?digest=sha256:{HEX}", "digest": {"sha256": HEX}}
TABLE = '[docker.app]\ncontext = "app"\nplatforms = ["linux/arm64"]\n'
SCRIPT = """
case "$2" in
version) echo v ;;
inspect) printf 'Name: far\\nDriver: remote\\nBuildKit version: v0.34.2\\nPlatforms: linux/amd64\\n' ;;
imagetools) echo sha256:{hex} ;;
build) exec {python} {fake} "$@" ;;
esac
"""
FAKE = """
import csv, os, pathlib, shutil, sys
given = dict(zip(sys.argv, sys.argv[1:]))
output = dict(option.split("=", 1) for option in next(csv.reader([given["--output"]])))
made = pathlib.Path({made!r})
(made / "argv").write_text("\\n".join(sys.argv))
(made / "environment").write_text("\\n".join(f"{{k}}={{v}}" for k, v in os.environ.items()))
(made / "context").write_text("\\n".join(sorted(os.listdir(sys.argv[-1]))))
(made / "policy").write_text(pathlib.Path(os.environ["EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"]).read_text())
exec((made / "meanwhile").read_text())
shutil.copytree(made / "layout", output["dest"])
shutil.copy(made / "metadata", given["--metadata-file"])
"""


def layout(folder: Path, architecture: str = "arm64") -> None:
    """Write the layout of an image without layers, as BuildKit leaves one."""
    writer = LayoutWriter(folder)
    settings = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    settings["config"] = {"Labels": {"org.opencontainers.image.licenses": "MIT"}}
    config = writer.add(json.dumps(settings).encode(), OCI_CONFIG)
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.to_json(), "layers": []}
    writer.finish(writer.add(json.dumps(document).encode(), OCI_MANIFEST))


@pytest.fixture
def made(tmp_path: Path, docker: Docker, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of what a fake `docker buildx build` leaves, and of what it was given."""
    folder = tmp_path / "made"
    folder.mkdir()
    layout(folder / "layout")
    (folder / "meanwhile").write_text("")
    (folder / "metadata").write_text(json.dumps({"buildx.build.provenance": {"materials": [BASE]}}))
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE.format(made=str(folder)))
    docker(SCRIPT.format(hex=HEX, python=sys.executable, fake=fake))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (root / "app").mkdir()
    (root / "app/Dockerfile").write_text("FROM debian:12 AS x\nCOPY . /\nLABEL org.opencontainers.image.licenses=MIT\n")
    (root / "app/a").write_text("a")
    return folder


def build(builder: DockerBuilder) -> tuple[Artifact, Built]:
    (artifact,) = builder.discover()
    return artifact, pipeline.build(builder.context, builder, artifact.group, [artifact])[artifact]


def test_all_that_it_was_made_from(images: Images, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    more = 'args = { B = "2", A = "1 2" }\ntarget = "x"\nsecrets = ["id=t,env=TOKEN"]\n'
    builder = images(TABLE + more)
    artifact, built = build(builder)
    argv = (made / "argv").read_text().splitlines()
    given = [
        argv[i + 1] for i, word in enumerate(argv) if word in {"--build-arg", "--secret", "--target", "--platform"}
    ]
    assert given == ["linux/arm64", "x", "A=1 2", "B=2", "id=t,env=TOKEN"]
    assert {"--provenance=false", "--sbom=false", "--builder"} <= set(argv)
    assert (made / "context").read_text().split() == ["Dockerfile", "a"]
    environment = (made / "environment").read_text().splitlines()
    assert {"SOURCE_DATE_EPOCH=1700000000", "TOKEN=hunter2"} <= set(environment)
    (rule,) = json.loads((made / "policy").read_text())["rules"]
    assert rule["updates"] == {"identifier": f"docker-image://docker.io/library/debian:12@sha256:{HEX}"}
    assert built.files.keys() == {"app/Dockerfile", "app/a"}
    assert built.inputs["resolution:image docker.io/library/debian:12"] == f"sha256:{HEX}"
    assert built.inputs["tool:buildkit"] == "BuildKit v0.34.2"
    assert built.internal == {
        "platform": "linux/arm64",
        "driver": "remote",
        "version": "v0.34.2",
        "sourceDateEpoch": 1_700_000_000,
    }
    assert "hunter2" not in str((built.inputs, built.external, built.internal))
    assert artifact.platform == "linux/arm64"


def test_what_was_built_is_converted_and_annotated(images: Images, made: Path) -> None:
    """Nothing is left of what the build was given, and the layout is one image of ours."""
    builder = images(TABLE + 'annotations = { "org.opencontainers.image.vendor" = "Us" }\n')
    artifact, built = build(builder)
    assert made.exists()
    verify_layout(built.path)
    with opened_layout(built.path) as found:
        manifest = found.manifest(found.root)
        assert isinstance(manifest, Manifest)
        assert manifest.annotations == {
            "org.opencontainers.image.base.digest": f"sha256:{HEX}",
            "org.opencontainers.image.base.name": "docker.io/library/debian:12",
            "org.opencontainers.image.created": "2023-11-14T22:13:20Z",
            "org.opencontainers.image.licenses": "MIT",
            "org.opencontainers.image.title": "app",
            "org.opencontainers.image.vendor": "Us",
        }
    assert [path.name for path in built.path.parent.iterdir()] == ["image"]
    builder.release(artifact)
    assert not built.path.parent.exists()


def test_declared_is_what_was_recorded(images: Images, made: Path, tmp_path: Path) -> None:
    """Nobody is asked for it, once a build has."""
    builder = images(TABLE)
    artifact, built = build(builder)
    calls = (tmp_path / "calls").read_text()
    declared = builder.declare(artifact)
    assert (tmp_path / "calls").read_text() == calls
    meter = InputHasher(builder.workspace.root, made=builder.context.build_dirs)
    now = dict(declared.values) | {of: meter.measure(of) for of in declared.measured}
    assert now.items() <= built.inputs.items()
    assert built.inputs.keys() - now.keys() == {"file:app/a"}
    assert all(parts(of)[0] in MEASURED for of in declared.measured)
    assert made.exists()


def _fails(builder: DockerBuilder, kind: type[ProvenanceError], said: str) -> ProvenanceError:
    with pytest.raises(kind) as caught:
        build(builder)
    assert said in str(caught.value)
    folder = builder.workspace.state / "docker"
    assert not folder.exists() or list(folder.iterdir()) == []
    return caught.value


@pytest.mark.parametrize(
    ("meanwhile", "kind", "said"),
    [
        ("pathlib.Path('app/a').write_text('b')", InputChangedError, "while it was being built: `app/a`"),
        ("pathlib.Path('app/b').write_text('b')", InputChangedError, "while it was being built: `app/b`"),
        ("sys.exit('exec format error')", BuildError, "runs `linux/amd64`; a RUN for `linux/arm64` needs a node"),
        ("sys.exit('x: no match for platform in manifest')", BuildError, "is not there for `linux/arm64`"),
        ("sys.exit('rpc error: code = Unavailable')", BuildError, "the BuildKit of the builder `far` went away"),
        ("sys.exit(3)", BuildError, "`docker buildx build` failed for `docker:app@linux/arm64` (exit code 3)"),
        ("os.kill(os.getpid(), 9)", BuildError, "(ended by signal 9)"),
        ("(made / 'metadata').write_text('{')", ToolError, "left no metadata that can be read"),
        ("(made / 'metadata').write_text('{}')", ToolError, "does not say what a build has used"),
        ("shutil.rmtree(made / 'layout' / 'blobs')", ProvenanceError, ""),
    ],
)
def test_failure_leaves_nothing(
    images: Images, made: Path, meanwhile: str, kind: type[ProvenanceError], said: str
) -> None:
    (made / "meanwhile").write_text(meanwhile)
    _fails(images(TABLE), kind, said)


def test_other_sources_than_were_pinned(images: Images, made: Path) -> None:
    other: dict[str, Any] = {"uri": "pkg:docker/alpine@3", "digest": {"sha256": "cd" * 32}}
    (made / "metadata").write_text(json.dumps({"buildx.build.provenance": {"materials": [BASE, other]}}))
    error = _fails(images(TABLE), BuildError, "the build used `alpine:3`")
    assert error.hint == f"name it by its digest, as `alpine:3@sha256:{'cd' * 32}`"


def test_a_secret_is_not_sent(images: Images, made: Path, root: Path) -> None:
    (root / "app/token").write_text("secret")
    _fails(images(TABLE + 'secrets = ["id=token,src=app/token"]\n'), BuildError, "the secret `app/token`")
    assert not (made / "argv").exists()


@pytest.mark.parametrize("text", ["FROM debian:${X#y}\n", "FROM debian\nADD https://example.com/x /\n"])
def test_an_engine_that_reports_nothing_is_given_nothing_unknown(
    images: Images, docker: Docker, root: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    docker("echo \"docker: 'buildx' is not a docker command\" >&2; exit 1")
    monkeypatch.setattr(engine, "version", lambda: "20.10")
    monkeypatch.setattr(buildx, "look_up", lambda *_: f"sha256:{'ab' * 32}")
    (root / "app").mkdir()
    (root / "app/Dockerfile").write_text(text)
    _fails(images(TABLE), BuildError, "only BuildKit can tell")


def test_builder_that_does_not_answer_is_asked_once(images: Images, docker: Docker, root: Path) -> None:
    calls = docker('[ "$2" = version ] || exit 1')
    (root / "app").mkdir()
    builder = images(TABLE + "pull = true\n")
    (artifact,) = builder.discover()
    for _ in range(2):
        with pytest.raises(ToolError, match="can't be used"):
            pipeline.build(builder.context, builder, artifact.group, [artifact])
    assert calls.read_text().count("inspect") == 1


def test_other_platform_than_was_asked_for(images: Images, made: Path, tmp_path: Path) -> None:
    (made / "layout").rename(tmp_path / "old")
    layout(made / "layout", "amd64")
    _fails(images(TABLE), BuildError, "left an image for `linux/amd64`, and `linux/arm64` was asked for")
