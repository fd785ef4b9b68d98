from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.oci.challenge import Challenge, read_challenges


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
def test_headers(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert list(read_challenges(header)) == [Challenge(scheme=scheme, parameters=given) for scheme, given in found]


@given(header=st.text(alphabet='aB=", \\\t1', max_size=200))
def test_any_text_is_read(header: str) -> None:
    assert all(one.scheme for one in read_challenges(header))


def test_a_long_header_takes_no_time() -> None:
    first, rest = read_challenges("Bearer " + "a" * 1_000_000)
    assert first == Challenge(scheme="bearer", parameters={})
    assert len(rest.scheme) < 10_000
