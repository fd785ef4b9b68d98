from __future__ import annotations

import pytest

from doit_provenance.provenance.sbom.inventory import Kind, Role
from doit_provenance.provenance.sbom.program.go import linked

TEXT = """path\ttea.example/pot/cmd/pour
mod\ttea.example/pot\tv1.2.3\t
dep\tgithub.com/Leaf/leaf\tv0.1.0\th1:abc=
dep\twater\tv1.0.0
=>\tgithub.com/spring/water\tv1.0.1\th1:def=
dep\tlocal\tv0.0.0
=>\t./local\t(devel)\t
build\t-compiler=gc
build\tGOOS=linux
build\tvcs.revision=c0ffee
"""


def test_empty_lines_mean_nothing() -> None:
    """Go 1.26 writes one behind a module that a folder stands in for."""
    text = TEXT.replace("(devel)\t\n", "(devel)\t\n\n")
    assert text != TEXT
    assert linked("go1.26.1", text) == linked("go1.26.1", TEXT)


def test_modules() -> None:
    found = linked("go1.26.1 X:boringcrypto", TEXT)
    assert (found.main.name, found.main.version, found.main.purl) == (
        "tea.example/pot",
        "v1.2.3",
        "pkg:golang/tea.example/pot@v1.2.3",
    )
    assert (found.main.kind, found.main.role) == (Kind.APPLICATION, Role.CONTAINED)
    assert found.main.properties == {
        "go:package": "tea.example/pot/cmd/pour",
        "go:GOOS": "linux",
        "go:vcs.revision": "c0ffee",
    }
    assert {(c.name, c.version) for c in found.components.values()} == {
        ("github.com/Leaf/leaf", "v0.1.0"),
        ("github.com/spring/water", "v1.0.1"),
        ("./local", None),
        ("stdlib", "1.26.1"),
    }
    assert found.uses == found.components.keys() == found.edges.keys()


def test_what_stands_in_for_a_module_is_what_is_in_it() -> None:
    (water,) = [c for c in linked("go1.26.1", TEXT).components.values() if c.name.endswith("water")]
    assert water.properties == {"go:sum": "h1:def=", "go:replaces": "water@v1.0.0"}
    assert water.role is Role.LINKED


def test_a_program_of_go_itself_has_no_module() -> None:
    found = linked("go1.26.1", "path\tcmd/go\nbuild\tCGO_ENABLED=0\n")
    assert (found.main.name, found.main.version) == ("cmd/go", None)


def test_a_main_module_that_stands_in_for_another_keeps_its_place() -> None:
    assert linked("go1.26.1", "path\ta\nmod\ta\t(devel)\t\n=>\tb\tv1\t\n").main.name == "a"


@pytest.mark.parametrize("text", ["", "nonsense\n", "mod\t\n", "path\ta\nmod\tb/\tv1\n", "path\ta\ndep\t\tv1\n"])
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        linked("go1.26.1", text)
