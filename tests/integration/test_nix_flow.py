"""Packages of a flake from provenance.toml to evidence: files, several of them, and images."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.oci.layout import opened_layout, verify_layout
from doit_provenance.provenance.oci.model import Manifest

from .pots import LEAF, SYSTEM, WASH, Pot, flake, pot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

LIBRARY = 'sh "library-1.2" "mkdir -p $out/lib; echo ${source} > $out/lib/library.txt" { }'
SOURCE = """derivation {{
  name = "source.txt"; system = "{system}"; builder = "/bin/sh"; args = [ "-c" "echo source > $out" ];
  outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "{sha256}"; url = "https://example.com/source.txt";
}}"""
CHAIN = {
    "source": SOURCE.format(system=SYSTEM, sha256=hashlib.sha256(b"source\n").hexdigest()),
    "library": LIBRARY,
    "wash": 'sh "wash-0.1.0" "echo begun; mkdir -p $out/bin; echo ${library} > $out/bin/wash" { }',
}
TOOLS = """sh "tools" ''
  mkdir -p $out/bin; echo a > $out/bin/wash; echo b > $out/bin/wadm; ln -s wash $out/bin/w
'' { }"""
OCI = """sh "wash-oci.tar.gz" ''
  mkdir -p layer/bin; cp ${wash}/bin/wash layer/bin/wash
  tar --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner -C layer -cf layer.tar .
  id=$(sha256sum layer.tar); id=''${id%% *}
  printf '{"architecture":"ARCH","os":"linux","created":"1970-01-01T00:00:01Z","config":{},' > config.json
  printf '"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $id >> config.json
  config=$(sha256sum config.json); config=''${config%% *}
  mv config.json $config.json; mkdir $id; mv layer.tar $id/layer.tar
  printf '[{"Config":"%s.json","RepoTags":["wash:latest"],"Layers":["%s/layer.tar"]}]' $config $id > manifest.json
  tar --sort=name --mtime=@1 -czf $out $config.json $id manifest.json
