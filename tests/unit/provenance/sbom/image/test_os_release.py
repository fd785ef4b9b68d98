from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.image.os_release import read
from doit_provenance.provenance.sbom.inventory import Kind, Role


def test_reads_what_shells_read() -> None:
    """Quotes of both kinds, escapes, comments, and nothing of what is no assignment."""
    text = rb"""# made by hand
NAME="Tea \"Strong\" Linux"
ID=tea
VERSION_ID='3.19.1'
PRETTY_NAME="Tea v3.19"
HOME_URL="https://tea.example/"
exec rm -rf /
"""
    found = read(text)
    assert found is not None
    assert (found.id, found.version, found.qualifier) == ("tea", "3.19.1", "tea-3.19.1")
    assert (found.supplier.name, found.supplier.url) == ('Tea "Strong" Linux', "https://tea.example/")
    component = found.component
    assert (component.kind, component.role, component.ref) == (Kind.OPERATING_SYSTEM, Role.CONTAINED, "os:tea@3.19.1")
    assert component.description == "Tea v3.19"


def test_a_rolling_distribution_has_no_version() -> None:
    found = read(b"ID=arch\n")
    assert found is not None
    assert (found.qualifier, found.version, found.component.version) == ("arch", None, None)


@pytest.mark.parametrize("data", [b"", b"NAME=Tea\n", b"ID='a b'\n", b"ID=../x\n", b"\xff\xfe", b"ID=\n"])
def test_names_no_distribution(data: bytes) -> None:
    assert read(data) is None
