"""What Nix answers of its store, in the forms of its versions; and which file of an output ships."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from doit_provenance.provenance.attest.resource import ResourceDescriptor
from doit_provenance.provenance.errors import BuildError, ToolError
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.nix import store
from doit_provenance.tasks.nix.artifacts import NixArtifact
from doit_provenance.tasks.nix.evaluation import NixPackage
from doit_provenance.tasks.nix.materials import materials
from doit_provenance.tasks.nix.output import file_name, path_of, place_of
from doit_provenance.tasks.nix.program import NixProgram
from doit_provenance.tasks.nix.store import NixFacts, Origin
from doit_provenance.tasks.nix.tree import LockedInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from doit_provenance.provenance.json import JSONValue
    from doit_provenance.tasks.context import Context

SRI = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="
HEX = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
NIX = NixProgram(path=Path("/bin/nix"), features=False)
CONTEXT = cast("Context", type("Bare", (), {"workspace": type("Bare", (), {"root": Path("/")})}))
INFO: dict[str, JSONValue] = {"narHash": SRI, "narSize": 8, "references": ["/s/b", "/s/a"], "signatures": ["k:x"]}
LEAF: dict[str, JSONValue] = {"narHash": SRI, "narSize": 8, "references": [], "ultimate": True}
OLD: dict[str, JSONValue] = {
    "outputs": {"out": {"path": "/s/o", "hashAlgo": "r:sha256", "hash": HEX}},
    "inputDrvs": {"/s/b.drv": ["out", "dev"]},
    "inputSrcs": ["/s/src"],
    "system": "x86_64-linux",
    "env": {"url": "https://example.com/x.tar.gz"},
}
NEW: dict[str, JSONValue] = {
    **{key: OLD[key] for key in ("system", "env")},
    "outputs": {"out": {"path": "o", "hashAlgo": "r:sha256", "hash": SRI}},
    "inputs": {"drvs": {"b.drv": {"outputs": ["out", "dev"], "dynamicOutputs": {}}}, "srcs": ["src"]},
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[JSONValue], list[list[str]]]:
    """Return what lets Nix answer something; that gives the calls."""

    def let(value: JSONValue) -> list[list[str]]:
        calls: list[list[str]] = []
        monkeypatch.setattr(store, "answer", lambda _, argv, **__: (calls.append(argv), value)[1])
        return calls

    return let


@pytest.mark.parametrize("as_object", [False, True])
def test_what_a_failed_build_left_is_no_path(
    answers: Callable[[JSONValue], list[list[str]]],
    tmp_path: Path,
    as_object: bool,  # noqa: FBT001 - a case of the test
) -> None:
    """It lies in the store's folder, and the store does not hold it; what does not lie there is not asked for."""
    good, bad = (str(tmp_path / name) for name in ("good", "bad"))
    for path in (good, bad):
        Path(path).mkdir()
    calls = answers({good: LEAF, bad: None} if as_object else [{"path": good, **LEAF}, {"path": bad, "valid": False}])
    assert store.valid_paths(CONTEXT, NIX, {good, bad, str(tmp_path / "missing")}) == {good}
    assert calls == [["/bin/nix", "path-info", "--json", bad, good]]
    assert store.valid_paths(CONTEXT, NIX, {str(tmp_path / "missing")}) == set()


@pytest.mark.parametrize(
    "said", [[{"path": "/s/a", **INFO}, {"path": "/s/b", **LEAF}], {"/s/a": INFO, "/s/b": LEAF}], ids=["list", "object"]
)
def test_closures(answers: Callable[[JSONValue], list[list[str]]], said: JSONValue) -> None:
    """A list of paths before Nix 2.19, and an object since, come to the same."""
    calls = answers(said)
    found = store.closure_of(CONTEXT, NIX, ["/s/a"])
    assert calls == [["/bin/nix", "path-info", "--json", "--recursive", "/s/a"]]
    assert list(found) == ["/s/a", "/s/b"]
    one = found["/s/a"]
    assert (one.nar_hash, one.nar_size, one.references, one.signatures) == (HEX, 8, ("/s/a", "/s/b"), ("k:x",))
    assert (one.is_ultimate, found["/s/b"].is_ultimate) == (False, True)
    assert list(store.reachable(found, "/s/b")) == ["/s/b"]
    assert list(store.reachable(found, "/s/a")) == ["/s/a", "/s/b"]
    with pytest.raises(ToolError, match="nothing of `/s/b`"):
        store.reachable({"/s/a": one}, "/s/a")


