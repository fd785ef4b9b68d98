"""Our bundles before others' verifiers and before ours: each accepts the true ones and refuses every other."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from doit_provenance.provenance.attest.slsa import BuildDefinition, BuilderId, Provenance, RunDetails
from doit_provenance.provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX, make_statement
from doit_provenance.provenance.digest import Digest, digest_bytes
from doit_provenance.provenance.errors import ProvenanceError
from doit_provenance.provenance.sbom import cyclonedx, spdx
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.provenance.sign.key import LocalKey, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import Trust, TrustedKey
from doit_provenance.provenance.verify.verifier import verify_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

pytestmark = pytest.mark.integration

ARTIFACT = b"\x7fELF, or so it says \x00\xff"
NAME = "grüße 1"
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Verifier(Protocol):
    """Looks at one bundle; returns whether it holds, and fails the test when it ends in any other way.

    `payload_stride`: of how many bytes of a payload one is flipped, where a process for each would take too long.
    """

    @property
    def payload_stride(self) -> int: ...

    def accepts(self, bundle: bytes, *, artifact: bytes, key: bytes, predicate_type: str) -> bool: ...


class Ours:
    """`verify/verifier.py`."""

    payload_stride = 1

    def accepts(self, bundle: bytes, *, artifact: bytes, key: bytes, predicate_type: str) -> bool:
        trust = Trust(keys=(TrustedKey.from_pem(key, origin="the test's key"),))
        try:
            verify_bundle(bundle, artifact=digest_bytes(artifact), trust=trust, predicate_type=predicate_type)
        except ProvenanceError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Somebody else's verifier: its command line, how it says yes, and how it says no."""

    command: Callable[[Path, Path, Path, str], list[str]]
    yes: str
    no: str
    payload_stride: int
    scratch: Path

    def accepts(self, bundle: bytes, *, artifact: bytes, key: bytes, predicate_type: str) -> bool:
        folder = self.scratch / digest_bytes(bundle + artifact + key + predicate_type.encode()).sha256
        folder.mkdir()
        paths = (folder / "key.pub", folder / "bundle.json", folder / "artifact")
        for path, data in zip(paths, (key, bundle, artifact), strict=True):
            path.write_bytes(data)
        env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        done = subprocess.run(
            self.command(*paths, predicate_type), env=env, capture_output=True, check=False, text=True, timeout=60
        )
        shutil.rmtree(folder)
        said = done.stdout + done.stderr
        expected = self.yes.format(type=re.escape(predicate_type)) if done.returncode == 0 else self.no
        assert done.returncode in {0, 1}, said
        assert re.search(expected, said, re.MULTILINE), said
        return done.returncode == 0


@pytest.fixture(params=["ours", "cosign", "sigstore-go", "sigstore-js"])
def verifier(request: pytest.FixtureRequest, tmp_path: Path) -> Verifier:
    if request.param == "ours":
        return Ours()
    tools = request.getfixturevalue("tools")
    if request.param == "sigstore-js":
        script, node = str(tools.path("sigstore-js/verify.mjs")), shutil.which("node")
        if node is None:
            pytest.skip("`node` is not on the PATH")
        return Program(
            command=lambda key, bundle, artifact, _: [node, script, str(key), str(bundle), str(artifact)],
            yes="^verified {type}$",
            no="^refused: (signature verification failed|no subject has the artifact's digests)$",
            payload_stride=4,
            scratch=tmp_path,
        )
    if request.param == "sigstore-go":
        binary = str(tools.path("bin/verify-bundle"))
        return Program(
            command=lambda key, bundle, artifact, _: [binary, str(key), str(bundle), str(artifact)],
            yes="^verified {type}$",
            no="^refused: failed to verify signature: ",
            payload_stride=1,
            scratch=tmp_path,
        )
    binary = str(tools.path("bin/cosign"))
    # A bundle that a key signed has no transparency log entry; without the option cosign asks the network for trust.
    options = ["verify-blob-attestation", "--insecure-ignore-tlog=true"]
    return Program(
        command=lambda key, bundle, artifact, kind: [
            *(binary, *options, "--type", kind, "--key", str(key), "--bundle", str(bundle), str(artifact))
        ],
        yes="^Verified OK$",
        no="^Error: (failed to verify signature: |.*predicate type)",
        payload_stride=1,
        scratch=tmp_path,
    )


def _key(folder: Path) -> LocalKey:
    source = PassphraseSource(environ={}, prompt=None)
    return load_or_create(folder / "key.pem", source, workspace=None, environ={})


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> LocalKey:
    return _key(tmp_path_factory.mktemp("key"))


def _inventory(digest: Digest) -> Inventory:
    hashes = {"sha256": digest.sha256, "sha512": digest.sha512}
    subject = Component(
        ref="pkg:generic/greeter@1.0.0",
        kind=Kind.APPLICATION,
        role=Role.SUBJECT,
        name=NAME,
        version="1.0.0",
        hashes=hashes,
    )
    return Inventory(
        artifact="cargo:greeter@x86_64-unknown-linux-gnu",
        digest=digest,
        subject=subject,
        components=(),
        dependencies={subject.ref: ()},
        completeness=Completeness.COMPLETE,
        note="made up",
        created=TIME,
        author=Party(name="Somebody"),
        generator=("doit-provenance", "0"),
    )


