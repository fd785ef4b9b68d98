"""A workspace whose build tool is a fake: it writes what a test says, and counts how often it was asked."""

from __future__ import annotations

import json
import os
import shutil
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.attest.resource import ResourceDescriptor
from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.config import load
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.fs import lock, store
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.record import IMAGE
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.provenance.sign.key import load_or_create
from doit_provenance.provenance.sign.keyfile import public_path
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.tasks import graph
from doit_provenance.tasks.artifacts import Artifact, Form
from doit_provenance.tasks.builder import Built
from doit_provenance.tasks.commands import init
from doit_provenance.tasks.context import Context
from doit_provenance.tasks.freshness.inputs import Declared, InputHasher
from doit_provenance.tasks.freshness.state import State
from doit_provenance.tasks.pipeline.signer import Signer, Signing
from doit_provenance.tasks.session import Session
from doit_provenance.tasks.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from doit_provenance.provenance.digest import Digest
    from doit_provenance.provenance.errors import ProvenanceError
    from doit_provenance.provenance.json import JSONValue
    from doit_provenance.provenance.sign.key import LocalKey
    from doit_provenance.tasks.freshness.answer import Answer
    from doit_provenance.tasks.pipeline.outcome import Outcome

MOMENT = datetime(2024, 5, 17, 12, 0, 0, tzinfo=UTC)
ROOT = "work space"


@dataclass(slots=True)
class Kettle:
    """What the fake builder finds and makes; a test changes it between builds.

    Attributes:
        names: of the artifacts; those before the first `-` of a name are its group.
        content: name to the bytes that are built of it.
        libraries: of every artifact.
        inputs: path to sha256, of every artifact.
        settings: name to the settings of that artifact alone.
        measured: name to the keys of its inputs that anyone can measure; the lines of those that are files, and do not
            begin with `#`, go into its bytes, as do those of the files of a pattern.
        upstream: name to the names of the artifacts that go into it, with their bytes if it has anything `measured`.
        discovery, building, describing: errors that these raise.
        proposal: what a starter file should say.
        calls: names in each call of `build`.
        images: names of the artifacts that are images, of one layer with the bytes that are built.
        used: name to the digests of upstream artifacts, by id, that its last build used.
    """

    folder: Path
    names: list[str] = field(default_factory=lambda: ["tea"])
    content: dict[str, bytes] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=lambda: ["leaf"])
    inputs: dict[str, str] = field(default_factory=lambda: {"src/main.tea": "a" * 64})
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    measured: dict[str, tuple[str, ...]] = field(default_factory=dict)
    upstream: dict[str, tuple[str, ...]] = field(default_factory=dict)
    discovery: ProvenanceError | None = None
    building: ProvenanceError | None = None
    describing: ProvenanceError | None = None
    proposal: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    used: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """Where its files lie: the workspace that the fixture `root` makes."""
        return self.folder.parent / ROOT

    def brew(self, name: str) -> bytes:
        """Return the bytes that a build makes of an artifact now."""
        if name in self.content or name not in self.measured:
            return self.content.get(name, name.encode())
        parts = [name.encode(), *(f"{k}={v}".encode() for k, v in sorted(self.settings.get(name, {}).items()))]
        for file in self.files(name):
            path = self.root / file
            lines = path.read_bytes().splitlines() if path.is_file() else []
            parts += [file.encode(), *(line for line in lines if not line.startswith(b"#"))]
        return b"\n".join([*parts, *(self.brew(u) for u in self.upstream.get(name, ()))])

    def digest(self, name: str) -> Digest:
        """Return the digest of the artifact that a build makes now."""
        if name not in self.images:
            return digest_bytes(self.brew(name))
        with TemporaryDirectory(dir=self.folder) as folder:
            return bake(Path(folder) / "image", self.brew(name))

    def files(self, name: str) -> list[str]:
        """Return the names of all files that can go into an artifact, whether they are there or not."""
        meter = InputHasher(self.root)
        found = []
        for key in self.measured.get(name, ()):
            kind, _, of = key.partition(":")
            if kind != "variable":
                found += [of] if kind == "file" else list(meter.files(key))
        return found


