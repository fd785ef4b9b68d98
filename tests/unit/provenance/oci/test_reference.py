from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import UsageError
from doit_provenance.provenance.oci.reference import Reference, is_loopback, may_redirect, scheme, without_secrets

HEX = "a" * 64


@pytest.mark.parametrize(
    ("text", "whole", "host"),
    [
        ("debian", "docker.io/library/debian:latest", "registry-1.docker.io"),
        ("debian:12", "docker.io/library/debian:12", "registry-1.docker.io"),
        ("user/tea", "docker.io/user/tea:latest", "registry-1.docker.io"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "registry-1.docker.io"),
        ("docker.io/library/debian", "docker.io/library/debian:latest", "registry-1.docker.io"),
        ("localhost/tea", "localhost/tea:latest", "localhost"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1", "localhost:5000"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000"),
        ("Host/tea", "Host/tea:latest", "Host"),
        ("tea:1/2", "tea:1/2:latest", "tea:1"),
        ("ghcr.io/Owner".lower() + "/tea__pot:V1.2-x", "ghcr.io/owner/tea__pot:V1.2-x", "ghcr.io"),
        (f"ghcr.io/o/tea@sha256:{HEX}", f"ghcr.io/o/tea@sha256:{HEX}", "ghcr.io"),
        (f"ghcr.io/o/tea:1@sha256:{HEX}", f"ghcr.io/o/tea:1@sha256:{HEX}", "ghcr.io"),
    ],
)
def test_what_docker_takes_for_granted(text: str, whole: str, host: str) -> None:
    found = Reference.parse(text)
    assert (str(found), found.host) == (whole, host)
    assert Reference.parse(whole) == found


def test_a_digest_decides() -> None:
    assert Reference.parse(f"tea:1@sha256:{HEX}").wanted == f"sha256:{HEX}"
    assert Reference.parse("tea:1").wanted == "1"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a repository has"),
        ("UPPER", "a repository has"),
        ("ghcr.io/Owner/x", "a repository has"),
        ("a//b", "a repository has"),
        ("a/../b", "a repository has"),
        ("a..b", "a repository has"),
        ("tea pot", "a repository has"),
        ("tea:", "a tag has"),
        ("tea:-1", "a tag has"),
        ("tea:" + "1" * 129, "a tag has"),
        ("tea@sha256:abc", "a digest is"),
        (f"tea@sha512:{HEX}{HEX}", "a digest is"),
        (f"tea@sha256:{HEX.upper()}", "a digest is"),
        (HEX, "a digest has `sha256:` before it"),
        ("https://ghcr.io/tea", "is not a host name"),
        ("user@ghcr.io/tea", "a digest is"),
        ("ghcr.io:port/tea", "is not a host name"),
        ("-x.io/tea", "is not a host name"),
        ("ghcr.io/" + "a" * 248, "255 characters at most"),
        ("a" * 2000, "too long"),
        ("tea:1\n", "a tag has"),
        ("tea\n", "a repository has"),
    ],
)
def test_what_is_no_reference(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(text)
    assert reason in caught.value.message


@given(text=st.text(max_size=80))
def test_whatever_is_read_reads_the_same_again(text: str) -> None:
    try:
        found = Reference.parse(text)
    except UsageError:
        return
    assert Reference.parse(str(found)) == found
    assert not set(found.repository) & set(" ?#%\\@:")


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
def test_where_an_address_may_redirect(source: str, target: str, may: bool) -> None:  # noqa: FBT001 - a table's column
    assert may_redirect(source, target) is may


def test_no_secret_is_shown() -> None:
    assert without_secrets("https://user:hunter2@a.io:1/x?token=hunter2#hunter2") == "https://a.io:1/x"
