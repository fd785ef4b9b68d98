"""A workspace whose build tool is a fake: it writes what a test says, and counts how often it was asked."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.attest.resource import ResourceDescriptor
from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.config import load
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Party, Role
from doit_provenance.provenance.sign.key import load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.tasks import graph
from doit_provenance.tasks.attest import Signing
from doit_provenance.tasks.builder import Artifact, Built, Declared, Workspace
from doit_provenance.tasks.commands import init

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from doit_provenance.provenance.digest import Digest
    from doit_provenance.provenance.errors import ProvenanceError
    from doit_provenance.provenance.sign.key import LocalKey

MOMENT = datetime(2024, 5, 17, 12, 0, 0, tzinfo=UTC)


@dataclass(slots=True)
class Kettle:
    """What the fake builder finds and makes; a test changes it between builds.

    Attributes:
        names: of the artifacts; those before the first `-` of a name are its group.
        content: name to the bytes that are built of it.
        libraries: of every artifact.
        inputs: path to sha256, of every artifact.
        upstream: name to the names of the artifacts that go into it.
        discovery, building, describing: errors that these raise.
        proposal: what a starter file should say.
        calls: names in each call of `build`.
    """

    folder: Path
    names: list[str] = field(default_factory=lambda: ["tea"])
    content: dict[str, bytes] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=lambda: ["leaf"])
    inputs: dict[str, str] = field(default_factory=lambda: {"src/main.tea": "a" * 64})
    upstream: dict[str, tuple[str, ...]] = field(default_factory=dict)
    discovery: ProvenanceError | None = None
    building: ProvenanceError | None = None
    describing: ProvenanceError | None = None
    proposal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)


class KettleBuilder:
    """The builder of a kettle."""

    name = "kettle"

    def __init__(self, kettle: Kettle) -> None:
        self.kettle = kettle
        self.released: list[str] = []

    def discover(self) -> Sequence[Artifact]:
        if self.kettle.discovery:
            raise self.kettle.discovery
        return [
            Artifact(
                builder="kettle",
                name=n,
                platform="linux/amd64",
                group=n.partition("-")[0],
                file=n,
                upstream=tuple(f"kettle:{u}@linux/amd64" for u in self.kettle.upstream.get(n, ())),
            )
            for n in self.kettle.names
        ]

    def declare(self, artifact: Artifact) -> Declared:
        del artifact
        return Declared(values={f"setting:{k}": v for k, v in self.kettle.inputs.items()})

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        return self.kettle.proposal

    def build(self, group: str, artifacts: Sequence[Artifact]) -> Mapping[Artifact, Built]:
        assert {a.group for a in artifacts} == {group}
        self.kettle.calls.append([a.name for a in artifacts])
        if self.kettle.building:
            raise self.kettle.building
        return {a: self._built(a) for a in artifacts}

    def _built(self, artifact: Artifact) -> Built:
        path = self.kettle.folder / artifact.file
        path.write_bytes(self._content(artifact.name))
        path.chmod(stat.S_IRWXU)
        return Built(
            path=path,
            build_type="https://tea.example/kettle.md",
            external={"name": artifact.name},
            internal={},
            files=dict(self.kettle.inputs),
            inputs={f"setting:{k}": v for k, v in self.kettle.inputs.items()} | self._upstream(artifact),
            started=MOMENT,
            finished=MOMENT,
        )

    def _content(self, name: str) -> bytes:
        return self.kettle.content.get(name, name.encode())

    def _upstream(self, artifact: Artifact) -> dict[str, str]:
        names = self.kettle.upstream.get(artifact.name, ())
        return {f"artifact:kettle:{n}@linux/amd64": str(digest_bytes(self._content(n))) for n in names}

    def release(self, artifact: Artifact) -> None:
        """Note that the flow has let go of an artifact."""
        self.released.append(artifact.id)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        if self.kettle.describing:
            raise self.kettle.describing
        assert path.stat().st_size == digest.size
        libraries = sorted(f"pkg:cargo/{name}@1.0.0" for name in self.kettle.libraries)
        subject = _component(artifact.id, artifact.name, Role.SUBJECT, digest.as_digest_set())
        inventory = Inventory(
            artifact=artifact.id,
            digest=digest,
            subject=subject,
            components=tuple(_component(r, r[10:-6], Role.LINKED, {}) for r in libraries),
            dependencies={artifact.id: tuple(libraries), **dict.fromkeys(libraries, ())},
            completeness=Completeness.COMPLETE,
            note="As the kettle says.",
            created=MOMENT,
            author=Party(name="Tea"),
            generator=("doit-provenance", "0.1.0"),
        )
        return inventory, [ResourceDescriptor(uri=r, digest={"sha256": "b" * 64}) for r in libraries]


def _component(ref: str, name: str, role: Role, hashes: Mapping[str, str]) -> Component:
    kind = Kind.APPLICATION if role is Role.SUBJECT else Kind.LIBRARY
    return Component(ref=ref, kind=kind, role=role, name=name, version="1.0.0", hashes=hashes, licence="MIT")


@pytest.fixture
def kettle(tmp_path: Path) -> Kettle:
    folder = tmp_path / "made"
    folder.mkdir()
    return Kettle(folder=folder)


@pytest.fixture
def builder(kettle: Kettle) -> KettleBuilder:
    return KettleBuilder(kettle)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    return load_or_create(path, PassphraseSource(environ={}, prompt=None), workspace=None, environ={})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder of a workspace that is no git repository, and make it the current one."""
    folder = tmp_path / "work space"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace(root=root, config=load(root))


@pytest.fixture
def signing(key: LocalKey) -> Signing:
    own = TrustedKey.from_pem(key.public_pem, origin="the test's key")
    return Signing(key=key, trust=Trust(keys=(own,)), builder=BuilderId.LOCAL)


@pytest.fixture
def kettle_alone(kettle: Kettle, key: LocalKey, monkeypatch: pytest.MonkeyPatch) -> Kettle:
    """Let the kettle be the only builder there is, and the test's key the user's own."""
    builders: tuple[Callable[[Workspace], KettleBuilder], ...] = (lambda _workspace: KettleBuilder(kettle),)
    for module in (graph, init):
        monkeypatch.setattr(module, "BUILDERS", builders)
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(key.path))
    return kettle
