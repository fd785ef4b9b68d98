"""Inventories of what a real Nix built: its closure as Nix lists it, and the packages in the files."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from .pots import SYSTEM, Pot, pot
from .workspaces import write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

SUM = "ab" * 32
PACKAGES = {
    "leaf": 'sh "leaf-0.3" "mkdir -p $out/lib; echo leaf > $out/lib/leaf" { }',
    "water": """sh "water-2.1" ''
        mkdir -p $out $doc; echo ${leaf} > $out/water; echo $out > $doc/water
    '' { outputs = [ "out" "doc" ]; }""",
    "tea": r"""sh "tea-1.4" ''
        mkdir -p $out/bin
        printf '#!/bin/sh\ncat ${water}/water ${water.doc}/water\n' > $out/bin/tea
        chmod +x $out/bin/tea
    '' { } // {
        meta = { license = { spdxId = "MIT"; }; homepage = "https://tea.example"; description = "Makes tea"; };
    }""",
    "pot": 'sh "pot-0.9" "mkdir -p $out/bin; cp ${./bin/pot} $out/bin/pot" { }',
    "listed": 'sh "listed-0.1" "mkdir -p $out/bin; cp ${./bin/listed} $out/bin/listed" { src = ./rust; }',
    "silent": 'sh "silent-0.1" "mkdir -p $out/bin; cp ${./bin/silent} $out/bin/silent" { src = ./rust; }',
    "snake": r"""sh "python3.11-snake-3.0" ''
        site=$out/lib/python3.11/site-packages/snake-3.0.dist-info
        mkdir -p $out/bin $site
        printf 'Metadata-Version: 2.1\nName: snake\nVersion: 3.0\nLicense: MIT\n' > $site/METADATA
        printf "#!/bin/sh\necho $out\n" > $out/bin/snake
    '' { }""",
    "box": """sh "box-1.0.tar" ''
        mkdir -p s/nix/store
        cp -r ${water} ${leaf} s/nix/store/
        sed "s,${builtins.storeDir},/nix/store,g" ${water}/water > s/nix/store/$(basename ${water})/water
        cp ${tea}/bin/tea s/tea
        tar -C s -cf layer.tar .
        layer=$(sha256sum < layer.tar | cut -d' ' -f1)
        printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers",' > config.json
        printf '"diff_ids":["sha256:%s"]}}' $layer >> config.json
        echo '[{"Config":"config.json","RepoTags":["box:1"],"Layers":["layer.tar"]}]' > manifest.json
        tar -cf $out manifest.json config.json layer.tar
    '' { }""",
}
SETTINGS = """
packages = ["*"]
exclude = ["leaf", "water"]
images = ["box"]
"""
LOCK = f"""
version = 4

[[package]]
name = "adler"
version = "1.0.2"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{SUM}"

