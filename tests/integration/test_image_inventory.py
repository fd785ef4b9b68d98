"""The inventory of an image of real packages of this machine, against what a scanner finds in the same image."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.oci.layout import opened_layout
from doit_provenance.provenance.oci.model import OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Manifest
from doit_provenance.provenance.oci.writer import LayoutWriter
from doit_provenance.provenance.sbom import cyclonedx, spdx
from doit_provenance.provenance.sbom.image.attribution import AttributedTo, Attribution, attribute
from doit_provenance.provenance.sbom.image.compose import compose, image_component
from doit_provenance.provenance.sbom.image.scan import scan
from doit_provenance.provenance.sbom.inventory import Inventory, Role
from doit_provenance.provenance.sbom.party import Party

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .conftest import Tools

pytestmark = pytest.mark.integration

DPKG = Path("/var/lib/dpkg")
DEBS = ("base-files", "bash", "libc6", "libtinfo6", "zlib1g")
WHEELS = ("packageurl-python", "license-expression", "boolean.py", "pyelftools")
REMOVED = "rich"
SITE = "usr/local/lib/python3/site-packages"
CRATES = {
    "packages": [
        {"name": "adler", "version": "1.0.2", "source": "crates.io"},
        {"name": "tea", "version": "0.1.0", "source": "crates.io", "dependencies": [0], "root": True},
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One image, seen by us and by syft; syft's packages as kind, name and version."""

    attribution: Attribution
    inventory: Inventory
    syft: frozenset[tuple[str, str, str]]


@pytest.fixture(scope="module")
def seen(tools: Tools, busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    syft, oras, modules = (tools.path(name) for name in ("bin/syft", "bin/oras", "sigstore-js/node_modules"))
    folder = tmp_path_factory.mktemp("image")
    links = {name: Path(f"usr/{name}") for name in ("bin", "lib", "lib64")}
    base = dict(_debs()) | {"etc/os-release": Path("/etc/os-release").read_bytes()} | links
    tools_layer: dict[str, bytes | Path] = {
        **dict(_wheels((*WHEELS, REMOVED))),
        **{f"app/node_modules/{p.relative_to(modules)}": p for p in modules.rglob("*") if p.is_file()},
        "usr/local/bin/oras": oras,
        "usr/local/bin/tea": _auditable(busybox, folder),
        "usr/local/bin/odd": busybox.read_bytes() + b"odd",
    }
    gone = distribution(REMOVED).read_text("METADATA") or ""
    version = re.search(r"^Version: (.*)$", gone, re.MULTILINE)
    assert version, "the test's own distribution has no version"
    info = f"{SITE}/{REMOVED}-{version[1]}.dist-info"
    path = _image(folder / "layout", base, tools_layer, {f"{os.path.dirname(info)}/.wh.{os.path.basename(info)}": b""})  # noqa: PTH119, PTH120 - of an image's path
    with opened_layout(path) as layout:
        manifest = layout.manifest(layout.root)
        assert isinstance(manifest, Manifest)
        found = attribute(scan(layout, manifest), {}, {})
    digest, author = digest_bytes(manifest.raw), Party(name="Tea")
    inventory = compose(
        found,
        "docker:tea@linux/amd64",
        digest,
        subject=image_component("tea", digest, platform=None, annotations={}, supplier=author),
        included={},
        created=datetime(2024, 5, 17, tzinfo=UTC),
        author=author,
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "SYFT_CHECK_FOR_APP_UPDATE": "false"}
    argv = [str(syft), "scan", f"oci-dir:{path}", "-o", "json", "-q"]
    said = json.loads(subprocess.run(argv, capture_output=True, check=True, env=env).stdout)
    packages = frozenset((a["type"], a["name"], a["version"]) for a in said["artifacts"])
    return Seen(attribution=found, inventory=inventory, syft=packages)


def _debs() -> Iterator[tuple[str, bytes | Path]]:
    """Yield some of this machine's packages, with what dpkg keeps of them."""
    if not (DPKG / "status").exists():
        pytest.skip("this machine has no packages of Debian's kind")
    stanzas = re.split(r"\n\n+", (DPKG / "status").read_text())
    chosen = [s for s in stanzas if re.match(rf"Package: (?:{'|'.join(map(re.escape, DEBS))})\n", s)]
    yield "var/lib/dpkg/status", ("\n\n".join(chosen) + "\n").encode()
    for name in DEBS:
        files = subprocess.run(["dpkg", "-L", name], capture_output=True, check=True, text=True).stdout.splitlines()
        copyright_ = Path(f"/usr/share/doc/{name}/copyright")
        for path in [*(DPKG / "info").glob(f"{name}.*"), *(DPKG / "info").glob(f"{name}:*"), copyright_]:
            yield str(path).lstrip("/"), path
        for file in files:
            real = Path(os.path.realpath(file))
            if real.is_file() and not real.is_relative_to("/usr/share"):
                yield str(real).lstrip("/"), real


def _wheels(names: Iterable[str]) -> Iterator[tuple[str, bytes | Path]]:
    for name in names:
        for file in distribution(name).files or ():
            path = Path(str(file.locate()))
            if path.is_file() and ".." not in file.parts:
                yield f"{SITE}/{file}", path


def _auditable(program: Path, folder: Path) -> Path:
    """Return a program with a list of crates in it, as cargo-auditable puts it there."""
    if shutil.which("objcopy") is None:
        pytest.skip("`objcopy` is not installed")
    (folder / "crates").write_bytes(zlib.compress(json.dumps(CRATES).encode()))
    made = folder / "tea"
    subprocess.run(["objcopy", "--add-section", f".dep-v0={folder / 'crates'}", str(program), str(made)], check=True)
    made.chmod(0o755)
    return made


def _image(path: Path, *layers: Mapping[str, bytes | Path]) -> Path:
    layout = LayoutWriter(path)
    packed, diff_ids = [], []
    for layer in layers:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in layer.items():
                info = tarfile.TarInfo(name)
                if isinstance(content, Path) and not content.is_absolute():
                    info.type, info.linkname = tarfile.SYMTYPE, str(content)
                    archive.addfile(info)
                    continue
                data = content.read_bytes() if isinstance(content, Path) else content
                executable = "/bin/" in name or (isinstance(content, Path) and os.access(content, os.X_OK))
                info.size, info.mode = len(data), 0o755 if executable else 0o644
                archive.addfile(info, io.BytesIO(data))
        diff_ids.append(f"sha256:{hashlib.sha256(buffer.getvalue()).hexdigest()}")
        packed.append(layout.add(gzip.compress(buffer.getvalue(), 1, mtime=0), OCI_LAYER_GZIP).to_json())
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": layout.add(json.dumps(config).encode(), OCI_CONFIG).to_json(),
        "layers": packed,
    }
    layout.finish(layout.add(json.dumps(manifest).encode(), OCI_MANIFEST))
    return path


