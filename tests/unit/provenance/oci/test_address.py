from __future__ import annotations

import pytest

from doit_provenance.provenance.oci.address import bare, is_loopback, may_lead, scheme


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:5000", "127.9.9.9", "[::1]", "[::1]:5000"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)
    assert scheme(host) == "http"


@pytest.mark.parametrize(
    "host",
    [
        "ghcr.io",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "0.0.0.0:1",
        "[::]",
        "",
        "[",
        "localhost:x@e.com",
    ],
)
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)
    assert scheme(host) == "https"


@pytest.mark.parametrize(
    ("source", "target", "may"),
    [
        ("https://a.io/x", "https://b.io/y", True),
        ("https://a.io/x", "http://a.io/x", False),
        ("https://a.io/x", "http://127.0.0.1/x", False),
        ("http://127.0.0.1:1/x", "http://localhost:2/x", True),
        ("http://127.0.0.1:1/x", "http://b.io/x", False),
        ("http://localhost/x", "http://localhost:x@b.io/x", False),
        ("http://localhost/x", "http://127.0.0.1@b.io/x", False),
        ("https://a.io/x", "https://user:secret@b.io/x", False),
        ("https://a.io/x", "file:///etc/passwd", False),
        ("https://a.io/x", "https:///x", False),
        ("https://a.io/x", "https://b.io:99999/x", False),
        ("https://a.io/x", "https://[b/x", False),
        ("https://a.io/x", "", False),
    ],
)
def test_where_an_address_may_lead(source: str, target: str, may: bool) -> None:  # noqa: FBT001 - a table's column
    assert may_lead(source, target) is may


def test_no_secret_is_shown() -> None:
    assert bare("https://user:hunter2@a.io:1/x?token=hunter2#hunter2") == "https://a.io:1/x"
