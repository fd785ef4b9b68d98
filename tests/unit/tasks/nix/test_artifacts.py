"""Nix's answer to packages, these to artifacts, and what can be wrong with them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import Nix
from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.artifacts import Form
from doit_provenance.tasks.nix.artifacts import artifacts_of, is_valid_name, package_errors, table_errors
from doit_provenance.tasks.nix.evaluation import Evaluation, images_of, read_answers
from doit_provenance.tasks.nix.expression import as_regex, of_file, of_flake

if TYPE_CHECKING:
    from doit_provenance.provenance.json import JSONValue

SYSTEM = "x86_64-linux"


def drv(name: str) -> str:
    return f"/s/{'0' * 32}-{name}.drv"


def said(*names: str, within: dict[str, list[str]] | None = None, **more: JSONValue) -> dict[str, JSONValue]:
    packages: dict[str, JSONValue] = {name: {"derivation": drv(name), "output": "out"} for name in names}
    listed: list[JSONValue] = [*names, "other"]
    contained: JSONValue = {of: [*those] for of, those in (within or {}).items()}
    return {
        "store": "/s",
        "packages": {SYSTEM: packages},
        "names": {SYSTEM: listed},
        "meta": [],
        "within": contained,
        **more,
    }


def evaluation(*names: str, within: dict[str, list[str]] | None = None) -> Evaluation:
    return read_answers([said(*names, within=within)])


@pytest.mark.parametrize(
    "glob", ["wash", "wash-*", "w?sh", "[vw]ash", "[!v]ash", "a.b", "a+b", "*", "[", "]", "[]]", "[!]]"]
)
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")  # which a POSIX expression does not have
def test_a_glob_is_the_same_to_nix(glob: str) -> None:
    """What Nix chooses by its regular expressions is what `fnmatch` chooses by globs."""
    for name in ("wash", "wash-oci", "vash", "ash", "a.b", "axb", "a+b", "aab", "[", "]", ""):
        assert bool(re.fullmatch(as_regex(glob), name)) == fnmatchcase(name, glob), (glob, name)


def test_texts_stay_texts() -> None:
    """Nothing that a configuration says is Nix's language."""
    assert r'"\${x}\"\\"' in of_flake([SYSTEM], [], []).replace("[ ]", "") + of_file(['${x}"\\'], ["a"])
    assert '{ name = "a.b"; path = [ "a" "b" ]; }' in of_file([SYSTEM], ["a.b"])


def test_an_answer_is_read() -> None:
    """Packages, names and what the evaluation says of outputs, from a flake and from a file."""
    meta: JSONValue = [{"paths": ["/s/o"], "name": "wash", "version": "1", "licences": ["MIT"]}]
    found = read_answers([said("wash", meta=meta), said("tool")])
    assert [(one.name, one.system, one.derivation, one.output) for one in found.packages] == [
        ("wash", SYSTEM, drv("wash"), "out"),
        ("tool", SYSTEM, drv("tool"), "out"),
    ]
    assert found.names == {SYSTEM: ["wash", "other", "tool", "other"]}
    assert (found.meta["/s/o"].name, found.meta["/s/o"].version, found.meta["/s/o"].licences) == ("wash", "1", ("MIT",))


@pytest.mark.parametrize(
    "answer", [None, [], {"packages": {SYSTEM: {"wash": None}}}, {"packages": {SYSTEM: {"a": {}}}}]
)
def test_another_answer_is_refused(answer: JSONValue) -> None:
    """What Nix was not asked for is an error, not a package."""
    with pytest.raises(ToolError, match="something else than it was asked for"):
        read_answers([answer])


@pytest.mark.parametrize(
    "derivation",
    ["--post-build-hook", "", "x", ".#x", "/s/x", "/s/wash.drv", f"/other{drv('x')}", drv("a\n"), drv("../x")],
)
def test_a_forged_derivation_is_refused(derivation: str) -> None:
    """A flake may call any set a derivation; what it says of one becomes a word of a command line."""
    forged: JSONValue = {SYSTEM: {"wash": {"derivation": derivation, "output": "out"}}}
    with pytest.raises(ToolError, match="says that its derivation is"):
        read_answers([said(packages=forged)])
    with pytest.raises(ToolError, match="says that its derivation is"):
        images_of(said(packages=forged), ("wash",))