def bake(folder: Path, content: bytes) -> Digest:
    """Write an image of one layer, which holds `content`, and return the digest of its manifest."""
    layout = LayoutWriter(folder)
    config = layout.add(b'{"architecture":"amd64","os":"linux"}', OCI_CONFIG)
    layer = layout.add(content, OCI_LAYER)
    document: dict[str, JSONValue] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.to_json(),
        "layers": [layer.to_json()],
    }
    data = json.dumps(document).encode()
    layout.finish(layout.add(data, OCI_MANIFEST))
    return digest_bytes(data)


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
                file=IMAGE if n in self.kettle.images else n,
                form=Form.IMAGE if n in self.kettle.images else Form.FILE,
                upstream=tuple(f"kettle:{u}@linux/amd64" for u in self.kettle.upstream.get(n, ())),
            )
            for n in self.kettle.names
        ]

    def declare(self, artifact: Artifact) -> Declared:
        settings = self.kettle.inputs | self.kettle.settings.get(artifact.name, {})
        return Declared(
            values={f"setting:{k}": v for k, v in settings.items()},
            measured=self.kettle.measured.get(artifact.name, ()),
        )

    def propose(self) -> Mapping[str, tuple[str, ...]]:
        return self.kettle.proposal

    def build(self, group: str, artifacts: Sequence[Artifact]) -> Mapping[Artifact, Built]:
        assert {a.group for a in artifacts} == {group}
        self.kettle.calls.append([a.name for a in artifacts])
        if self.kettle.building:
            raise self.kettle.building
        return {a: self._built(a) for a in artifacts}

    def _built(self, artifact: Artifact) -> Built:
        path = self.kettle.folder / artifact.name
        if artifact.form is Form.IMAGE:
            shutil.rmtree(path, ignore_errors=True)
            bake(path, self.kettle.brew(artifact.name))
        else:
            path.write_bytes(self.kettle.brew(artifact.name))
            path.chmod(stat.S_IRWXU)
        return Built(
            path=path,
            build_type="https://tea.example/kettle.md",
            external={"name": artifact.name},
            internal={},
            files=dict(self.kettle.inputs),
            inputs=self._inputs(artifact),
            started=MOMENT,
            finished=MOMENT,
        )

    def _inputs(self, artifact: Artifact) -> dict[str, str]:
        kettle, declared, meter = self.kettle, self.declare(artifact), InputHasher(self.kettle.root)
        names = kettle.upstream.get(artifact.name, ())
        used = {f"kettle:{n}@linux/amd64": str(kettle.digest(n)) for n in names}
        kettle.used[artifact.name] = used
        measured = [*declared.measured, *(f"file:{name}" for name in kettle.files(artifact.name))]
        return {
            **declared.values,
            **{key: meter.measure(key) for key in measured},
            **{f"artifact:{id_}": digest for id_, digest in used.items()},
        }

    def release(self, artifact: Artifact) -> None:
        """Note that the flow has let go of an artifact."""
        self.released.append(artifact.id)

    def describe(
        self, artifact: Artifact, path: Path, digest: Digest
    ) -> tuple[Inventory, Sequence[ResourceDescriptor]]:
        if self.kettle.describing:
            raise self.kettle.describing
        assert path.is_dir() or path.stat().st_size == digest.size
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
        used = self.kettle.used.get(artifact.name, {})
        return inventory, [
            *(ResourceDescriptor(uri=r, digest={"sha256": "b" * 64}) for r in libraries),
            *(ResourceDescriptor(name=id_, digest={"sha256": d.removeprefix("sha256:")}) for id_, d in used.items()),
        ]


def _component(ref: str, name: str, role: Role, hashes: Mapping[str, str]) -> Component:
    kind = Kind.APPLICATION if role is Role.SUBJECT else Kind.LIBRARY
    return Component(ref=ref, kind=kind, role=role, name=name, version="1.0.0", hashes=hashes, licence="MIT")


@pytest.fixture(autouse=True)
def disk_that_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test here wait for the disk: none of them cuts the power."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


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
    folder = tmp_path / ROOT
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


@pytest.fixture
def context(root: Path) -> Context:
    return Context(workspace=Workspace(root=root, config=load(root)))


@pytest.fixture
def workspace(context: Context) -> Workspace:
    return context.workspace


@pytest.fixture
def signing(key: LocalKey) -> Signing:
    own = TrustedKey.from_pem(key.public_pem, origin="the test's key")
    return Signing(key=key, trust=Trust(keys=(own,)), builder=BuilderId.LOCAL)


@pytest.fixture
def kettle_alone(kettle: Kettle, key: LocalKey, monkeypatch: pytest.MonkeyPatch) -> Kettle:
    """Let the kettle be the only builder there is, and the test's key the user's own."""
    builders: tuple[Callable[[Context], KettleBuilder], ...] = (lambda _workspace: KettleBuilder(kettle),)
    for module in (graph, init):
        monkeypatch.setattr(module, "BUILDERS", builders)
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(key.path))
    return kettle


