"""A whole artifact folder as the builders leave it, and the keys around it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance import INVENTORY_PROPERTY
from doit_provenance.provenance.attest.slsa import BuildDefinition, BuilderId, Provenance, RunDetails
from doit_provenance.provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX, make_statement
from doit_provenance.provenance.digest import Digest, digest_bytes
from doit_provenance.provenance.record import FileNames, Record, file_names
from doit_provenance.provenance.sign.key import LocalKey, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ID = "cargo:wash@x86_64-unknown-linux-gnu"


@dataclass(kw_only=True)
class ArtifactFolder:
    """The files of one artifact before they are written; a test changes what its forger would."""

    path: Path
    key: LocalKey
    names: FileNames = field(default_factory=lambda: file_names("wash"))
    artifact: bytes = b"\x7fELF and so on"
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inventory = {"artifact": ID, "digest": {"sha256": self.digest.sha256}, "components": []}
        self.files[self.names.inventory] = json.dumps(inventory).encode()
        self.files[self.names.spdx] = b'{\n  "spdxVersion": "SPDX-2.3"\n}\n'
        self.files[self.names.provenance_bundle] = self.signed(PROVENANCE, provenance())
        self.tie()

    @property
    def digest(self) -> Digest:
        return digest_bytes(self.artifact)

    def tie(self, *properties: dict[str, str]) -> None:
        """Make the CycloneDX document for the inventory, with these properties or the right one; sign both SBOMs."""
        sha256 = hashlib.sha256(self.files[self.names.inventory]).hexdigest()
        found = list(properties) or [{"name": "other", "value": "1"}, {"name": INVENTORY_PROPERTY, "value": sha256}]
        self.files[self.names.cyclonedx] = json.dumps({"metadata": {"properties": found}}).encode() + b"\n"
        self.files[self.names.cyclonedx_bundle] = self.signed(CYCLONEDX, self.files[self.names.cyclonedx])
        self.files[self.names.spdx_bundle] = self.signed(SPDX, self.files[self.names.spdx])

    def signed(self, predicate_type: str, predicate: bytes) -> bytes:
        """Return the bundle of a statement about this artifact."""
        return self.key.sign_statement(
            make_statement(
                name=self.names.artifact, digest=self.digest, predicate_type=predicate_type, predicate=predicate
            )
        )

    def record(self, **changes: object) -> Record:
        """Return the record that goes with the files."""
        fields: dict[str, object] = {
            "artifact": ID,
            "file": self.names.artifact,
            "digest": self.digest,
            "inputs": "0" * 64,
            "evidence": {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()},
            "generator": "0.1.0",
        }
        return Record(**(fields | changes))  # type: ignore[arg-type] # a test may well pass what is wrong

    def write(self, record: Record | None = None) -> Path:
        """Write the files, with the record that goes with them or another one."""
        self.path.mkdir()
        (self.path / self.names.artifact).write_bytes(self.artifact)
        for name, data in self.files.items():
            (self.path / name).write_bytes(data)
        (self.path / self.names.record).write_bytes((record or self.record()).to_json())
        return self.path


def provenance() -> bytes:
    """Return a small predicate."""
    return Provenance(
        build_definition=BuildDefinition(
            build_type="https://example.com/cargo/v1", external_parameters={"bin": "wash"}
        ),
        run_details=RunDetails(builder_id=BuilderId.LOCAL),
    ).to_json()


@pytest.fixture(scope="session")
def make_key(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], LocalKey]:
    """Make another key at each call."""

    def make() -> LocalKey:
        path = tmp_path_factory.mktemp("key") / "key.pem"
        return load_or_create(path, PassphraseSource(environ={}, prompt=None), workspace=None, environ={})

    return make


@pytest.fixture(scope="session")
def key(make_key: Callable[[], LocalKey]) -> LocalKey:
    """Return the key that is trusted."""
    return make_key()


@pytest.fixture(scope="session")
def stranger(make_key: Callable[[], LocalKey]) -> LocalKey:
    """Return a key that nobody trusts."""
    return make_key()


@pytest.fixture(scope="session")
def trust(key: LocalKey) -> Trust:
    """Trust in the one key."""
    return Trust(keys=(TrustedKey.from_pem(key.public_pem, origin="the test's key"),))


@pytest.fixture
def folder(tmp_path: Path, key: LocalKey) -> ArtifactFolder:
    """Return a folder that verifies once it is written."""
    return ArtifactFolder(path=tmp_path / "wash-folder", key=key)