[[package]]
name = "listed"
version = "0.1.0"
dependencies = ["adler"]
"""
CRATES = {
    "packages": [
        {"name": "adler", "version": "1.0.2", "source": "crates.io"},
        {"name": "listed", "version": "0.1.0", "source": "local", "dependencies": [0], "root": True},
    ]
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Pot:
    found = pot(tmp_path_factory.mktemp("nix"), PACKAGES, SETTINGS)
    _go(found.made.root)
    _rust(found.made.root)
    found.made.write({"rust/Cargo.lock": LOCK})
    found.made.commit()
    found.doit("run").ok()
    return found


def _go(root: Path) -> None:
    """Build a Go program of two modules, of which one lies beside the other."""
    if shutil.which("go") is None:
        pytest.skip("`go` is not installed")
    source = root.with_name("go")
    write(
        source,
        {
            "go.mod": "module tea.example/pot\ngo 1.20\nrequire tea.example/leaf v1.0.0\n"
            "replace tea.example/leaf v1.0.0 => ./leaf\n",
            "main.go": 'package main\nimport "tea.example/leaf"\nfunc main() { leaf.Say() }\n',
            "leaf/go.mod": "module tea.example/leaf\ngo 1.20\n",
            "leaf/leaf.go": 'package leaf\nfunc Say() { print("leaf") }\n',
        },
    )
    (root / "bin").mkdir(exist_ok=True)
    argv = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(root / "bin" / "pot"), "."]
    subprocess.run(argv, cwd=source, check=True)


def _rust(root: Path) -> None:
    """Build a Rust program, and give one copy of it a list of crates as cargo-auditable does."""
    if shutil.which("rustc") is None or shutil.which("objcopy") is None:
        pytest.skip("`rustc` or `objcopy` is not installed")
    (root / "bin").mkdir(exist_ok=True)
    main, crates, silent = root.with_name("main.rs"), root.with_name("crates"), root / "bin" / "silent"
    main.write_text('fn main() { println!("tea"); }\n', encoding="ascii")
    crates.write_bytes(zlib.compress(json.dumps(CRATES).encode()))
    subprocess.run(["rustc", "-o", str(silent), str(main)], check=True)
    listed = root / "bin" / "listed"
    subprocess.run(["objcopy", "--add-section", f".dep-v0={crates}", str(silent), str(listed)], check=True)


def inventory(found: Pot, name: str) -> dict[str, Any]:
    (path,) = found.folder(name).glob("*.inventory.json")
    said: dict[str, Any] = json.loads(path.read_bytes())
    return said


def of_role(found: dict[str, Any], role: str) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in found["components"] if part["role"] == role}


def _hex(sri: str) -> str:
    return base64.b64decode(sri.removeprefix("sha256-")).hex()


@pytest.mark.parametrize("name", ["tea", "pot", "listed", "silent", "snake"])
def test_closure_is_as_nix_lists_it(built: Pot, name: str) -> None:
    """The same store paths, hashes, sizes and references, and no others; the artifact stands for its output."""
    found = inventory(built, name)
    parts = {part["ref"]: part for part in found["components"] if part.get("purl", "").startswith("pkg:nix/")}
    places = {part["properties"]["nix:store-path"]: ref for ref, part in parts.items()}
    listed = {one["path"]: one for one in json.loads(built.nix("path-info", "--recursive", "--json", f".#{name}"))}
    own = found["subject"]["properties"]
    assert {*places, own["nix:store-path"]} == listed.keys()
    assert own["nix:nar-sha256"] == _hex(listed[own["nix:store-path"]]["narHash"])
    places.setdefault(own["nix:store-path"], found["subject"]["ref"])
    for path, one in listed.items():
        used = {ref for ref in found["dependencies"][places[path]] if ref in parts}
        assert used == {places[reference] for reference in one["references"]} - {places[path]}
        if places[path] in parts:
            part = parts[places[path]]
            assert part["hashes"] == {"sha256": _hex(one["narHash"])}
            assert part["properties"]["nix:nar-size"] == str(one["narSize"])


def test_names_outputs_and_licence(built: Pot) -> None:
    found = inventory(built, "tea")
    subject, parts = found["subject"], {part["ref"]: part for part in found["components"]}
    assert (subject["version"], subject["licence"], subject["homepage"]) == ("1.4", "MIT", "https://tea.example")
    assert subject["purl"].startswith("pkg:nix/tea@1.4?output=out&outputhash=")
    assert subject["purl"].endswith("#bin/tea")
    named = sorted((part["name"], part["version"], part["purl"].partition("output=")[2][:3]) for part in parts.values())
    assert named == [("leaf", "0.3", "out"), ("water", "2.1", "doc"), ("water", "2.1", "out")]
    used = {(parts[ref]["name"], "output=doc" in ref) for ref in found["dependencies"][f"nix:tea@{SYSTEM}"]}
    assert used == {("water", False), ("water", True)}
    assert found["completeness"] == "complete"


def test_modules_of_a_go_program(built: Pot) -> None:
    found = inventory(built, "pot")
    linked = of_role(found, "linked")
    assert linked.keys() == {"./leaf", "stdlib"}
    assert found["subject"]["properties"]["go:package"] == "tea.example/pot"
    assert found["completeness"] == "complete"


def test_crates_of_a_rust_program_that_lists_them(built: Pot) -> None:
    """With the checksum that the lock file among the derivation's inputs has."""
    found = inventory(built, "listed")
    assert of_role(found, "linked").keys() == {"adler"}
    assert of_role(found, "linked")["adler"]["hashes"] == {"sha256": SUM}
    assert "libc.so.6" in of_role(found, "dynamic")
    assert found["completeness"] == "complete"