def test_a_path_that_is_gone(answers: Callable[[JSONValue], list[list[str]]]) -> None:
    """Garbage collection may take it between two calls: no half a closure comes of it."""
    answers([{"path": "/s/a", "valid": False}])
    with pytest.raises(ToolError, match="the store does not hold `/s/a`"):
        store.closure_of(CONTEXT, NIX, ["/s/a"])


@pytest.mark.parametrize(
    "said",
    [{"/s/a.drv": OLD, "/s/b.drv": {}}, {"derivations": {"a.drv": NEW, "b.drv": {}}, "version": 4}],
    ids=["old", "new"],
)
def test_derivations(answers: Callable[[JSONValue], list[list[str]]], said: JSONValue) -> None:
    """So do derivations, whose newer form has paths without the store."""
    answers(said)
    found = store.derivations_of(CONTEXT, NIX, ["/s/a.drv"])
    one = found["/s/a.drv"]
    assert one.inputs == {"/s/b.drv": ("out", "dev")}
    assert one.sources == ("/s/src",)
    assert (one.outputs["out"].path, one.outputs["out"].hash_algorithm, one.outputs["out"].hash) == (
        "/s/o",
        "r:sha256",
        HEX,
    )
    assert list(store.reachable(found, "/s/a.drv")) == ["/s/a.drv", "/s/b.drv"]
    assert list(store.reachable(found, "/s/b.drv")) == ["/s/b.drv"]
    with pytest.raises(ToolError, match=r"nothing of `/s/b\.drv`"):
        store.reachable({"/s/a.drv": one}, "/s/a.drv")


def test_other_answers_are_refused(answers: Callable[[JSONValue], list[list[str]]]) -> None:
    """What is no set of derivations is an error."""
    answers([])
    with pytest.raises(ToolError, match="no derivations"):
        store.derivations_of(CONTEXT, NIX, ["/s/a.drv"])


def test_materials_are_said_by_digest(answers: Callable[[JSONValue], list[list[str]]], tmp_path: Path) -> None:
    """A fixed hash of a NAR is not called that of a file; inputs of the flake come with revision and hash."""
    path = tmp_path / "a.drv"
    path.write_text("Derive()", encoding="ascii")
    answers({str(path): OLD, "/s/b.drv": {}})
    derivations = store.derivations_of(CONTEXT, NIX, [str(path)])
    facts = NixFacts(
        output="/s/o", derivation=str(path), system="x", origin=Origin.BUILT, closure={}, derivations=derivations
    )
    locked = [
        LockedInput(name="nixpkgs", uri="git+https://example.com/n", revision="a" * 40, nar_hash=HEX, path=""),
        LockedInput(name="nothing", uri="", revision="", nar_hash="", path=""),
    ]
    nix = ResourceDescriptor(name="nix", digest={"sha256": "0" * 64}, annotations={"version": "2.8.0"})
    found = {resource.name: resource for resource in materials(facts, nix, locked, {})}
    assert set(found) == {"derivation", "flake-input:nixpkgs", "fetched:", "nix"}
    assert found["flake-input:nixpkgs"].digest == {"gitCommit": "a" * 40, "nixNarSha256": HEX}
    assert found["fetched:"].digest == {"nixNarSha256": HEX}
    assert found["fetched:"].uri == "https://example.com/x.tar.gz"