def _plain(name: str, version: str | None) -> tuple[str, str]:
    """Return name and version without what is a matter of taste: Python's names, Go's prefix of its own version."""
    return re.sub(r"[-_.]+", "-", name).lower(), (version or "UNKNOWN").removeprefix("go")


def test_every_package_that_the_scanner_finds_is_found(seen: Seen) -> None:
    kinds = {kind for kind, _, _ in seen.syft}
    assert {"deb", "python", "npm", "go-module", "rust-crate"} <= kinds, "the image shows less than it should"
    ours = {_plain(c.name, c.version) for c in seen.inventory.components}
    # What it calls `binary` it recognises by a text in a file: guesses, of which the file's package knows better.
    theirs = {_plain(name, version) for kind, name, version in seen.syft if kind != "binary"}
    assert theirs - ours == set()


def test_nothing_is_found_that_is_not_there(seen: Seen) -> None:
    theirs = {_plain(name, version) for _, name, version in seen.syft}
    packages = [c for c in seen.inventory.components if c.purl and c.role is not Role.SUBJECT]
    assert {_plain(c.name, c.version) for c in packages} - theirs == set()


def test_what_a_later_layer_took_away_is_not_in_it(seen: Seen) -> None:
    assert not any(c.name == REMOVED for c in seen.inventory.components)


def test_files_are_explained(seen: Seen) -> None:
    """All but the program of nobody, and what the distribution that was taken away has left behind."""
    unexplained = {f.path for f in seen.attribution.unexplained if not f.path.startswith(f"{SITE}/{REMOVED}/")}
    assert "usr/local/bin/odd" in unexplained
    assert {path for path in unexplained if not path.endswith(".pyc")} == {"usr/local/bin/odd"}
    by = {file.path: file.attributed_to for file in seen.attribution.files}
    assert by["usr/bin/bash"] is AttributedTo.SYSTEM
    assert by["usr/local/bin/oras"] is by["usr/local/bin/tea"] is AttributedTo.PROGRAM


def test_relations_lead_to_what_is_installed(seen: Seen) -> None:
    names = {c.ref: c.name for c in seen.inventory.components}
    uses = {
        names[ref]: {names[t] for t in targets} for ref, targets in seen.inventory.dependencies.items() if ref in names
    }
    assert "libtinfo6" in uses["bash"]
    assert "boolean.py" in uses["license-expression"]
    assert "adler" in uses["tea"]


def test_both_documents_are_valid(seen: Seen) -> None:
    document: Any = json.loads(spdx.write(seen.inventory))
    assert validate_full_spdx_document(JsonLikeDictParser().parse(document)) == []
    written = cyclonedx.write(seen.inventory, inventory_sha256="5" * 64).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
