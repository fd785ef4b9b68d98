"""What docs/images.md promises of several machines: images are built apart, and joined where their keys are trusted."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from .workspaces import DOIT, DOIT_PROVENANCE, Repository, repository

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Service

pytestmark = pytest.mark.integration

TABLE = """
[docker.tea]
platforms = ["linux/amd64", "linux/arm64"]
"""
DOCKERFILE = "FROM scratch\nARG TARGETARCH\nCOPY leaves /$TARGETARCH\n"
AMD64, ARM64, INDEX = "docker:tea@linux/amd64", "docker:tea@linux/arm64", "docker:tea@index"


@pytest.fixture
def machines(tmp_path: Path, buildkit: Service) -> tuple[Repository, Repository, Repository]:
    """Return one checkout on three machines, each with a key of its own."""
    found = tuple(repository(tmp_path / name / "pots", **buildkit.env) for name in ("first", "second", "third"))
    for machine in found:
        files = {"provenance.toml": TABLE, "Dockerfile": DOCKERFILE, "leaves": "green\n", ".dockerignore": "keys\n"}
        machine.write(files)
        machine.commit()
    first, second, third = found
    return first, second, third


def _bring(source: Repository, target: Repository, platform: str) -> None:
    place = f"dist/docker/tea/{platform}"
    shutil.copytree(source.root / place, target.root / place)


def _trust(target: Repository, *others: Repository) -> None:
    (target.root / "keys").mkdir()
    for number, other in enumerate(others):
        public = other.run(*DOIT_PROVENANCE, "key").ok()
        (target.root / f"keys/{number}.pem").write_text(_pem(public.out), encoding="utf-8")
    names = ", ".join(f'"keys/{number}.pem"' for number in range(len(others)))
    target.write({"provenance.toml": f"{TABLE}\n[signing]\npublic-keys = [{names}]\n"})


def _pem(text: str) -> str:
    return text[text.index("-----BEGIN") :]


def test_images_of_two_machines_are_joined_on_a_third(machines: tuple[Repository, Repository, Repository]) -> None:
    first, second, third = machines
    first.run(*DOIT, AMD64).ok()
    second.run(*DOIT, ARM64).ok()
    _bring(first, third, "linux-amd64")
    _bring(second, third, "linux-arm64")
    third.run(*DOIT, "run", "--single", INDEX).failed(1, "record signed with a key that is not trusted")
    assert not (third.root / "dist/docker/tea/index").exists()
    _trust(third, first, second)
    third.run(*DOIT, "run", "--single", INDEX).ok()
    verified = third.run(*DOIT_PROVENANCE, "verify", "docker:tea").ok()
    assert verified.out.count("verified  ") == 3
    image = third.root / "dist/docker/tea/index/image"
    (entry,) = json.loads((image / "index.json").read_bytes())["manifests"]
    index = json.loads((image / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).read_bytes())
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    for one, platform in zip(index["manifests"], ("linux-amd64", "linux-arm64"), strict=True):
        record = json.loads((third.root / f"dist/docker/tea/{platform}/tea.record.json").read_bytes())
        assert one["digest"] == f"sha256:{record['digest']['sha256']}"


def test_two_machines_build_the_same(machines: tuple[Repository, Repository, Repository]) -> None:
    """Neither the umask nor the time of a checkout gets into an image."""
    first, second, _ = machines
    (second.root / "leaves").chmod(0o600)
    digests = []
    for machine in (first, second):
        machine.run(*DOIT, AMD64, env={"SOURCE_DATE_EPOCH": "1700000000"}).ok()
        digests.append(
            json.loads((machine.root / "dist/docker/tea/linux-amd64/tea.record.json").read_bytes())["digest"]
        )
    assert digests[0] == digests[1]