def test_crates_of_a_rust_program_that_does_not(built: Pot) -> None:
    """They are what its build was given; that is said, and so is that it is not known what is in it."""
    found = inventory(built, "silent")
    given = of_role(found, "input")
    assert given.keys() == {"adler", "listed"}
    assert given["adler"]["properties"]["nix:known-by"] == "Cargo.lock in the derivation's inputs"
    assert given["adler"]["hashes"] == {"sha256": SUM}
    assert not of_role(found, "linked")
    assert found["completeness"] == "incomplete"


def test_python_distribution_of_an_output(built: Pot) -> None:
    found = inventory(built, "snake")
    (part,) = (part for part in found["components"] if part["ref"] == "pkg:pypi/snake@3.0")
    assert (part["licence"], part["role"]) == ("MIT", "dynamic")
    (holder,) = (ref for ref, used in found["dependencies"].items() if "pkg:pypi/snake@3.0" in used)
    assert holder.startswith("pkg:nix/python3.11-snake@3.0?")


def test_image_names_the_artifact_in_its_layer(built: Pot) -> None:
    """By its digest, with its SBOMs; store paths below `nix/store` are packages."""
    found = inventory(built, "box")
    contained = of_role(found, "contained")
    assert contained["tea"]["sbom"]["artifact"] == f"nix:tea@{SYSTEM}"
    assert {"water", "leaf"} <= contained.keys()
    uses = found["dependencies"]
    assert uses[contained["water"]["ref"]] == [contained["leaf"]["ref"]]
    doc = of_role(found, "dynamic")["water"]
    assert "output=doc" in doc["purl"], "the output that the program asks for and the image lacks"
    assert uses[contained["tea"]["ref"]] == sorted([doc["ref"], contained["water"]["ref"]])


@pytest.mark.parametrize("name", ["tea", "pot", "listed", "silent", "snake", "box"])
def test_sboms_are_valid(built: Pot, name: str) -> None:
    """By the validators of the two formats."""
    folder = built.folder(name)
    (cyclonedx,), (spdx,) = folder.glob("*.cdx.json"), folder.glob("*.spdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(cyclonedx.read_text(encoding="utf-8")) is None
    document = JsonLikeDictParser().parse(json.loads(spdx.read_bytes()))
    assert validate_full_spdx_document(document) == []


def test_build_tools_on_request(tmp_path: Path) -> None:
    """What the build used and the file does not is a build tool; what both use stands once."""
    packages = {
        "leaf": PACKAGES["leaf"],
        "cup": 'sh "cup-2" "mkdir -p $out; echo ${leaf} > $out/cup" { }',
        "tea": 'sh "tea-1" "mkdir -p $out/bin; cp ${cup}/cup cup; echo ${leaf} > $out/bin/tea" { }',
    }
    made = pot(tmp_path, packages, 'packages = ["tea"]')
    made.doit("run").ok()
    assert not of_role(inventory(made, "tea"), "build")
    made.configure('packages = ["tea"]\nbuild-inventory = true')
    made.doit("run").ok()
    found = inventory(made, "tea")
    assert of_role(found, "build").keys() == {"cup"}
    assert of_role(found, "dynamic").keys() == {"leaf"}
    cup = of_role(found, "build")["cup"]
    assert found["dependencies"][cup["ref"]] == [of_role(found, "dynamic")["leaf"]["ref"]]
    assert cup["ref"] in found["dependencies"][f"nix:tea@{SYSTEM}"]