'' { }""".replace("ARCH", {"x86_64": "amd64", "aarch64": "arm64"}.get(SYSTEM.partition("-")[0], "amd64"))


def materials(made: Pot, name: str) -> dict[str, Any]:
    listed = made.provenance(name)["buildDefinition"]["resolvedDependencies"]
    return {one["name"]: one for one in listed}


def test_a_chain_of_packages(tmp_path: Path) -> None:
    """Each package ships with evidence of its own, and says what it was built from: what was fetched by its hash."""
    made = pot(tmp_path, CHAIN, 'packages = ["wash", "library"]\nfiles = ["library/lib/library.txt"]')
    made.doit("run").ok()
    made.doit("verify").ok()
    assert made.calls().count("build") == 1
    found = materials(made, "wash")
    fetched = found["fetched:source.txt"]
    assert fetched["digest"] == {"sha256": hashlib.sha256(b"source\n").hexdigest()}
    assert fetched["uri"] == "https://example.com/source.txt"
    derivation = made.nix("eval", "--raw", ".#wash.drvPath")
    assert found["derivation"]["annotations"] == {"path": derivation}
    with open(derivation, "rb") as stream:  # noqa: PTH123 - a text is at hand
        assert found["derivation"]["digest"] == {"sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    assert found["source"]["annotations"] == {"dirty": False}
    assert found["nix"]["annotations"]["version"] in made.nix("--version")
    definition = made.provenance("wash")["buildDefinition"]
    assert definition["externalParameters"] == {
        "builder": "nix",
        "workspace": ".",
        "flake": ".",
        "file": None,
        "package": "wash",
        "system": SYSTEM,
        "output": "out",
        "path": None,
        "image": False,
        "rebuild": False,
    }
    assert definition["internalParameters"]["file"] == "bin/wash"


def test_what_builders_say_is_logged(tmp_path: Path) -> None:
    """The log has what Nix does and what its builders write, as a person reads it."""
    made = pot(tmp_path, CHAIN, 'packages = ["wash"]')
    made.doit("run").ok()
    log = next((made.made.root / ".provenance" / "logs" / "nix").rglob("*.log")).read_text(encoding="utf-8")
    assert "wash-0.1.0> begun\n" in log
    assert "building '" in log
    assert "@nix" not in log


def test_several_files_of_one_output(tmp_path: Path) -> None:
    """Each file that ships is an artifact of its own, with its permissions; one build makes them all."""
    made = pot(
        tmp_path, {"tools": TOOLS}, 'packages = ["tools"]\nfiles = ["tools/bin/wash", "tools/bin/wadm", "tools/bin/w"]'
    )
    made.doit("run").ok()
    made.doit("verify").ok()
    assert made.calls().count("build") == 1
    held = {name: (made.folder(f"tools-{name}") / name).read_text(encoding="utf-8") for name in ("wash", "wadm", "w")}
    assert held == {"wash": "a\n", "wadm": "b\n", "w": "a\n"}
    assert set(made.actions()) == {f"nix:tools/{name}@{SYSTEM}" for name in ("wash", "wadm", "w")}


def test_systems_are_built_side_by_side(tmp_path: Path) -> None:
    """One call of Nix for each system; what one says is not taken for what the other says."""
    made = pot(tmp_path, table=f'packages = ["*"]\nsystems = ["{SYSTEM}", "riscv64-linux"]')
    leaves = {name: f'sh "{name}" "echo {name}; echo {name} > $out" {{ }}' for name in ("one", "two")}
    # What another system's packages are built by is not looked at: these are for this machine.
    made.made.write({"flake.nix": flake({SYSTEM: {"one": leaves["one"]}, "riscv64-linux": {"two": leaves["two"]}})})
    made.doit("run", "-n", "2").ok()
    assert made.calls().count("build") == 2
    assert (made.folder("one") / "one").read_bytes() == b"one\n"
    assert (made.folder("two", "riscv64-linux") / "two").read_bytes() == b"two\n"
    log = (made.made.root / ".provenance" / "logs" / "nix" / "one" / f"{SYSTEM}.log").read_text(encoding="utf-8")
    assert "one> one" in log
    assert "two" not in log.replace("one> one", "")


def test_several_outputs_of_one_derivation(tmp_path: Path) -> None:
    """A package is one output: another one of the same derivation is another package, of the same build."""
    both = """sh "both" "echo out > $out; mkdir -p $dev/include; echo dev > $dev/include/both.h" {
      outputs = [ "out" "dev" ];
    }"""
    made = pot(tmp_path, {"both": both, "both-dev": "both.dev"}, 'packages = ["*"]\nfiles = ["both-dev/include/*.h"]')
    made.doit("run").ok()
    assert (made.folder("both") / "both").read_bytes() == b"out\n"
    assert (made.folder("both-dev") / "both.h").read_bytes() == b"dev\n"
    definition = made.provenance("both-dev", "both.h")["buildDefinition"]
    assert definition["externalParameters"]["output"] == "dev"
    assert {made.origin("both")["origin"], made.origin("both-dev", "both.h")["origin"]} == {"built"}
    assert made.calls().count("build") == 1


def built_with(made: Pot) -> set[str]:
    inventory = json.loads((made.folder("wash") / "wash.inventory.json").read_bytes())
    return {one["name"] for one in inventory["components"] if one["role"] == "build"}


def test_what_a_build_used_is_listed_on_request(tmp_path: Path) -> None:
    """`build-inventory` adds what is in the store of all that the derivation is built from."""
    copied = {**CHAIN, "wash": 'sh "wash" "mkdir -p $out/bin; cat ${source} > $out/bin/wash" { }'}
    made = pot(tmp_path, copied, 'packages = ["wash"]')
    made.doit("run").ok()
    assert not built_with(made)
    made.configure('packages = ["wash"]\nbuild-inventory = true')
    assert made.actions()[f"nix:wash@{SYSTEM}"] == ("build", ["setting-changed"])
    made.doit("run").ok()
    assert "source.txt" in built_with(made)
    made.doit("verify").ok()


def test_files_have_to_be_chosen(tmp_path: Path) -> None:
    """Where an output has several programs, or none, the message lists them and has the line to write."""
    made = pot(tmp_path, {"tools": TOOLS, "data": LIBRARY, "source": CHAIN["source"]}, 'packages = ["tools"]')
    made.doit("run").failed(
        1,
        "2 files match `bin/*` in the output of `tools`: `bin/w`, `bin/wadm`",
        'hint: write `files = ["tools/bin/w", "tools/bin/wadm"]` into `[nix]`',
    )
    made.configure('packages = ["data"]')
    made.doit("run").failed(1, "no file matches `bin/*`", 'hint: write `files = ["data/lib/library.txt"]`')
    made.configure('packages = ["data"]\nfiles = ["data/lib/*.so"]')
    made.doit("run").failed(1, "no file matches `lib/*.so`", "it holds `lib/library.txt`")


def test_links_do_not_lead_out_of_the_closure(tmp_path: Path) -> None:
    """A package can't ship a file of this machine by a link to it; one to what it depends on is what wrappers do."""
    out = 'sh "out" "mkdir -p $out/bin; ln -s /etc/passwd $out/bin/out" { }'
    inside = 'sh "inside" "mkdir -p $out/bin; ln -s ${wash}/bin/wash $out/bin/inside" { }'
    made = pot(tmp_path, {"wash": WASH, "out": out, "inside": inside}, 'packages = ["inside"]')
    made.doit("run").ok()
    assert (made.folder("inside") / "inside").read_bytes() == b"wash\n"
    made.configure('packages = ["out"]')
    made.doit("run").failed(1, "leads to `/etc/passwd`, which is not in its closure")
    assert not made.folder("out").exists()


