"""An image is taken over between two looks at its source, for exactly the platforms of provenance.toml."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import Oci
from doit_provenance.provenance.errors import (
    BuildError,
    ConfigError,
    InputChangedError,
    ProvenanceError,
    StoreError,
    UnreadableError,
    VerificationError,
)
from doit_provenance.provenance.oci.annotations import CREATED, SOURCE, TITLE, VENDOR
from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.record import IMAGE
from doit_provenance.tasks.artifacts import Form, Ids
from doit_provenance.tasks.images.oci import take
from doit_provenance.tasks.images.oci.artifacts import config_errors
from doit_provenance.tasks.pipeline import build as pipeline

from .conftest import archive, layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from doit_provenance.provenance.oci.model import Descriptor
    from doit_provenance.provenance.oci.writer import LayoutWriter
    from doit_provenance.tasks.builder import Built
    from doit_provenance.tasks.images.oci.artifacts import Source
    from doit_provenance.tasks.images.oci.builder import OciBuilder

    Images = Callable[[str], OciBuilder]

TOML = "[project]\nsource = 'https://example.com/tea'\n[oci.tea]\nplatforms = ['linux/amd64']\n"
ARCHIVE = f"{TOML}source = 'docker-archive:tea.tar'\n"
BOTH = "[oci.tea]\nsource = 'oci:tea'\nplatforms = ['linux/arm64', 'linux/amd64']\n"


@pytest.fixture(autouse=True)
def moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def build(builder: OciBuilder) -> Mapping[str, Built]:
    """Build all images of the first table, not the index."""
    found = [artifact for artifact in builder.discover() if artifact.group == "oci:tea"]
    return {
        artifact.platform: built
        for artifact, built in pipeline.build(builder.context, builder, "oci:tea", found).items()
    }


def annotations(built: Built) -> Mapping[str, str]:
    with opened_layout(built.path) as opened:
        return opened.manifest(opened.root).annotations


def left(builder: OciBuilder) -> list[str]:
    folder = builder.workspace.state / "oci"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class TestDiscovery:
    def test_nothing_configured(self, images: Images) -> None:
        assert images("").discover() == ()

    def test_one_platform_is_one_artifact(self, images: Images) -> None:
        (artifact,) = images(ARCHIVE).discover()
        assert (artifact.id, artifact.group, artifact.form) == ("oci:tea@linux/amd64", "oci:tea", Form.IMAGE)
        assert (artifact.file, artifact.upstream) == (IMAGE, ())

    def test_several_platforms_have_an_index(self, images: Images) -> None:
        arm, amd, index = images(BOTH).discover()
        assert index.id == "oci:tea@index"
        assert index.upstream == (arm.id, amd.id)
        assert index.group != arm.group

    def test_default_platform_is_the_hosts(self, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.uname", type("Uname", (), {"machine": "riscv64"}))
        (artifact,) = images("[oci.tea]\nsource = 'oci:tea'").discover()
        assert artifact.platform == "linux/riscv64"

    def test_archive_that_is_an_artifact_is_upstream(self, images: Images) -> None:
        (artifact,) = images("[oci.tea]\nartifact = 'kettle:archive'").discover()
        assert artifact.upstream == ("kettle:archive@any",)

    @pytest.mark.parametrize(
        ("table", "said"),
        [
            ("", "oci.tea: missing; `source` or `artifact` has to say where the image is"),
            ("source = 'oci:x'\nartifact = 'kettle:archive'", "oci.tea: `source` and `artifact` both say"),
            ("artifact = 'kettle:pot'", "oci.tea.artifact: `kettle:pot` stands for no artifact; did you mean"),
            ("artifact = 'kettle:tea'", "oci.tea.artifact: `kettle:tea` stands for 2 artifacts; write one of"),
            ("source = 'docker://UPPER'", "oci.tea.source: "),
            (
                "source = 'oci:x'\nplatforms = ['linux/arm64', 'linux/arm64/v8']",
                "oci.tea.platforms[1]: `linux/arm64/v8` is the same platform as `linux/arm64`",
            ),
        ],
    )
    def test_mistakes(self, images: Images, table: str, said: str) -> None:
        with pytest.raises(ConfigError) as caught:
            images(f"[oci.tea]\n{table}")
        assert caught.value.message.startswith(f"provenance.toml: {said}")

    def test_image_is_no_archive(self, images: Images) -> None:
        artifacts = images(BOTH).context.artifacts
        oci = Oci(name="x", artifact="oci:tea@linux/amd64")
        (line,) = config_errors([oci], Ids(artifacts), artifacts)
        assert "is an image already, not an archive" in line


class TestArchive:
    def test_becomes_an_annotated_layout(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar", labels={TITLE: "Tea"})
        builder = images(ARCHIVE + "[project.supplier]\nname = 'Example GmbH'\n")
        built = build(builder)["linux/amd64"]
        verify_layout(built.path)
        assert annotations(built) == {
            CREATED: "2023-11-14T22:13:20Z",
            SOURCE: "https://example.com/tea",
            TITLE: "Tea",
            VENDOR: "Example GmbH",
        }
        sha256 = hashlib.sha256((root / "tea.tar").read_bytes()).hexdigest()
        assert built.files == {"tea.tar": sha256}
        assert built.inputs["file:tea.tar"] == sha256
        assert built.inputs["setting:source"] == '["docker-archive", "tea.tar"]'
        others = {"setting:source", "setting:annotations", "variable:SOURCE_DATE_EPOCH"}
        assert set(built.inputs) == {"file:tea.tar", *others}

    def test_configured_annotation_counts_more_than_a_label(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar", labels={TITLE: "Tea"})
        built = build(images(f"{ARCHIVE}annotations = {{ '{TITLE}' = 'Mine', 'com.example' = 'x' }}"))["linux/amd64"]
        assert (annotations(built)[TITLE], annotations(built)["com.example"]) == ("Mine", "x")

    def test_equal_archives_are_equal_images(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar")
        builder = images(ARCHIVE)
        first = verify_layout(build(builder)["linux/amd64"].path)
        archive(root / "tea.tar")
        assert verify_layout(build(builder)["linux/amd64"].path) == first

    def test_declared_inputs_are_those_that_are_found(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar")
        builder = images(ARCHIVE)
        declared = builder.declare(builder.discover()[0])
        built = build(builder)["linux/amd64"]
        assert {**declared.values, **{of: built.inputs[of] for of in declared.measured}} == built.inputs

    def test_platforms_have_to_be_those_of_the_source(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar", platform="linux/arm64")
        builder = images(ARCHIVE)
        with pytest.raises(BuildError) as caught:
            build(builder)
        assert caught.value.message == (
            "`oci:tea` is for `linux/amd64`, and its source is not: it does not hold `linux/amd64`; "
            "it holds `linux/arm64` beyond these"
        )
        assert caught.value.hint == 'write `platforms = ["linux/arm64"]`, or make the source hold the others'
        assert left(builder) == []

    @pytest.mark.parametrize(
        ("content", "error"), [(None, BuildError), (b"no tar" * 100, UnreadableError), (b"", UnreadableError)]
    )
    def test_bad_source_leaves_nothing(
        self, images: Images, root: Path, content: bytes | None, error: type[ProvenanceError]
    ) -> None:
        if content is not None:
            (root / "tea.tar").write_bytes(content)
        builder = images(ARCHIVE)
        with pytest.raises(error, match=r"tea\.tar"):
            build(builder)
        assert left(builder) == []

    def test_source_that_changes_meanwhile(self, images: Images, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        archive(root / "tea.tar")
        real = take.read_archive

        def changing(path: Path, writer: LayoutWriter) -> tuple[Descriptor, ...]:
            found = real(path, writer)
            archive(path, labels={"new": "label"})
            return found

        monkeypatch.setattr(take, "read_archive", changing)
        builder = images(ARCHIVE)
        with pytest.raises(InputChangedError, match=r"an input changed while it was being built: `tea\.tar`"):
            build(builder)
        assert left(builder) == []

    def test_image_that_cannot_be_written_leaves_nothing(
        self, images: Images, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StoreError("can't write: No space left on device")

        archive(root / "tea.tar")
        monkeypatch.setattr(take, "annotate", full)
        builder = images(ARCHIVE)
        with pytest.raises(StoreError):
            build(builder)
        assert left(builder) == []

    def test_released_image_is_gone(self, images: Images, root: Path) -> None:
        archive(root / "tea.tar")
        builder = images(ARCHIVE)
        build(builder)
        assert left(builder) == ["tea@linux-amd64"]
        builder.release(builder.discover()[0])
        assert left(builder) == []


class TestLayout:
    def test_each_platform_is_a_layout_of_its_own(self, images: Images, root: Path) -> None:
        layout(root / "tea", "linux/amd64", "linux/arm64")
        built = build(images(BOTH))
        assert sorted(built) == ["linux/amd64", "linux/arm64"]
        for platform, one in built.items():
            with opened_layout(one.path) as opened:
                ((_, manifest),) = opened.images()
                assert opened.config(manifest)["architecture"] == platform.rpartition("/")[2]
            assert len(verify_layout(one.path).files) == 5

    def test_annotations_of_its_index_are_kept(self, images: Images, root: Path) -> None:
        layout(root / "tea", "linux/amd64", "linux/arm64", **{TITLE: "Theirs", "com.example": "kept"})
        for one in build(images(f"{BOTH}annotations = {{ '{TITLE}' = 'Mine' }}")).values():
            assert (annotations(one)[TITLE], annotations(one)["com.example"]) == ("Theirs", "kept")

    def test_platform_that_is_listed_but_not_there(self, images: Images, root: Path) -> None:
        """As an engine saves an image of which it has pulled one platform."""
        layout(root / "tea", "linux/amd64", "linux/arm64")
        with opened_layout(root / "tea") as opened:
            (gone,) = (d for d, _ in opened.images() if str(d.platform) == "linux/arm64")
        (root / "tea/blobs/sha256" / gone.sha256).unlink()
        assert list(build(images(BOTH.replace("'linux/arm64', ", "")))) == ["linux/amd64"]
        with pytest.raises(BuildError, match="it lists `linux/arm64`, which is not in it"):
            build(images(BOTH))

    def test_every_file_of_it_is_an_input(self, images: Images, root: Path) -> None:
        layout(root / "tea", "linux/amd64", "linux/arm64")
        built = build(images(BOTH))["linux/amd64"]
        files = sorted(path.relative_to(root).as_posix() for path in (root / "tea").rglob("*") if path.is_file())
        assert sorted(built.files) == files
        assert "glob:tea/**" in built.inputs

    def test_link_to_a_layout_is_followed(self, images: Images, root: Path, tmp_path: Path) -> None:
        layout(tmp_path / "elsewhere", "linux/amd64", "linux/arm64")
        (root / "tea").symlink_to(tmp_path / "elsewhere")
        assert len(build(images(BOTH))) == 2

    def test_users_own_files_are_not_shared(self, images: Images, root: Path) -> None:
        layout(root / "tea", "linux/amd64", "linux/arm64")
        built = build(images(BOTH))["linux/amd64"]
        for path in (root / "tea").rglob("*"):
            if path.is_file():
                path.write_bytes(b"overwritten")
        verify_layout(built.path)

    def test_damaged_blob(self, images: Images, root: Path) -> None:
        root_ = layout(root / "tea", "linux/amd64", "linux/arm64")
        blob = root / "tea/blobs/sha256" / root_.sha256
        blob.write_bytes(blob.read_bytes().replace(b"arm64", b"arm65"))
        with pytest.raises(VerificationError, match=r"`.*/tea`: .* has the digest"):
            build(images(BOTH))

    def test_no_layout(self, images: Images) -> None:
        with pytest.raises(BuildError, match="there is no image at `tea`"):
            build(images(BOTH))


class TestRemote:
    @pytest.fixture
    def registry(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Return what is asked of a registry that has one image; its first answer is `sha256:first`."""
        from doit_provenance.provenance.oci.writer import copy_layout

        layout(root / "away", "linux/amd64", created="2020-01-01T00:00:00Z")
        asked = []

        def look_up(source: Source) -> str:
            asked.append(f"look up {source.name}")
            return "sha256:first"

        def bring(source: Source, writer: LayoutWriter, scratch: Path) -> tuple[str, tuple[Descriptor, ...]]:
            asked.append(f"bring {source.name}")
            assert not scratch.exists()
            return "sha256:first", copy_layout(root / "away", writer)

        monkeypatch.setattr(take, "look_up", look_up)
        monkeypatch.setattr(take, "bring", bring)
        return asked

    def test_digest_of_the_last_build_counts(self, images: Images, registry: list[str]) -> None:
        builder = images(f"{TOML}source = 'docker://registry.example/tea:1'")
        (artifact,) = builder.discover()
        of = "resolution:docker:registry.example/tea:1"
        assert builder.declare(artifact).values[of] == "unknown"
        built = build(builder)["linux/amd64"]
        assert built.inputs[of] == "sha256:first"
        assert builder.declare(artifact).values == built.inputs
        assert registry == ["bring registry.example/tea:1"]

    def test_pull_looks_in_every_run(self, images: Images, registry: list[str]) -> None:
        builder = images(f"{TOML}source = 'docker-daemon:tea:1'\npull = true")
        (artifact,) = builder.discover()
        assert builder.declare(artifact).values["resolution:docker-daemon:tea:1"] == "sha256:first"
        assert registry == ["look up tea:1"]

    def test_nothing_of_the_workspace_is_claimed(self, images: Images, registry: list[str]) -> None:
        built = build(images(f"{TOML}source = 'docker-daemon:tea'"))["linux/amd64"]
        assert annotations(built) == {CREATED: "2020-01-01T00:00:00Z", TITLE: "tea"}
        assert built.files == {}
        assert registry == ["bring tea"]
