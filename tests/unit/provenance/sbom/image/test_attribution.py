"""Who explains which file."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from doit_provenance.provenance.sbom.image.attribution import AttributedTo

SHELL = b"#!/bin/sh\necho tea\n"
SHA1 = base64.b64encode(hashlib.sha1(SHELL, usedforsecurity=False).digest()).decode()
APK = f"P:tea\nV:1\nA:x86_64\nF:bin\nR:tea\nZ:Q1{SHA1}\nF:etc\nR:tea.conf\nZ:Q1{SHA1}\n".encode()
DATABASE = {"lib/apk/db/installed": APK}
PURL = "pkg:apk/tea@1?arch=x86_64"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def by(found: Any) -> dict[str, tuple[AttributedTo, str | None]]:
    return {file.path: (file.attributed_to, file.name) for file in found.files}


def test_a_file_of_a_package(images: Any) -> None:
    found = by(images.survey(DATABASE | {"bin/tea": (SHELL, 0o755)}))
    assert found["bin/tea"] == (AttributedTo.SYSTEM, PURL)
    assert found["lib/apk/db/installed"] == (AttributedTo.METADATA, None)


def test_a_program_with_other_bytes_is_not_the_package_s(images: Any) -> None:
    """Whatever its name: a later layer put another one in its place."""
    found = images.survey(DATABASE | {"bin/tea": (SHELL, 0o755)}, {"bin/tea": (b"#!/bin/evil\n", 0o755)})
    (file,) = found.unexplained
    assert (file.path, file.attributed_to, file.altered, file.layer) == ("bin/tea", AttributedTo.NOBODY, PURL, 1)


def test_settings_are_there_to_be_changed(images: Any) -> None:
    assert by(images.survey(DATABASE | {"etc/tea.conf": b"other"}))["etc/tea.conf"] == (AttributedTo.SYSTEM, PURL)


def test_an_artifact_is_known_by_its_bytes_never_by_its_name(images: Any) -> None:
    known = {sha256(b"tea"): "cargo:tea@any", sha256(b""): "cargo:empty@any"}
    found = by(images.survey({"opt/other": b"tea", "opt/tea": b"another", "opt/empty": b""}, known=known))
    assert found == {
        "opt/other": (AttributedTo.ARTIFACT, "cargo:tea@any"),
        "opt/tea": (AttributedTo.NOBODY, None),
        "opt/empty": (AttributedTo.EMPTY, None),
    }


def test_an_artifact_in_the_place_of_a_package_s_file_is_the_artifact(images: Any) -> None:
    known = {sha256(b"mine"): "cargo:tea@any"}
    (file,) = [f for f in images.survey(DATABASE | {"bin/tea": b"mine"}, known=known).files if f.path == "bin/tea"]
    assert (file.attributed_to, file.name) == (AttributedTo.ARTIFACT, "cargo:tea@any")


def test_files_of_the_sources(images: Any) -> None:
    found = by(images.survey({"app/a.py": b"print()"}, sources={sha256(b"print()"): "src/a.py"}))
    assert found == {"app/a.py": (AttributedTo.SOURCE, "src/a.py")}


def test_that_an_empty_file_is_among_the_sources_explains_no_other(images: Any) -> None:
    found = by(images.survey({"etc/lock": b""}, sources={sha256(b""): "src/__init__.py"}))
    assert found == {"etc/lock": (AttributedTo.EMPTY, None)}


def test_python_and_what_it_compiled(images: Any) -> None:
    site = "usr/lib/python3/site-packages"
    good = base64.urlsafe_b64encode(hashlib.sha256(b"good").digest()).decode().rstrip("=")
    files = {
        f"{site}/tea-1.dist-info/METADATA": b"Name: tea\nVersion: 1\n",
        f"{site}/tea-1.dist-info/RECORD": f"tea/a.py,sha256={good},4\ntea/b.py,sha256={good},4\n".encode(),
        f"{site}/tea-1.dist-info/INSTALLER": b"pip\n",
        f"{site}/tea/a.py": b"good",
        f"{site}/tea/b.py": b"evil",
        f"{site}/tea/__pycache__/a.cpython-312.pyc": b"x",
        f"{site}/tea/__pycache__/a.cpython-312.opt-1.pyc": b"x",
        f"{site}/tea/__pycache__/other.cpython-312.pyc": b"x",
    }
    found = images.survey(files)
    assert {file.path.removeprefix(f"{site}/tea/") for file in found.unexplained} == {
        "b.py",
        "__pycache__/other.cpython-312.pyc",
    }
    assert {file.name for file in found.files if file.attributed_to is AttributedTo.LANGUAGE} == {"pkg:pypi/tea@1"}


def test_a_folder_is_the_nearest_package_s(images: Any) -> None:
    top = "app/node_modules/tea"
    found = by(
        images.survey(
            {
                f"{top}/package.json": b'{"name": "tea", "version": "1"}',
                f"{top}/bin/tool": (b"#!", 0o755),
                f"{top}/node_modules/leaf/package.json": b'{"name": "leaf", "version": "2"}',
                f"{top}/node_modules/leaf/x.node": b"\x7fELF",
                "app/index.js": b"tea()",
            }
        )
    )
    assert found[f"{top}/bin/tool"] == (AttributedTo.LANGUAGE, "pkg:npm/tea@1")
    assert found[f"{top}/node_modules/leaf/x.node"] == (AttributedTo.LANGUAGE, "pkg:npm/leaf@2")
    assert found["app/index.js"] == (AttributedTo.NOBODY, None)


def test_no_program_is_passed_over_as_metadata(images: Any) -> None:
    found = by(
        images.survey({"var/lib/dpkg/x": b"text", "var/lib/dpkg/y": (b"#!", 0o755), "var/cache/apt/z": b"\x7fELF"})
    )
    assert {path for path, (who, _) in found.items() if who is AttributedTo.NOBODY} == {
        "var/lib/dpkg/y",
        "var/cache/apt/z",
    }


def test_who_is_trusted_is_no_matter_of_metadata(images: Any) -> None:
    found = images.survey(
        {"etc/apk/keys/evil.pub": b"key", "etc/ssl/certs/ca-certificates.crt": b"ca", "etc/apk/world": b"x"}
    )
    assert {file.path for file in found.unexplained} == {"etc/apk/keys/evil.pub", "etc/ssl/certs/ca-certificates.crt"}


def test_what_a_later_layer_brings_is_of_no_package_that_does_not_know_its_bytes(images: Any) -> None:
    """A package that lists a file without a digest does not list the one that was put there since."""
    listed = {"lib/apk/db/installed": b"P:tea\nV:1\nA:x86_64\nF:bin\nR:tea\nF:usr/lib\nR:a.py\nF:etc\nR:c\n"}
    files = {"bin/tea": (SHELL, 0o755), "usr/lib/a.py": b"print()", "etc/c": b"1"}
    assert {file.attributed_to for file in images.survey(listed | files).files} == {
        AttributedTo.SYSTEM,
        AttributedTo.METADATA,
    }
    found = images.survey(
        listed | files, {"bin/tea": (b"#!/bin/evil", 0o755), "usr/lib/a.py": b"evil()", "etc/c": b"2"}
    )
    assert [(file.path, file.altered) for file in found.unexplained] == [("bin/tea", PURL), ("usr/lib/a.py", PURL)]
    again = images.survey(listed, files, listed)
    assert not again.unexplained


def test_what_a_later_layer_brings_into_a_folder_is_not_the_package_s(images: Any) -> None:
    package = {"app/node_modules/tea/package.json": b'{"name": "tea", "version": "1"}'}
    found = images.survey(package, {"app/node_modules/tea/x.node": b"\x7fELF"})
    assert [file.path for file in found.unexplained] == ["app/node_modules/tea/x.node"]


def test_a_program_is_not_compiled_from_a_module(images: Any) -> None:
    listed = {"lib/apk/db/installed": b"P:tea\nV:1\nA:x86_64\nF:usr/lib\nR:a.py\n", "usr/lib/a.py": b"x"}
    found = images.survey(listed | {"usr/lib/__pycache__/a.cpython-312.pyc": b"\x7fELF"})
    assert [file.path for file in found.unexplained] == ["usr/lib/__pycache__/a.cpython-312.pyc"]