def test_an_image_is_taken_over(tmp_path: Path) -> None:
    """An archive becomes an OCI image; the program in its layer is the artifact that it was made of, by digest."""
    made = pot(tmp_path, {"wash": WASH, "wash-oci": OCI}, 'packages = ["*"]\nimages = ["*-oci"]')
    made.doit("run").ok()
    made.doit("verify").ok()
    place = made.folder("wash-oci")
    verify_layout(place / "image")
    with opened_layout(place / "image") as layout:
        manifest = layout.manifest(layout.root)
        assert isinstance(manifest, Manifest)
        assert manifest.annotations["org.opencontainers.image.created"] == "1970-01-01T00:00:01Z"
        assert layout.config(manifest)["os"] == "linux"
    inventory = json.loads((place / "wash-oci.inventory.json").read_bytes())
    digest = hashlib.sha256((made.folder("wash") / "wash").read_bytes()).hexdigest()
    (inside,) = (one for one in inventory["components"] if one.get("hashes", {}).get("sha256") == digest)
    assert inside["sbom"]
    assert f"nix:wash@{SYSTEM}" in materials(made, "wash-oci")
    assert made.provenance("wash-oci")["buildDefinition"]["externalParameters"]["image"] is True


def test_an_image_comes_after_its_programs(tmp_path: Path) -> None:
    """It is of other packages by its derivation: they are built and described first, even if it alone is asked for."""
    made = pot(tmp_path, {"wash": WASH, "leaf": LEAF, "wash-oci": OCI}, 'packages = ["*"]\nimages = ["*-oci"]')
    made.doit("run", "nix:wash-oci").ok()
    assert made.folder("wash").exists()
    assert not made.folder("leaf").exists()