@pytest.mark.parametrize("output", ["out,dev", "a b", "a\n", "é"])
def test_a_forged_output_is_refused(output: str) -> None:
    """So may it be with the name of an output."""
    forged: JSONValue = {SYSTEM: {"wash": {"derivation": drv("wash"), "output": output}}}
    with pytest.raises(ToolError, match="can't be the name of one"):
        read_answers([said(packages=forged)])


def test_artifacts_of_a_package() -> None:
    """One for a package, one for each file where several ship, and a layout for an image."""
    config = Nix(files=("wash/bin/wash", "wash/bin/wadm", "lib/lib/*.so"), images=("*-oci",))
    found = artifacts_of(config, evaluation("wash", "lib", "wash-oci", "leaf", within={drv("wash-oci"): [drv("wash")]}))
    assert [(one.artifact.id, one.artifact.file, one.pattern) for one in found] == [
        (f"nix:wash/wash@{SYSTEM}", "wash", "bin/wash"),
        (f"nix:wash/wadm@{SYSTEM}", "wadm", "bin/wadm"),
        (f"nix:lib@{SYSTEM}", "*.so", "lib/*.so"),
        (f"nix:leaf@{SYSTEM}", "*", None),
        (f"nix:wash-oci@{SYSTEM}", "image", None),
    ]
    assert found[-1].artifact.form is Form.IMAGE
    assert found[-1].artifact.upstream == (f"nix:wash/wash@{SYSTEM}", f"nix:wash/wadm@{SYSTEM}")
    assert {one.artifact.group for one in found} == {f"nix:{SYSTEM}"}


def test_only_images_are_asked_what_they_are_made_of() -> None:
    """It takes a call of Nix for each."""
    assert images_of(said("wash", "a-oci", "b-oci"), ("*-oci",)) == [drv("a-oci"), drv("b-oci")]


MISTAKES = {
    "packages": (
        Nix(packages=("wsh",)),
        "nix.packages[0]: `wsh` matches no package of the flake for x86_64-linux; did you",
    ),
    "images": (Nix(images=("x",)), "nix.images[0]: `x` matches no package that ships"),
    "files": (Nix(files=("x/y",)), "nix.files[0]: `x` matches no package that ships"),
    "both": (Nix(files=("wash/x",), images=("wash",)), "nix.files: `wash` is one of `nix.images`"),
    "twice": (
        Nix(files=("wash/a/x", "wash/b/x")),
        "nix.files: `a/x` and `b/x` would both be the artifact `nix:wash/x`",
    ),
    "nameless": (Nix(files=("wash/a", "wash/*")), "nix.files: `*` names its artifact by wildcards alone"),
    "folder": (Nix(files=("wash/oci", "wash/x")), "`nix:wash-oci` and `nix:wash/oci` would have one folder"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(case: str) -> None:
    """Each is one line with its place."""
    config, line = MISTAKES[case]
    found = list(package_errors(config, evaluation("wash", "wash-oci")))
    assert len(found) == 1
    assert line in found[0]


def test_what_is_no_derivation_is_a_mistake() -> None:
    """So is a name that no artifact can have, and one that a flake and a file both have."""
    none: JSONValue = {
        SYSTEM: {"set": {"derivation": None, "output": ""}, "a@b": {"derivation": drv("x"), "output": "out"}}
    }
    lines = "\n".join(package_errors(Nix(), read_answers([said(packages=none)])))
    assert "`set` of x86_64-linux is no derivation" in lines
    assert "`a@b` can't be part of an artifact's id" in lines
    assert "the name of a package of the flake too" in next(
        package_errors(Nix(), read_answers([said("wash"), said("wash")]))
    )
    assert is_valid_name("wash_1.0+x'")
    assert not any(map(is_valid_name, (".", "..", "", "a/b", "a b", "a*")))


def test_files_and_attributes_belong_together() -> None:
    """One without the other ships nothing."""
    assert list(table_errors(Nix(file="default.nix"))) == ["nix.attributes: missing; it says what of `nix.file` ships"]
    assert next(table_errors(Nix(attributes=("wash",)))).startswith("nix.file: missing")
    assert list(table_errors(Nix(file="default.nix", attributes=("wash",)))) == []