@dataclass(kw_only=True)
class Kitchen:
    """A workspace with its kettle, in which each plan and each run is a process of its own, but for the process.

    Attributes:
        keys: folder of the user's key and of what proves the state.
        selected: names of the artifacts that a run is for, with what goes into them; empty: all.
    """

    root: Path
    keys: Path
    kettle: Kettle
    selected: tuple[str, ...] = ()

    def session(self, *, runs: bool) -> Session:
        """Return what `doit` (`runs`) or `doit plan` makes of the workspace as it is now."""
        settings = load(self.root)
        context = Context(workspace=Workspace(root=self.root, config=settings))
        signer = Signer(self.root, settings, context.progress)
        session = Session(context, State(self.database, lambda: signer.path.with_name("state.secret")), signer)
        session.runs = runs
        session.add(KettleBuilder(self.kettle))
        session.selected = self.ids(session)
        return session

    def ids(self, session: Session) -> list[str]:
        """Return the ids of what is selected, upstream first."""
        return session.judge.with_upstream([self.id(n) for n in self.selected or self.kettle.names])

    def id(self, name: str) -> str:
        """Return the id of an artifact."""
        return f"kettle:{name}@linux/amd64"

    def place(self, name: str) -> Path:
        """Return the folder of an artifact."""
        return self.root / "dist" / "kettle" / name / "linux-amd64"

    @property
    def database(self) -> Path:
        """Where the state is kept."""
        return self.root / ".provenance" / "state.db"

    def plan(self) -> dict[str, Answer]:
        """Return what is announced, by name, and see that nothing of the workspace was changed for that."""
        before = self.everything()
        found = self.announce()
        assert self.everything() == before, "a plan has written"
        return found

    def announce(self) -> dict[str, Answer]:
        """Return what is announced, by name."""
        session = self.session(runs=False)
        found = session.answers(self.ids(session))
        session.close()
        return {session.artifacts[id_].name: answer for id_, answer in found.items()}

    def run(self, *, always: bool = False, threads: int = 1) -> dict[str, Outcome]:
        """Do what `doit` does, and return what became of each artifact, by name; the kettle's calls are those of now.

        Raises:
            ProvenanceError: of the first artifact that fails; those that go on in other threads are waited for.
        """
        self.kettle.calls.clear()
        session = self.session(runs=True)
        session.always = always
        going_on: dict[str, Future[None]] = {}
        try:
            with ThreadPoolExecutor(threads) as pool:
                for id_ in session.selected:
                    artifact = session.artifacts[id_]
                    for upstream in artifact.upstream:
                        if upstream in going_on:
                            going_on[upstream].result()
                    if not session.is_fresh(artifact) or always:
                        going_on[id_] = pool.submit(session.make, artifact)
                for made in going_on.values():
                    made.result()
        finally:
            session.close()
        return {session.artifacts[id_].name: outcome for id_, outcome in session.outcomes.items()}

    @property
    def called(self) -> list[str]:
        """Names of what was built in the last run, sorted."""
        return sorted(name for call in self.kettle.calls for name in call)

    def files(self, name: str) -> dict[str, bytes]:
        """Return what the folder of an artifact holds."""
        return {p.name: p.read_bytes() for p in sorted(self.place(name).iterdir())}

    def everything(self, below: Path | None = None) -> dict[str, tuple[object, ...]]:
        """Return all that there is below a folder (the context), so that any change of it shows."""
        folder = below or self.root
        return {str(p.relative_to(folder)): _looks(p) for p in sorted((folder, *folder.rglob("*")))}

    def rotate_key(self, *, trust_the_old: bool) -> None:
        """Let the user have a new key."""
        path = self.keys / "key.pem"
        old = public_path(path)
        trusted = self.root / "team" / f"{len(list(self.root.glob('team/*')))}.pub"
        trusted.parent.mkdir(exist_ok=True)
        if trust_the_old:
            shutil.copyfile(old, trusted)
        path.unlink()
        old.unlink()
        load_or_create(path, PassphraseSource(environ={}, prompt=None), workspace=None, environ={})
        self.trust(self.root.glob("team/*"))

    def trust(self, keys: Iterable[Path]) -> None:
        """Write the configuration: these public keys are trusted beside the user's own."""
        listed = ", ".join(f'"{key.relative_to(self.root)}"' for key in sorted(keys))
        (self.root / "provenance.toml").write_text(f"[signing]\npublic-keys = [{listed}]\n")


def _looks(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    what: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, what


@pytest.fixture
def kitchen(root: Path, kettle: Kettle, key: LocalKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kitchen:
    """Return the context, empty; the key in it is a copy, so that a test may lose it."""
    return _kitchen(root, kettle, key, tmp_path / "keys", monkeypatch)


@pytest.fixture
def new_kitchen(key: LocalKey, tmp_path: Path) -> Callable[[], AbstractContextManager[Kitchen]]:
    """Return what opens another one for each example of a test, and removes it after that."""

    @contextmanager
    def run() -> Iterator[Kitchen]:
        with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(dir=tmp_path) as name:
            folder = Path(name)
            for made in ("made", ROOT):
                (folder / made).mkdir()
            patch.chdir(folder / ROOT)
            patch.setenv("GIT_CEILING_DIRECTORIES", name)
            yield _kitchen(folder / ROOT, Kettle(folder=folder / "made"), key, folder / "keys", patch)

    return run


def _kitchen(root: Path, kettle: Kettle, key: LocalKey, keys: Path, patch: pytest.MonkeyPatch) -> Kitchen:
    keys.mkdir()
    for path in (key.path, key.public_path):
        shutil.copy2(path, keys)
    patch.setenv("DOIT_PROVENANCE_KEY", str(keys / "key.pem"))
    # This process is many here; a lock is a process's until it ends, and has tests of its own.
    patch.setattr(lock, "take", lambda folder, **_: store.prepare(folder))
    return Kitchen(root=root, keys=keys, kettle=kettle)
