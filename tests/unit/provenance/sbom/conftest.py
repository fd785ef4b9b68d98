"""Inventories to write: the golden ones, and small ones of any content."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.provenance.sbom.reference import CycloneDXReference, Reference, SPDXReference

if TYPE_CHECKING:
    from collections.abc import Callable

_GOLDEN = Path(__file__).parent / "golden"
_NAMES = st.text(min_size=1, max_size=12).filter(lambda text: text.strip())
_ADDRESSES = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.from_regex(r"https?://[a-z.:@\[\]%-]{1,12}(/[ -~]{0,8})?", fullmatch=True),
    st.from_regex(r"git\+(https|ssh)://[a-z@.]{1,12}\.[a-z]{1,8}(/[a-z@]{0,8})?", fullmatch=True),
    st.sampled_from(["https://tea.example/x", "http://localhost:8000/x", "https://xn--tea-9la.example", "file:///x"]),
)
_PARTIES = st.builds(
    Party,
    name=st.one_of(_NAMES, st.sampled_from(["Tea (Example)", "(", ")", "a ( b", "a\nPerson: b"])),
    email=st.one_of(st.none(), st.text(max_size=8), st.just("ada@tea.example")),
    url=_ADDRESSES,
    person=st.booleans(),
)
_LICENCES = st.one_of(
    st.none(),
    st.text(max_size=16),
    st.sampled_from(
        ["MIT", "MIT/Apache-2.0", "MPL-2.0+ OR Zlib", "GPL-2.0", "Tea WITH LLVM-exception", "LicenseRef-x"]
    ),
)
_SHA256 = st.sampled_from(["0" * 64, "1" * 64])
_REFERENCES = st.builds(
    Reference,
    artifact=_NAMES,
    spdx=st.builds(
        SPDXReference,
        namespace=st.sampled_from(["https://spdx.org/spdxdocs/a", "https://spdx.org/spdxdocs/b"]),
        id=st.sampled_from(["SPDXRef-tea", "SPDXRef-pot.1"]),
        sha256=_SHA256,
    ),
    cyclonedx=st.builds(
        CycloneDXReference,
        serial=st.just("3e671687-395b-41f5-a30f-a58921a69b79"),
        version=st.integers(1, 3),
        ref=_NAMES,
        sha256=_SHA256,
    ),
)
_OTHER_ROLES = st.sampled_from([role for role in Role if role is not Role.SUBJECT])


@pytest.fixture(params=["teapot", "mug", "shop"])
def golden(request: pytest.FixtureRequest) -> Callable[[str], bytes]:
    """Return the bytes of the golden file `NAME.{argument}.json`."""
    return lambda kind: (_GOLDEN / f"{request.param}.{kind}.json").read_bytes()


@pytest.fixture
def teapot() -> Inventory:
    """Return an inventory with every role and nearly everything that an inventory can say."""
    return Inventory.from_json((_GOLDEN / "teapot.inventory.json").read_bytes())


@pytest.fixture(scope="session")
def inventories() -> st.SearchStrategy[Inventory]:
    """Inventories with up to four components, whatever their makers wrote."""
    return _inventories()


@st.composite
def _inventories(draw: st.DrawFn) -> Inventory:
    refs = draw(st.lists(st.text(min_size=1, max_size=8).filter(str.strip), min_size=1, max_size=5, unique=True))
    subject, *others = refs
    others.sort()
    edges = st.lists(st.sampled_from(others), max_size=3, unique=True) if others else st.just([])
    return Inventory(
        artifact=draw(_NAMES),
        digest=digest_bytes(draw(st.binary(max_size=4))),
        subject=draw(_components(subject, st.just(Role.SUBJECT))),
        components=tuple(draw(_components(ref, _OTHER_ROLES)) for ref in others),
        dependencies={ref: tuple(sorted(draw(edges))) for ref in refs},
        completeness=draw(st.sampled_from(Completeness)),
        note=draw(st.text(max_size=12)),
        created=draw(st.integers(0, 1 << 32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))),
        author=draw(_PARTIES),
        generator=("doit-provenance", "0.1.0"),
    )


def _components(ref: str, roles: st.SearchStrategy[Role]) -> st.SearchStrategy[Component]:
    texts = st.one_of(st.none(), st.text(max_size=12))
    return st.builds(
        Component,
        ref=st.just(ref),
        kind=st.sampled_from(Kind),
        role=roles,
        name=_NAMES,
        version=texts,
        purl=st.one_of(st.none(), st.just("pkg:cargo/tea@1.0.0")),
        hashes=st.dictionaries(st.just("sha256"), st.just("0" * 64)),
        licence=_LICENCES,
        supplier=st.one_of(st.none(), _PARTIES),
        authors=st.lists(_PARTIES, max_size=3).map(tuple),
        description=texts,
        homepage=_ADDRESSES,
        repository=_ADDRESSES,
        download=_ADDRESSES,
        filename=texts,
        sbom=st.one_of(st.none(), _REFERENCES),
        properties=st.dictionaries(_NAMES, st.text(max_size=8), max_size=2),
    )
