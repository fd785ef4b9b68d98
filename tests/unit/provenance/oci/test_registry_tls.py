"""Who an authorization server is has to be proved, to the authorities of the machine or to those that are named."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from doit_provenance.provenance.errors import RegistryError
from doit_provenance.provenance.oci.pull import resolve
from doit_provenance.provenance.oci.reference import Reference
from doit_provenance.provenance.oci.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = b'{"schemaVersion": 2}'


class _Handler(BaseHTTPRequestHandler):
    """A registry that wants a token, or, with TLS, what gives it away."""

    server: _Server

    def do_GET(self) -> None:
        if self.path.startswith("/token"):
            self._say(200, json.dumps({"token": "t1"}).encode(), {})
        elif self.headers.get("Authorization") != "Bearer t1":
            self._say(401, b"", {"WWW-Authenticate": f'Bearer realm="{self.server.realm}"'})
        else:
            digest = f"sha256:{'0' * 64}"
            kind = "application/vnd.oci.image.manifest.v1+json"
            self._say(200, MANIFEST, {"Docker-Content-Digest": digest, "Content-Type": kind})

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    realm = ""

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that does not believe us."""


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return _certificate(tmp_path)


@pytest.fixture
def registry(certificate: tuple[Path, Path]) -> Iterator[str]:
    """Return the host of a registry whose authorization server speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with _Server(("127.0.0.1", 0), _Handler) as plain, _Server(("127.0.0.1", 0), _Handler) as secure:
        secure.socket = context.wrap_socket(secure.socket, server_side=True)
        plain.realm = f"https://127.0.0.1:{secure.server_address[1]}/token"
        threads = [threading.Thread(target=one.serve_forever, args=(0.01,)) for one in (plain, secure)]
        for thread in threads:
            thread.start()
        yield f"127.0.0.1:{plain.server_address[1]}"
        for one in (plain, secure):
            one.shutdown()
        for thread in threads:
            thread.join()


def test_an_authority_that_nobody_knows(registry: str) -> None:
    waited: list[float] = []
    with Registry(credential=lambda _: None, sleep=waited.append) as client, pytest.raises(RegistryError) as caught:
        resolve(client, Reference.parse(f"{registry}/tea"))
    assert "certificate" in caught.value.message
    assert caught.value.hint is not None
    assert "SSL_CERT_FILE" in caught.value.hint
    assert waited == []


def test_an_authority_that_is_named(
    registry: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with Registry(credential=lambda _: None) as client:
        assert resolve(client, Reference.parse(f"{registry}/tea")).size == len(MANIFEST)
