"""Tools that we did not write agree with our signatures, keys and the digest of the inputs: openssl and sha256sum."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.attest.slsa import inputs_digest
from doit_provenance.provenance.attest.statement import SPDX, make_statement
from doit_provenance.provenance.digest import digest_bytes, sha256_file
from doit_provenance.provenance.sign.key import LocalKey, load_key, load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

NOBODY = PassphraseSource(environ={}, prompt=None)
STATEMENT = make_statement(name="wash", digest=digest_bytes(b"artifact"), predicate_type=SPDX, predicate=b'{"a":1}')


def _run(
    *argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(a) for a in argv], capture_output=True, text=True, check=False, cwd=cwd, env=os.environ | (env or {})
    )


def _accepted(folder: Path, key: LocalKey, message: bytes, signature: bytes) -> bool:
    (folder / "message").write_bytes(message)
    (folder / "signature").write_bytes(signature)
    done = _run(
        "openssl", "dgst", "-sha256", "-verify", key.public_path, "-signature", folder / "signature", folder / "message"
    )
    return done.returncode == 0 and done.stdout.strip() == "Verified OK"


def test_openssl_verifies_our_signature_and_refuses_each_change(tmp_path: Path) -> None:
    key = load_or_create(tmp_path / "key.pem", NOBODY, workspace=None, environ={})
    envelope = Bundle.from_json(key.sign_statement(STATEMENT)).envelope
    # Put together by hand: the specification's words, not our function.
    message = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(STATEMENT) + STATEMENT
    assert _accepted(tmp_path, key, message, envelope.signature)
    for index in range(0, len(message), 37):
        changed = message[:index] + bytes([message[index] ^ 1]) + message[index + 1 :]
        assert not _accepted(tmp_path, key, changed, envelope.signature)
    for index in range(0, len(envelope.signature), 9):
        changed = envelope.signature[:index] + bytes([envelope.signature[index] ^ 1]) + envelope.signature[index + 1 :]
        assert not _accepted(tmp_path, key, message, changed)
    other = load_or_create(tmp_path / "other.pem", NOBODY, workspace=None, environ={})
    assert not _accepted(tmp_path, other, message, envelope.signature)


def test_a_key_made_as_our_hints_say_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = _run("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path)
    assert made.returncode == 0, made.stderr
    path.chmod(0o600)
    public = _run("openssl", "pkey", "-in", path, "-pubout")
    assert load_key(path, NOBODY).public_pem.decode() == public.stdout


def test_openssl_opens_the_key_that_we_encrypted(tmp_path: Path) -> None:
    path, variable = tmp_path / "key.pem", "DOIT_PROVENANCE_PASSPHRASE"
    secret = {variable: "correct horse battery"}
    key = load_or_create(path, PassphraseSource(environ=secret, prompt=None), workspace=None, environ={})
    opened = _run("openssl", "pkey", "-in", path, "-pubout", "-passin", f"env:{variable}", env=secret)
    assert opened.stdout == key.public_pem.decode()
    refused = _run("openssl", "pkey", "-in", path, "-pubout", "-passin", f"env:{variable}", env={variable: "wrong"})
    assert refused.returncode != 0


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_anybody_can_compute_the_digest_of_the_inputs(tmp_path: Path) -> None:
    names = ["Cargo.toml", "Z", "a", "a b", "a-b", "ä", "src/main.rs", "src-a", "back\\slash", "line\nfeed"]
    (tmp_path / "src").mkdir()
    for name in names:
        (tmp_path / name).write_text(name)
    listed = sorted(names, key=os.fsencode)
    printed = _run("sha256sum", "--", *listed, cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    ours = inputs_digest((name, sha256_file(tmp_path / name)) for name in names)
    assert ours == hashlib.sha256(printed.stdout.encode()).hexdigest()