def test_an_image_is_told_by_its_content(tmp_path: Path) -> None:
    """What is an image though it is not listed, or listed and none, is an error that has the line to write."""
    made = pot(tmp_path, {"wash": WASH, "leaf": LEAF, "wash-oci": OCI}, 'packages = ["wash-oci"]')
    made.doit("run").failed(1, "the output of `wash-oci` is an image", 'hint: write `images = ["wash-oci"]`')
    made.configure('packages = ["leaf", "wash"]\nimages = ["leaf"]')
    made.doit("run").failed(1, "the output of `leaf` is no image", "hint: take it out of `images`")
    made.configure('packages = ["wash"]\nimages = ["wash"]')
    made.doit("run").failed(1, "the output of `wash` is no image: it is a folder")
    assert [path.name for path in (made.made.root / "dist" / "nix").iterdir()] == ["wash"], "as the file that it was"


@pytest.mark.parametrize("what", ["archive", "layout", "blobs"])
def test_an_image_is_of_the_store(tmp_path: Path, what: str) -> None:
    """A link may lead to another store path, and never to an image of this machine, which no NAR hash has seen."""
    beside = tmp_path / "beside"
    made = pot(tmp_path, {"wash": WASH, "wash-oci": OCI}, 'packages = ["wash-oci"]\nimages = ["*"]')
    made.doit("run").ok()
    layout = made.folder("wash-oci") / "image"
    archive = made.nix("build", "--no-link", "--json", ".#wash-oci")
    shutil.copytree(layout, beside / "layout")
    shutil.copy(json.loads(archive)[0]["outputs"]["out"], beside / "archive")
    script = {
        "archive": f"ln -s {beside}/archive $out",
        "layout": f"ln -s {beside}/layout $out",
        "blobs": f"cp -r {beside}/layout $out; rm -r $out/blobs; ln -s {beside}/layout/blobs $out/blobs",
    }
    made.flake({"wash-oci": f'sh "linked" "{script[what]}" {{ }}'})
    made.made.commit()
    before = made.made.state()
    made.doit("run").failed(1, str(beside), "which is not in its closure")
    assert made.made.state() == before
    made.flake({"wash": WASH, "real": OCI, "wash-oci": 'sh "linked" "ln -s ${real} $out" { }'})
    made.made.commit()
    made.doit("run").ok()


def test_equal_derivations_give_equal_images(tmp_path: Path) -> None:
    """Whatever else was committed meanwhile: nothing of the commit is said of the image."""
    images = []
    for name in ("one", "two"):
        made = pot(tmp_path / name, {"wash": WASH, "wash-oci": OCI}, 'packages = ["wash-oci"]\nimages = ["*-oci"]')
        made.made.write({"README.md": name})
        made.made.commit()
        made.doit("run").ok()
        with opened_layout(made.folder("wash-oci") / "image") as layout:
            images.append(layout.root.digest)
    assert images[0] == images[1]


def test_other_builders_take_what_nix_built(tmp_path: Path) -> None:
    """An artifact of Nix is one like any other: a command is given it."""
    made = pot(tmp_path)
    text = (made.made.root / "provenance.toml").read_text(encoding="utf-8")
    command = """
    [command.copy]
    run = ["cp", "{nix:wash}", "out/copy"]
    inputs = ["flake.nix"]
    artifacts = ["nix:wash"]
    outputs = ["out/copy"]
    """
    (made.made.root / "provenance.toml").write_text(text + command, encoding="utf-8")
    made.doit("run").ok()
    assert next((made.made.root / "dist" / "command" / "copy").rglob("copy")).read_bytes() == b"wash\n"


def test_nothing_is_kept_of_a_build(tmp_path: Path) -> None:
    """What was held until it was described is gone, and so is every link into the store."""
    made = pot(tmp_path)
    made.doit("run").ok()
    left = made.made.root / ".provenance" / "nix"
    assert not left.exists() or not list(left.iterdir())
    assert not list(made.made.root.glob("result*"))
