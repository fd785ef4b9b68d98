"""Language runtimes as official images have them."""

from __future__ import annotations

from typing import Any

import pytest

from doit_provenance.provenance.sbom.image import runtime
from doit_provenance.provenance.sbom.image.attribution import AttributedTo
from doit_provenance.provenance.sbom.package import Package, Unread

PYTHON = b'/* Version */\n#define PY_MAJOR_VERSION\t3\n#define PY_VERSION      \t"3.12.1"\n'
NODE = b"#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 11\n#define NODE_PATCH_VERSION 1\n"
JAVA = b'IMPLEMENTOR="Eclipse Adoptium"\nJAVA_RUNTIME_VERSION="17.0.9+9"\nJAVA_VERSION="17.0.9"\n'
HEADER = "usr/local/include/python3.12/patchlevel.h"


@pytest.mark.parametrize(
    ("path", "data", "purl", "folder"),
    [
        (HEADER, PYTHON, "pkg:generic/python@3.12.1", "usr/local/lib/python3.12"),
        ("usr/local/include/node/node_version.h", NODE, "pkg:generic/node@20.11.1", "usr/local/include/node"),
        ("usr/local/go/VERSION", b"go1.26.1\ntime 2026-01-01T00:00:00Z\n", "pkg:generic/go@1.26.1", "usr/local/go"),
        ("opt/java/openjdk/release", JAVA, "pkg:generic/openjdk@17.0.9%2B9", "opt/java/openjdk"),
        ("opt/jdk-17/release", JAVA, "pkg:generic/openjdk@17.0.9%2B9", "opt/jdk-17"),
    ],
)
def test_versions(path: str, data: bytes, purl: str, folder: str) -> None:
    assert runtime.WANTED.fullmatch(path)
    (found,) = runtime.read({path: data}, None)
    assert isinstance(found, Package)
    assert (found.component.purl, found.folder, found.database, found.system) == (purl, folder, path, False)


@pytest.mark.parametrize(("path", "data"), [(HEADER, b"nothing"), ("include/node/node_version.h", NODE[:-40])])
def test_a_header_without_a_version_is_told(path: str, data: bytes) -> None:
    (found,) = runtime.read({path: data}, None)
    assert isinstance(found, Unread)


@pytest.mark.parametrize(
    ("path", "data"), [("app/go/VERSION", b"1.0\n"), ("app/go/VERSION", b"\xff"), ("opt/jdk/release", b"stable\n")]
)
def test_what_others_call_so_is_none(path: str, data: bytes) -> None:
    assert list(runtime.read({path: data}, None)) == []


def test_its_files_are_its_own_and_what_is_installed_into_it_is_not(images: Any) -> None:
    lib = "usr/local/lib/python3.12"
    found = images.survey(
        {
            HEADER: PYTHON,
            "usr/local/bin/python3.12": (b"\x7fELF", 0o755),
            f"{lib}/os.py": b"x",
            f"{lib}/site-packages/stray.py": b"y",
            "usr/local/bin/other": (b"\x7fELF.", 0o755),
        }
    )
    assert {file.path for file in found.unexplained} == {f"{lib}/site-packages/stray.py", "usr/local/bin/other"}
    assert {file.attributed_to for file in found.files} == {AttributedTo.LANGUAGE, AttributedTo.NOBODY}


def test_a_packaged_runtime_is_the_package_alone(images: Any) -> None:
    header = "usr/include/python3.12/patchlevel.h"
    apk = b"P:python3\nV:3.12.1-r0\nA:x86_64\nF:usr/include/python3.12\nR:patchlevel.h\n"
    found = images.survey({header: PYTHON, "lib/apk/db/installed": apk}).scan
    assert [package.component.name for package in found.packages] == ["python3"]
