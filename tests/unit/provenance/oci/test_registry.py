"""Against a registry of our own that does what real ones do only now and then."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ProvenanceError, RegistryError, UnreadableError, VerificationError
from doit_provenance.provenance.oci.credentials import Credential, IdentityToken, Password
from doit_provenance.provenance.oci.layout import verify_layout
from doit_provenance.provenance.oci.model import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    encode,
)
from doit_provenance.provenance.oci.pull import fetch, pull, resolve
from doit_provenance.provenance.oci.reference import Reference
from doit_provenance.provenance.oci.registry import Challenge, Registry, read_challenges
from doit_provenance.provenance.oci.writer import LayoutWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

LAYER = bytes(range(256)) * 20_000
TEA = Password(user="tea", secret="hunter2")  # noqa: S106 - the test's own
BASIC = "Basic dGVhOmh1bnRlcjI="


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the server answers with.

    Attributes:
        cut: how many bytes of the body are sent before the connection breaks.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the server saw."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Server(ThreadingHTTPServer):
    """A registry on loopback: blobs and manifests by path, and answers that go before them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.held: dict[str, Said] = {}
        self.asked: list[Asked] = []
        self.before: Callable[[Asked], Said | None] = lambda _: None

    def add(self, data: bytes, media_type: str, *, tag: str | None = None) -> Descriptor:
        found = Descriptor.of(data, media_type)
        kind = "manifests" if media_type in {OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST} else "blobs"
        said = Said(headers={"Content-Type": media_type, "Docker-Content-Digest": found.digest}, body=data)
        for name in (found.digest, *([tag] if tag else [])):
            self.held[f"/v2/pot/tea/{kind}/{name}"] = said
        return found

    def image(self, *, tag: str | None = "1", layer: bytes = LAYER, media_type: str = OCI_MANIFEST) -> Descriptor:
        config = self.add(b'{"os": "linux", "architecture": "amd64"}', OCI_CONFIG)
        layers = [self.add(layer, OCI_LAYER)]
        document = {"schemaVersion": 2, "mediaType": media_type, "config": config.to_json()}
        return self.add(encode({**document, "layers": [one.to_json() for one in layers]}), media_type, tag=tag)

    def index(self, *parts: Descriptor, tag: str = "1") -> Descriptor:
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [one.to_json() for one in parts]}
        return self.add(encode(document), OCI_INDEX, tag=tag)

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has heard enough."""

    def answer(self, asked: Asked) -> Said:
        self.asked.append(asked)
        found = self.before(asked) or self.held.get(asked.path)
        return found or Said(status=404, body=b'{"errors": [{"code": "NAME_UNKNOWN", "message": "no\\u001b[2J tea"}]}')


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = Asked(method=self.command, path=self.path, headers=dict(self.headers), body=self.rfile.read(length))
        said = self.server.answer(asked)
        self.send_response(said.status)
        for name, value in said.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in said.headers:
            self.send_header("Content-Length", str(len(said.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body[: said.cut])
        if said.cut is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with _running() as found:
        yield found


@dataclass(kw_only=True)
class Client:
    """One who asks, and how long they waited in between."""

    server: Server
    credential: Credential | None = None
    waited: list[float] = field(default_factory=list)

    def reference(self, text: str = "pot/tea:1") -> Reference:
        return Reference.parse(f"{self.server.host}/{text}")

    @contextmanager
    def registry(self) -> Iterator[Registry]:
        with Registry(credential=lambda _: self.credential, sleep=self.waited.append) as found:
            yield found

    def resolve(self, text: str = "pot/tea:1") -> Descriptor:
        with self.registry() as registry:
            return resolve(registry, self.reference(text))

    def pull(self, folder: Path, root: Descriptor) -> None:
        writer = LayoutWriter(folder)
        with self.registry() as registry:
            pull(registry, self.reference(), root, writer)
        writer.finish(root)


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server=server)


def once(path: str, *answers: Said) -> Callable[[Asked], Said | None]:
    """Answer requests whose path has `path` with these, one after the other, and then no more."""
    left = list(answers)
    return lambda asked: left.pop(0) if left and path in asked.path else None


class TestResolve:
    def test_from_the_headers_alone(self, server: Server, client: Client) -> None:
        image = server.image()
        assert client.resolve() == image
        assert [one.method for one in server.asked] == ["HEAD"]

    @pytest.mark.parametrize(
        "missing", [{"Docker-Content-Digest": ""}, {"Content-Length": "0"}, {"Content-Type": "text/plain"}]
    )
    def test_from_the_bytes_where_headers_do_not_say_it(
        self, server: Server, client: Client, missing: Mapping[str, str]
    ) -> None:
        image = server.image()
        said = server.held["/v2/pot/tea/manifests/1"]
        poor = Said(headers={**said.headers, **missing}, body=said.body)
        whole = Said(headers={**said.headers, **missing, "Content-Length": str(image.size)}, body=said.body)
        server.before = lambda asked: poor if asked.method == "HEAD" else whole
        assert client.resolve() == image

    def test_an_index(self, server: Server, client: Client) -> None:
        index = server.index(server.image(tag=None))
        assert client.resolve() == index

    def test_another_image_under_a_digest(self, server: Server, client: Client) -> None:
        image = server.image()
        digest = f"sha256:{'0' * 64}"
        server.held[f"/v2/pot/tea/manifests/{digest}"] = server.held["/v2/pot/tea/manifests/1"]
        with pytest.raises(VerificationError, match=f"sent other bytes .*: {image.digest}"):
            client.resolve(f"pot/tea:1@{digest}")

    def test_an_image_of_dockers_first_format(self, server: Server, client: Client) -> None:
        kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
        server.held["/v2/pot/tea/manifests/1"] = Said(headers={"Content-Type": kind}, body=b'{"schemaVersion": 1}')
        with pytest.raises(UnreadableError, match="docker's first format"):
            client.resolve()

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"schemaVersion": 2}', b" " * (5 << 20)])
    def test_what_is_no_manifest(self, server: Server, client: Client, body: bytes) -> None:
        server.held["/v2/pot/tea/manifests/1"] = Said(headers={"Content-Type": OCI_MANIFEST}, body=body)
        with pytest.raises(UnreadableError):
            client.resolve()


class TestPull:
    def test_the_bytes_are_the_registrys(self, server: Server, client: Client, tmp_path: Path) -> None:
        image = server.image()
        client.pull(tmp_path / "image", image)
        found = verify_layout(tmp_path / "image")
        assert found.descriptor == image
        assert (tmp_path / "image/blobs/sha256" / image.sha256).read_bytes() == server.held[
            "/v2/pot/tea/manifests/1"
        ].body

    def test_every_platform_of_an_index(self, server: Server, client: Client, tmp_path: Path) -> None:
        index = server.index(server.image(tag=None), server.image(tag=None, layer=b"other", media_type=DOCKER_MANIFEST))
        client.pull(tmp_path / "image", index)
        assert verify_layout(tmp_path / "image").descriptor == index
        blobs = [one.path for one in server.asked if "/blobs/" in one.path]
        assert len(blobs) == len(set(blobs)) == 3

    def test_one_platform_of_an_index(self, server: Server, client: Client, tmp_path: Path) -> None:
        server.index(server.image(tag=None), server.image(tag=None, layer=b"other"))
        root = client.resolve()
        with client.registry() as registry:
            index = fetch(registry, client.reference(), root)
        assert isinstance(index, Index)
        client.pull(tmp_path / "image", index.manifests[1])
        assert verify_layout(tmp_path / "image").descriptor == index.manifests[1]

    @pytest.mark.parametrize("body", [LAYER[:-1], LAYER + b"!", b"!" + LAYER[1:], b""])
    def test_a_blob_that_lies(self, server: Server, client: Client, tmp_path: Path, body: bytes) -> None:
        image, layer = server.image(), Descriptor.of(LAYER, OCI_LAYER)
        server.held[f"/v2/pot/tea/blobs/{layer.digest}"] = Said(body=body)
        with pytest.raises(VerificationError, match=layer.digest):
            client.pull(tmp_path / "image", image)
        assert not (tmp_path / "image/index.json").exists()
        assert not (tmp_path / "image/blobs/sha256" / layer.sha256).exists()

    def test_a_manifest_that_lies(self, server: Server, client: Client, tmp_path: Path) -> None:
        image, other = server.image(), server.image(layer=b"other", tag=None)
        server.held[f"/v2/pot/tea/manifests/{image.digest}"] = server.held[f"/v2/pot/tea/manifests/{other.digest}"]
        with pytest.raises(VerificationError, match=image.digest):
            client.pull(tmp_path / "image", image)

    def test_indexes_without_end(self, server: Server, client: Client, tmp_path: Path) -> None:
        found = server.image(tag=None)
        for _ in range(5):
            found = server.index(found)
        with pytest.raises(RegistryError, match="indexes more than 4 deep"):
            client.pull(tmp_path / "image", found)

    def test_compressed_on_the_way(self, server: Server, client: Client, tmp_path: Path) -> None:
        """A registry's own compression would hide the bytes that the digest is of: it is not asked for nor undone."""
        image, layer = server.image(), Descriptor.of(LAYER, OCI_LAYER)
        path = f"/v2/pot/tea/blobs/{layer.digest}"
        server.held[path] = Said(headers={"Content-Encoding": "gzip"}, body=LAYER)
        client.pull(tmp_path / "image", image)
        (asked,) = [one for one in server.asked if one.path == path]
        assert asked.headers["Accept-Encoding"] == "identity"

    @pytest.mark.parametrize("parts", [True, False])
    def test_a_connection_that_breaks(self, server: Server, client: Client, tmp_path: Path, *, parts: bool) -> None:
        image, layer = server.image(), Descriptor.of(LAYER, OCI_LAYER)
        at = 3_000_000

        def rest(asked: Asked) -> Said | None:
            if f"blobs/{layer.digest}" not in asked.path:
                return None
            start = asked.headers.get("Range", "")
            if not start:
                return Said(body=LAYER, cut=at)
            begun = int(start.removeprefix("bytes=").removesuffix("-"))
            assert 0 < begun <= at
            return Said(status=206, body=LAYER[begun:]) if parts else Said(body=LAYER)

        server.before = rest
        client.pull(tmp_path / "image", image)
        verify_layout(tmp_path / "image")

    def test_a_connection_that_breaks_for_ever(self, server: Server, client: Client, tmp_path: Path) -> None:
        image, layer = server.image(), Descriptor.of(LAYER, OCI_LAYER)
        server.before = lambda asked: Said(body=LAYER, cut=1000) if layer.digest in asked.path else None
        with pytest.raises(RegistryError, match="can't talk to"):
            client.pull(tmp_path / "image", image)
        assert len([one for one in server.asked if layer.digest in one.path]) == 4


