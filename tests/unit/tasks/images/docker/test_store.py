"""What an engine answers, played by a small server: a real one does not die when it is told to."""

from __future__ import annotations

import gc
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import StoreError, ToolError
from doit_provenance.tasks.images.docker import engine as store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "sha256:" + 64 * "a"


class _Engine(BaseHTTPRequestHandler):
    """Has the image `tea`, and breaks off while it sends `broken`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("/images/")[2]
        if self.path.endswith("/version"):
            self._say(200, {"ApiVersion": "1.44", "Version": "28"})
        elif path in {"tea/json", "broken/json"}:
            self._say(200, {"Id": ID if path == "tea/json" else "broken"})
        elif path.endswith("/get"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\r\npart\r\n" if path == "broken/get" else b"4\r\nwhol\r\n1\r\ne\r\n0\r\n\r\n")
            self.close_connection = True
        else:
            self._say(404, {"message": "No such image"})

    def _say(self, status: int, document: dict[str, str]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name for it
        """Say nothing."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Engine)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_image_is_saved_by_its_id(engine: HTTPServer, tmp_path: Path) -> None:
    assert engine.server_port
    assert store.image_id("tea") == ID
    assert store.save("tea", tmp_path / "x.tar") == ID
    assert (tmp_path / "x.tar").read_bytes() == b"whole"


def test_engine_that_dies_in_the_middle(engine: HTTPServer, tmp_path: Path) -> None:
    assert engine.server_port
    with pytest.raises(ToolError, match="the docker engine failed"):
        store.save("broken", tmp_path / "x.tar")


def test_image_that_it_does_not_have(engine: HTTPServer) -> None:
    assert engine.server_port
    with pytest.raises(ToolError, match="has no such image"):
        store.image_id("nothing")


def test_target_that_cannot_be_written(engine: HTTPServer, tmp_path: Path) -> None:
    assert engine.server_port
    with pytest.raises(StoreError, match="can't write"):
        store.save("tea", tmp_path / "no" / "x.tar")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("tcp://127.0.0.1:1", "Connection refused"),
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:x", "Port could not be cast to integer value"),
        ("kettle://tea", "Invalid bind address protocol"),
    ],
)
# The library leaves the socket open that could not be connected.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_no_engine(monkeypatch: pytest.MonkeyPatch, host: str, reason: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(ToolError, match=f"^no docker engine can be reached: {reason}"):
        store.image_id("tea")
    gc.collect()  # so that it is this test that hears of the socket
