from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.image import python
from doit_provenance.provenance.sbom.package import Package, Unread

SITE = "usr/lib/python3.12/site-packages"
INFO = f"{SITE}/Tea_Pot-1.0.dist-info"
METADATA = b"""Metadata-Version: 2.4
Name: Tea.Pot
Version: 1.0
Summary: Serves tea
License-Expression: mit
Author-email: Ada Brewer <ada@tea.example>
Project-URL: Home Page, no address
Project-URL: Source, https://tea.example/src
Project-URL: Homepage, https://tea.example/
Requires-Dist: water>=1
Requires-Dist: Kettle_Lib[hot] (>2) ; python_version < "4"
Requires-Dist: sugar; extra == "sweet"

Name: not this one
"""
MIT = b"License :: OSI Approved :: MIT License\n"
RECORD = (
    b"tea/__init__.py,sha256=RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o,3\n"
    b'"tea/with,comma.py",,\n../../../bin/tea,md5=x,1\n'
    b"../../../../../../../../etc/x,,\nTea_Pot-1.0.dist-info/RECORD,,\n"
)


def read(files: dict[str, bytes]) -> list[Package | Unread]:
    assert all(map(python.WANTED.fullmatch, files))
    return list(python.read(files, None))


def test_a_distribution_with_its_record() -> None:
    (found,) = read({f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": RECORD})
    assert isinstance(found, Package)
    component = found.component
    assert (component.purl, component.name) == ("pkg:pypi/tea.pot@1.0", "Tea.Pot")
    assert (component.licence, component.description) == ("MIT", "Serves tea")
    assert (component.homepage, component.repository) == ("https://tea.example/", "https://tea.example/src")
    assert component.authors[0].email == "ada@tea.example"
    assert found.folder == INFO
    assert found.files == {
        f"{INFO}/METADATA": None,
        f"{INFO}/RECORD": None,
        f"{SITE}/tea/__init__.py": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        f"{SITE}/tea/with,comma.py": None,
        "usr/bin/tea": None,
        "etc/x": None,
    }


def test_requirements_without_extras() -> None:
    (found,) = read({f"{INFO}/METADATA": METADATA})
    assert isinstance(found, Package)
    assert found.requires == (("pypi:water",), ("pypi:kettle-lib",))
    assert found.provides == {"pypi:tea-pot"}


@pytest.mark.parametrize("path", ["x.egg-info/PKG-INFO", "x.egg-info"])
def test_what_setuptools_left(path: str) -> None:
    (found,) = read(
        {f"{SITE}/{path}": b"Name: tea\nVersion: 2\nLicense: UNKNOWN\nClassifier: " + MIT}
        | ({f"{SITE}/x.egg-info/installed-files.txt": b"../tea.py\n"} if "/" in path else {})
    )
    assert isinstance(found, Package)
    assert found.component.licence == "MIT"
    assert found.files.keys() == {f"{SITE}/{path}", *([f"{SITE}/tea.py"] if "/" in path else [])}


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: The  MIT License", "MIT"),
        ("License: BSD", "LicenseRef-doit-provenance-BSD"),
        ("License: Apache-2.0", "Apache-2.0"),
        (f"License: {'permission is granted ' * 20}", None),
        ("License: MIT\n  and its text", None),
        ("Classifier: License :: OSI Approved :: Tea License", "LicenseRef-doit-provenance-Tea-License"),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: BSD License",
            None,
        ),
    ],
)
def test_declared_licences(text: str, licence: str | None) -> None:
    (found,) = read({f"{INFO}/METADATA": f"Name: tea\nVersion: 1\n{text}\n".encode()})
    assert isinstance(found, Package)
    if licence is None or not licence.startswith("LicenseRef"):
        assert found.component.licence == licence
    else:
        assert (found.component.licence or "").startswith(licence[:30])


@pytest.mark.parametrize("data", [b"", b"Name: tea\n", b"Version: 1\n", b"Name: ../x\nVersion: 1\n", b"\0\xff"])
def test_what_is_no_metadata_is_told(data: bytes) -> None:
    (found,) = read({f"{INFO}/METADATA": data})
    assert isinstance(found, Unread)
    assert found.path == f"{INFO}/METADATA"


def test_a_record_that_is_none_is_told() -> None:
    (found,) = read({f"{INFO}/METADATA": METADATA, f"{INFO}/RECORD": b"x" * 200_000})
    assert isinstance(found, Unread)
    assert found.path == f"{INFO}/RECORD"