class TestFailures:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_again(self, server: Server, client: Client, status: int) -> None:
        image = server.image()
        server.before = once("manifests", Said(status=status), Said(status=status), Said(status=status))
        assert client.resolve() == image
        assert client.waited == [0.5, 1.0, 2.0]

    def test_as_long_as_the_registry_asks_for(self, server: Server, client: Client) -> None:
        server.image()
        server.before = once("manifests", Said(status=429, headers={"Retry-After": "7"}))
        client.resolve()
        assert client.waited == [7.0]

    def test_but_not_for_ever(self, server: Server, client: Client) -> None:
        server.before = lambda _: Said(status=503)
        with pytest.raises(RegistryError, match="answered 503 Service Unavailable"):
            client.resolve()
        assert len(server.asked) == 4

    def test_nor_for_hours(self, server: Server, client: Client) -> None:
        server.before = lambda _: Said(status=429, headers={"Retry-After": "21600"})
        with pytest.raises(RegistryError) as caught:
            client.resolve()
        assert caught.value.hint is not None
        assert "try again in 21600 seconds" in caught.value.hint
        assert client.waited == []

    def test_what_will_not_pass_is_not(self, server: Server, client: Client) -> None:
        with pytest.raises(RegistryError) as caught:
            client.resolve()
        assert caught.value.message == f"`{server.host}` has no `{server.host}/pot/tea:1`"
        assert len(server.asked) == 1

    def test_the_registrys_own_words_are_safe_to_print(self, client: Client, tmp_path: Path) -> None:
        with pytest.raises(RegistryError) as caught:
            client.pull(tmp_path / "image", Descriptor.of(b"none", OCI_MANIFEST))
        assert r"`no\x1b[2J tea`" in caught.value.message

    def test_nobody_answers(self, client: Client) -> None:
        client.server.server_close()
        with pytest.raises(RegistryError, match=r"can't talk to `127\.0\.0\.1:\d+`: .*refused"):
            client.resolve()
        assert client.waited == [0.5, 1.0, 2.0]

    def test_no_such_host(self) -> None:
        waited: list[float] = []
        with (
            Registry(credential=lambda _: None, sleep=waited.append) as registry,
            pytest.raises(RegistryError) as caught,
        ):
            resolve(registry, Reference.parse("no-such-host.invalid/tea"))
        assert "Errno" not in caught.value.message
        assert "can be reached from here" in str(caught.value.hint)

    def test_an_answer_without_sense(self, server: Server, client: Client) -> None:
        server.before = lambda _: Said(status=418, body=b"\xff" * 100_000)
        with pytest.raises(RegistryError, match="answered 418"):
            client.resolve()