def unit(pattern: str | None) -> NixArtifact:
    artifact = Artifact(builder="nix", name="wash", platform="x86_64-linux", group="g", file="*")
    package = NixPackage(name="wash", system="x86_64-linux", derivation="/s/a.drv", output="out")
    return NixArtifact(artifact=artifact, package=package, pattern=pattern)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output of two programs, one of them wrapped, and a library."""
    folder = tmp_path / "abc-wash-1.0"
    for name in ("bin/wash", "bin/.wash-wrapped", "lib/libwash.so"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="ascii")
    return folder


def test_the_file_that_ships(output: Path) -> None:
    """The one program of `bin`, what a pattern says, or the output itself; a link counts as what it leads to."""
    closure = [str(output)]
    assert place_of(unit(None), str(output), closure) == "bin/wash"
    (output / "bin" / "w").symlink_to("wash")
    assert path_of(str(output), place_of(unit(None), str(output), closure)).name == "wash"
    assert place_of(unit("lib/*.so"), str(output), closure) == "lib/libwash.so"
    file = str(output / "lib" / "libwash.so")
    assert place_of(unit(None), file, [file]) == ""
    assert file_name("/s/abc-wash.txt", "") == "wash.txt"
    assert file_name(str(output), "bin/wash") == "wash"


def test_links_out_of_the_closure_are_refused(output: Path, tmp_path: Path) -> None:
    """Neither a file of this machine ships, nor a neighbour whose name only begins like the output's."""
    beside = tmp_path / "abc-wash-1.0-other"
    beside.write_text("x", encoding="ascii")
    for target in ("/etc/passwd", str(beside)):
        (output / "bin" / "wash").unlink()
        (output / "bin" / "wash").symlink_to(target)
        with pytest.raises(BuildError, match="not in its closure"):
            place_of(unit(None), str(output), [str(output)])


def test_a_name_that_can_not_be_shown_is_refused(output: Path) -> None:
    """It would be two lines of a list, or none."""
    (output / "bin" / "wash").rename(output / "bin" / "wa\nsh")
    with pytest.raises(BuildError, match=r"`bin/wa\\nsh` .* can't be written on a line"):
        place_of(unit(None), str(output), [str(output)])


@pytest.mark.parametrize(("pattern", "words"), [("bin/*.exe", "no file matches"), ("**/*wash*", "3 files match")])
def test_one_file_has_to_be_meant(output: Path, pattern: str, words: str) -> None:
    """Else the message lists what there is."""
    with pytest.raises(BuildError, match=r"files? match") as caught:
        place_of(unit(pattern), str(output), [str(output)])
    assert words in caught.value.message
    assert "`lib/libwash.so`" in caught.value.message
    assert caught.value.hint


def test_an_archive_that_is_an_image_is_refused(tmp_path: Path) -> None:
    """Other archives ship as the files that they are."""
    for name, refused in (("manifest.json", True), ("other.json", False)):
        path = tmp_path / f"abc-{name}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        if refused:
            with pytest.raises(BuildError, match="is an image") as caught:
                place_of(unit(None), str(path), [str(path)])
            assert caught.value.hint == 'write `images = ["wash"]` into `[nix]`'
        else:
            assert place_of(unit(None), str(path), [str(path)]) == ""


def test_outputs_are_named_as_the_version_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.drv` alone means all its outputs to an old Nix, and that file to a new one."""
    for version, named in (
        ("2.8.0", "/s/a.drv"),
        ("2.13.6", "/s/a.drv^out"),
        ("3.1.0", "/s/a.drv^out"),
        ("x", "/s/a.drv"),
    ):
        monkeypatch.setattr(NixProgram, "version", lambda _, version=version: version)
        assert NIX.installable("/s/a.drv", {"out"}) == named
    monkeypatch.setattr(NixProgram, "version", lambda _: "2.30.1")
    assert NIX.installable("/s/a.drv", {"out", "dev"}) == "/s/a.drv^dev,out"