def _provenance() -> bytes:
    definition = BuildDefinition(build_type="https://example.com/build", external_parameters={"binary": NAME})
    return Provenance(build_definition=definition, run_details=RunDetails(builder_id=BuilderId.LOCAL)).to_json()


def _predicate(predicate_type: str, digest: Digest) -> bytes:
    inventory = _inventory(digest)
    match predicate_type:
        case t if t == SPDX:
            return spdx.write(inventory)
        case t if t == CYCLONEDX:
            return cyclonedx.write(inventory, inventory_sha256=digest_bytes(inventory.to_json()).sha256)
    return _provenance()


def _signed(key: LocalKey, predicate_type: str = PROVENANCE, *, about: bytes = ARTIFACT) -> bytes:
    digest = digest_bytes(about)
    predicate = _predicate(predicate_type, digest)
    return key.sign_statement(
        make_statement(name=NAME, digest=digest, predicate_type=predicate_type, predicate=predicate)
    )


def _flipped(data: bytes, stride: int = 1) -> Iterable[bytes]:
    """Yield copies of `data` in which one bit of one byte is another, each `stride` bytes and in the last one."""
    for position in sorted({*range(0, len(data), stride), len(data) - 1}):
        yield data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]


def _rewritten(bundle: bytes, *, payload: bytes | None = None, signature: bytes | None = None) -> bytes:
    document: dict[str, Any] = json.loads(bundle)
    envelope = document["dsseEnvelope"]
    for holder, name, changed in ((envelope, "payload", payload), (envelope["signatures"][0], "sig", signature)):
        data = base64.b64decode(holder[name]) if changed is None else changed
        holder[name] = base64.b64encode(data).decode()
    return json.dumps(document).encode()


def _envelope(bundle: bytes) -> tuple[bytes, bytes]:
    envelope = json.loads(bundle)["dsseEnvelope"]
    return base64.b64decode(envelope["payload"]), base64.b64decode(envelope["signatures"][0]["sig"])


def _accepted(verifier: Verifier, key: LocalKey, cases: Iterable[tuple[bytes, bytes]]) -> list[int]:
    """Return which of the cases (bundle, artifact) the verifier accepts, by number."""

    def accepts(case: tuple[bytes, bytes]) -> bool:
        bundle, artifact = case
        return verifier.accepts(bundle, artifact=artifact, key=key.public_pem, predicate_type=PROVENANCE)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(accepts, cases))
    assert len(verdicts) > 1
    return [number for number, accepted in enumerate(verdicts) if accepted]


@pytest.mark.parametrize("predicate_type", [PROVENANCE, SPDX, CYCLONEDX])
def test_true_bundle_is_accepted(verifier: Verifier, key: LocalKey, predicate_type: str) -> None:
    bundle = _signed(key, predicate_type)
    assert verifier.accepts(bundle, artifact=ARTIFACT, key=key.public_pem, predicate_type=predicate_type)


def test_rewriting_alone_changes_nothing(verifier: Verifier, key: LocalKey) -> None:
    """What the flips below are refused for is the flipped bit, not how the bundle was written again."""
    bundle = _rewritten(_signed(key))
    assert verifier.accepts(bundle, artifact=ARTIFACT, key=key.public_pem, predicate_type=PROVENANCE)


def test_flipped_artifact_is_refused(verifier: Verifier, key: LocalKey) -> None:
    bundle = _signed(key)
    assert _accepted(verifier, key, ((bundle, artifact) for artifact in _flipped(ARTIFACT))) == []


def test_flipped_payload_is_refused(verifier: Verifier, key: LocalKey) -> None:
    bundle = _signed(key)
    payload, _ = _envelope(bundle)
    bundles = (_rewritten(bundle, payload=to) for to in _flipped(payload, verifier.payload_stride))
    assert _accepted(verifier, key, ((b, ARTIFACT) for b in bundles)) == []


def test_flipped_signature_is_refused(verifier: Verifier, key: LocalKey) -> None:
    bundle = _signed(key)
    _, signature = _envelope(bundle)
    bundles = (_rewritten(bundle, signature=to) for to in _flipped(signature))
    assert _accepted(verifier, key, ((b, ARTIFACT) for b in bundles)) == []


def test_other_key_is_refused(verifier: Verifier, key: LocalKey, tmp_path: Path) -> None:
    other = _key(tmp_path / "other").public_pem
    assert not verifier.accepts(_signed(key), artifact=ARTIFACT, key=other, predicate_type=PROVENANCE)


def test_other_subject_is_refused(verifier: Verifier, key: LocalKey) -> None:
    bundle = _signed(key, about=b"something else")
    assert not verifier.accepts(bundle, artifact=ARTIFACT, key=key.public_pem, predicate_type=PROVENANCE)


@pytest.mark.parametrize("verifier", ["ours", "cosign"], indirect=True)
def test_other_kind_of_predicate_is_refused(verifier: Verifier, key: LocalKey) -> None:
    """The two libraries leave this to their caller."""
    assert not verifier.accepts(_signed(key, SPDX), artifact=ARTIFACT, key=key.public_pem, predicate_type=PROVENANCE)