class TestRedirections:
    def test_who_one_is_stays_behind(self, server: Server, client: Client, tmp_path: Path) -> None:
        image, layer = server.image(), Descriptor.of(LAYER, OCI_LAYER)
        client.credential = TEA
        with _running() as elsewhere:
            elsewhere.held["/there?x=1"] = Said(body=LAYER)

            def before(asked: Asked) -> Said | None:
                if asked.headers.get("Authorization") != BASIC:
                    return Said(status=401, headers={"WWW-Authenticate": "Basic"})
                if layer.digest in asked.path:
                    return Said(status=307, headers={"Location": f"http://{elsewhere.host}/there?x=1"})
                return None

            server.before = before
            client.pull(tmp_path / "image", image)
            (asked,) = elsewhere.asked
            assert "Authorization" not in asked.headers

    def test_elsewhere_nobody_is_told_who_one_is(self, server: Server, client: Client) -> None:
        client.credential = TEA
        with _running() as elsewhere:
            elsewhere.before = lambda _: Said(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            server.before = lambda _: Said(status=307, headers={"Location": f"http://{elsewhere.host}/x"})
            with pytest.raises(RegistryError, match="does not let you read"):
                client.resolve()
            assert [one.headers.get("Authorization") for one in elsewhere.asked] == [None]

    def test_on_the_same_host(self, server: Server, client: Client) -> None:
        image = server.image()
        server.before = once(
            "manifests/1", Said(status=308, headers={"Location": f"/v2/pot/tea/manifests/{image.digest}"})
        )
        assert client.resolve() == image

    @pytest.mark.parametrize("target", ["http://example.com/x?sig=hunter2", "file:///etc/passwd", "//u:hunter2@h/x"])
    def test_never_without_tls(self, server: Server, client: Client, target: str) -> None:
        server.before = lambda _: Said(status=307, headers={"Location": target})
        with pytest.raises(RegistryError, match="which is not an `https://` address") as caught:
            client.resolve()
        assert "hunter2" not in str(caught.value)

    def test_round_and_round(self, server: Server, client: Client) -> None:
        server.before = lambda asked: Said(status=307, headers={"Location": asked.path})
        with pytest.raises(RegistryError, match="redirects more than 5 times"):
            client.resolve()


def _tokens(server: Server, *, valid: str = "t1") -> Callable[[Asked], Said | None]:
    """Let in who has the token, and give it away at `/token`."""

    def before(asked: Asked) -> Said | None:
        if asked.path.startswith("/token"):
            return Said(body=json.dumps({"token": valid}).encode())
        if asked.headers.get("Authorization") == f"Bearer {valid}":
            return None
        challenge = f'Bearer realm="http://{server.host}/token",service="pot",scope="repository:pot/tea:pull,push"'
        return Said(status=401, headers={"WWW-Authenticate": challenge})

    return before


class TestAuthorization:
    def test_basic(self, server: Server, client: Client) -> None:
        image, client.credential = server.image(), TEA
        server.before = lambda asked: (
            None
            if asked.headers.get("Authorization") == BASIC
            else Said(status=401, headers={"WWW-Authenticate": "Basic"})
        )
        assert client.resolve() == image

    def test_who_is_nobody(self, server: Server, client: Client) -> None:
        server.before = lambda _: Said(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        with pytest.raises(RegistryError) as caught:
            client.resolve()
        assert caught.value.hint == f"`docker login {server.host}` with a user who may read it"
        assert len(server.asked) == 1

    def test_wrong_password(self, server: Server, client: Client) -> None:
        client.credential = TEA
        server.before = lambda _: Said(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        with pytest.raises(RegistryError, match="does not let you read `pot/tea`") as caught:
            client.resolve()
        assert "hunter2" not in str(caught.value)
        assert len(server.asked) == 2

    @pytest.mark.parametrize("header", ["", "Negotiate", "%%"])
    def test_unknown_ways(self, server: Server, client: Client, header: str) -> None:
        client.credential = TEA
        server.before = lambda _: Said(status=401, headers={"WWW-Authenticate": header})
        with pytest.raises(RegistryError, match="unsupported authentication scheme"):
            client.resolve()

    @pytest.mark.parametrize(("credential", "sent"), [(None, None), (TEA, BASIC)])
    def test_token(self, server: Server, client: Client, credential: Credential | None, sent: str | None) -> None:
        image, client.credential = server.image(), credential
        server.before = _tokens(server)
        assert client.resolve() == image
        (asked,) = [one for one in server.asked if one.path.startswith("/token")]
        assert asked.headers.get("Authorization") == sent
        fields = parse_qs(urlsplit(asked.path).query)
        assert (fields["scope"], fields["service"]) == (["repository:pot/tea:pull"], ["pot"])

    def test_token_for_a_token(self, server: Server, client: Client) -> None:
        image, client.credential = server.image(), IdentityToken(secret="i1")  # noqa: S106 - the test's own
        server.before = _tokens(server)
        assert client.resolve() == image
        (asked,) = [one for one in server.asked if one.path.startswith("/token")]
        fields = parse_qs(asked.body.decode())
        assert (asked.method, fields["grant_type"], fields["refresh_token"]) == ("POST", ["refresh_token"], ["i1"])

    def test_one_token_for_many_requests_and_a_new_one_when_it_expires(
        self, server: Server, client: Client, tmp_path: Path
    ) -> None:
        image = server.image()
        server.before = _tokens(server)
        with client.registry() as registry:
            resolve(registry, client.reference())
            server.before = _tokens(server, valid="t2")
            pull(registry, client.reference(), image, LayoutWriter(tmp_path / "image"))
        assert len([one for one in server.asked if one.path.startswith("/token")]) == 2

    @pytest.mark.parametrize(
        "realm", ["http://example.com/token", "http://localhost:x@example.com/token", "token", "", "file:///etc/passwd"]
    )
    def test_no_secret_goes_to_a_realm_without_tls(self, server: Server, client: Client, realm: str) -> None:
        client.credential = TEA
        server.before = lambda _: Said(status=401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})
        with pytest.raises(RegistryError, match="which is not an `https://` address"):
            client.resolve()

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token": 1}', b'{"token": "a\\nb"}', b" " * (2 << 20)])
    def test_what_is_no_token(self, server: Server, client: Client, body: bytes) -> None:
        tokens = _tokens(server)
        server.before = lambda asked: Said(body=body) if asked.path.startswith("/token") else tokens(asked)
        with pytest.raises(RegistryError, match="gave no token"):
            client.resolve()

    def test_refused_token(self, server: Server, client: Client) -> None:
        tokens, client.credential = _tokens(server), TEA
        said = Said(status=401, body=b'{"errors": [{"code": "UNAUTHORIZED"}]}')
        server.before = lambda asked: said if asked.path.startswith("/token") else tokens(asked)
        with pytest.raises(RegistryError, match="does not let you read `pot/tea`: `UNAUTHORIZED`"):
            client.resolve()

    def test_nothing_of_the_users_netrc(
        self, server: Server, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.image()
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login tea password hunter2\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        client.resolve()
        assert "Authorization" not in server.asked[0].headers


def test_this_machine_is_reached_without_a_proxy(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = server.image()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client.resolve() == image


def test_others_are_reached_through_the_proxy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy sees where to, and who one is to it; what is said goes through it."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Proxy-Authorization')}")
            self.send_error(403)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://tea:hunter2@127.0.0.1:{proxy.server_address[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with (
            client.registry() as registry,
            pytest.raises(ProvenanceError, match=r"can't talk to `example\.com`") as caught,
        ):
            resolve(registry, Reference.parse("example.com/tea"))
        proxy.shutdown()
        thread.join()
    assert asked == [f"example.com:443 {BASIC}"]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Basic", [("basic", {})]),
        ('Basic realm="tests"', [("basic", {"realm": "tests"})]),
        (
            'Bearer realm="https://a.io/token",service="a.io",scope="repository:x:pull,push"',
            [("bearer", {"realm": "https://a.io/token", "service": "a.io", "scope": "repository:x:pull,push"})],
        ),
        ('BEARER Realm = "a\\"b" , Service=x', [("bearer", {"realm": 'a"b', "service": "x"})]),
        (
            'Basic realm="x", Bearer realm="y", service="z"',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})],
        ),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        ('Bearer realm="unfinished', [("bearer", {})]),
        ("=;", []),
    ],
)
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert list(read_challenges(header)) == [Challenge(scheme=scheme, parameters=given) for scheme, given in found]


@given(header=st.text(alphabet='aB=", \\\t1', max_size=200))
def test_any_challenge_is_read(header: str) -> None:
    assert all(one.scheme for one in read_challenges(header))


def test_a_long_challenge_takes_no_time() -> None:
    first, rest = read_challenges("Bearer " + "a" * 1_000_000)
    assert first == Challenge(scheme="bearer", parameters={})
    assert len(rest.scheme) < 10_000
