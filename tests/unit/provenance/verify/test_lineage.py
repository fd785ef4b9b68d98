"""Artifact to upstream artifact, by digest, as far as evidence holds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.resource import ResourceDescriptor
from doit_provenance.provenance.attest.slsa import BuildDefinition, BuilderId, Provenance, RunDetails
from doit_provenance.provenance.verify.lineage import lineage, upstream_of

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.verify.lineage import Line


def _provenance(*materials: ResourceDescriptor) -> Provenance:
    return Provenance(
        build_definition=BuildDefinition(
            build_type="https://tea.example/kettle.md", external_parameters={}, resolved_dependencies=materials
        ),
        run_details=RunDetails(builder_id=BuilderId.LOCAL),
    )


@pytest.mark.parametrize(
    "name", ["source", "inputs", "serde", "cargo:wash", "wash@linux", "a:b@c d", "a:b:c@d", "cargo:wash@x\n"]
)
def test_materials_that_are_no_artifacts(name: str) -> None:
    material = ResourceDescriptor(name=name, uri="https://tea.example", digest={"sha256": "0" * 64})
    assert list(upstream_of(_provenance(material))) == []


def test_materials_without_a_digest_are_nobody() -> None:
    material = ResourceDescriptor(name="cargo:wash@linux/amd64", uri="https://tea.example")
    assert list(upstream_of(_provenance(material))) == []


def _fakes(monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]) -> None:
    monkeypatch.setattr(
        "doit_provenance.provenance.verify.lineage.verify_folder", lambda path, **_trust: found[path.as_posix()]
    )


class _Verified:
    """What `verify_folder` returns, of which lineage reads three things."""

    def __init__(self, id_: str, sha256: str, *upstream: tuple[str, str]) -> None:
        self.record = type("Record", (), {"artifact": id_})
        self.digest = type("Digest", (), {"sha256": sha256, "__str__": lambda _self: f"sha256:{sha256}"})()
        self.build = _provenance(
            *(ResourceDescriptor(name=name, digest={"sha256": digest}) for name, digest in upstream)
        )


def _lines(found: Any, output: Path) -> list[Line]:
    return list(lineage(found, output, trust=None))  # type: ignore[arg-type] # nobody verifies here


def test_index_to_image_to_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What two images hold is said of both; each is looked at once."""
    wash = _Verified("cargo:a/wash@x86", "c" * 64)
    amd = _Verified("docker:wash@linux/amd64", "a" * 64, ("cargo:a/wash@x86", "c" * 64))
    arm = _Verified("docker:wash@linux/arm64", "b" * 64, ("cargo:a/wash@x86", "c" * 64))
    both = _Verified("docker:wash@index", "d" * 64, *((i.record.artifact, i.digest.sha256) for i in (amd, arm)))
    places = {
        "docker/wash/linux-amd64": amd,
        "docker/wash/linux-arm64": arm,
        "cargo/a-wash/x86": wash,
    }
    for place in places:
        (tmp_path / place).mkdir(parents=True)
    looked: list[Path] = []

    def verify(path: Path, **_trust: object) -> Any:
        looked.append(path)
        return places[path.relative_to(tmp_path).as_posix()]

    monkeypatch.setattr("doit_provenance.provenance.verify.lineage.verify_folder", verify)
    assert [(line.depth, line.id, line.problem) for line in _lines(both, tmp_path)] == [
        (0, "docker:wash@index", ""),
        (1, "docker:wash@linux/amd64", ""),
        (2, "cargo:a/wash@x86", ""),
        (1, "docker:wash@linux/arm64", ""),
        (2, "cargo:a/wash@x86", ""),
    ]
    assert len(looked) == len(set(looked))


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        (None, "it is not in the output folder"),
        (_Verified("cargo:wash@x86", "e" * 64), "the output folder contains another version, sha256:eee"),
        (_Verified("cargo:wish@x86", "c" * 64), "the output folder contains another version, sha256:ccc"),
    ],
)
def test_what_does_not_hold_is_named_and_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Any, problem: str
) -> None:
    image = _Verified("docker:wash@linux/amd64", "a" * 64, ("cargo:wash@x86", "c" * 64))
    place = tmp_path / "cargo/wash/x86"
    if held is not None:
        place.mkdir(parents=True)
    _fakes(monkeypatch, {place.as_posix(): held})
    _, line = _lines(image, tmp_path)
    assert (line.id, line.sha256, line.verified) == ("cargo:wash@x86", "c" * 64, None)
    assert line.problem.startswith(problem)


@pytest.mark.parametrize("id_", ["cargo:../../x@y", "cargo:a@..", "cargo:a/../b@y", "cargo:.@y", "cargo:a//b@y"])
def test_no_id_leads_out_of_the_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, id_: str) -> None:
    _fakes(monkeypatch, {})
    _, line = _lines(_Verified("docker:wash@linux/amd64", "a" * 64, (id_, "c" * 64)), tmp_path)
    assert line.problem == "its id is not a valid path in the output folder"


def test_real_folders(folder: Any, trust: Any, tmp_path: Path) -> None:
    """By the code of `doit verify`: a folder that does not verify is nobody's upstream."""
    place = folder.write()
    record_id = folder.record().artifact
    image = _Verified("docker:wash@linux/amd64", "a" * 64, (record_id, folder.digest.sha256))
    builder, _, rest = record_id.partition(":")
    name, _, platform = rest.rpartition("@")
    target = tmp_path / "out" / builder / name / platform
    shutil.copytree(place, target)
    _, line = list(lineage(image, tmp_path / "out", trust))  # type: ignore[arg-type] # it is only walked from
    assert line.verified is not None
    (target / "wash").write_bytes(b"poison")
    _, line = list(lineage(image, tmp_path / "out", trust))  # type: ignore[arg-type] # likewise
    assert (line.verified, line.problem) == (None, f"`{record_id}` is not verified:")
