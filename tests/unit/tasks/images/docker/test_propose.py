from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.config import parse
from doit_provenance.provenance.config.starter import Standing, starter
from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.images.docker import dockerfile_discovery
from doit_provenance.tasks.images.docker.bake import Target
from doit_provenance.tasks.images.docker.dockerfile_discovery import propose_images

if TYPE_CHECKING:
    from pathlib import Path


def _target(name: str, **changes: Any) -> Target:
    known = {"settings": {"context": "."}, "dockerfile": "Dockerfile", "left_out": (), "unfit": ""}
    return Target(name=name, **{**known, "is_default": True, "is_image": True, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def baked(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """Return the targets that the workspace's bake file has."""
    (root / "docker-bake.hcl").touch()
    targets: list[Target] = []
    monkeypatch.setattr(dockerfile_discovery, "read_bake", lambda *_: targets)
    return targets


def _standings(root: Path) -> dict[str, Standing]:
    return {one.name: one.standing for one in propose_images(root, "pots", ()).proposed}


def test_a_dockerfile_is_offered_and_taken_line_by_line(root: Path) -> None:
    (root / "tea").mkdir()
    (root / "tea/Dockerfile.big").write_text("FROM scratch\n", encoding="utf-8")
    found = propose_images(root, "pots", ())
    assert {one.name: (one.standing, dict(one.settings)) for one in found.proposed} == {
        "pots": (Standing.OFFERED, {"context": "."}),
        "big": (Standing.OFFERED, {"context": "tea", "dockerfile": "tea/Dockerfile.big"}),
    }
    text = starter(proposed=found.proposed)
    assert parse(text.encode(), workspace=root).dockers == ()
    for line in ('#pots.context = "."', '#big.context = "tea"', '#big.dockerfile = "tea/Dockerfile.big"'):
        assert f"{line}\n" in text
        text = text.replace(f"{line}\n", f"{line[1:]}\n")
    assert [one.name for one in parse(text.encode(), workspace=root).dockers] == ["pots", "big"]


def test_a_target_that_bake_builds_by_itself_is_set(root: Path, baked: list[Target]) -> None:
    settings = {"context": ".", "platforms": ("linux/amd64",), "args": {"A": 'x"y'}, "contexts": {"a/b": "web"}}
    baked += [_target("tea", settings=settings), _target("dev", is_default=False)]
    found = propose_images(root, "pots", ())
    (image,) = parse(starter(proposed=found.proposed).encode(), workspace=root).dockers
    assert (image.name, image.platforms, dict(image.args)) == ("tea", ("linux/amd64",), {"A": 'x"y'})
    assert dict(image.contexts) == {"a/b": "web"}
    assert _standings(root) == {"tea": Standing.SET, "dev": Standing.OFFERED}
    assert found.notes == ()


def test_a_target_of_which_something_is_left_out_is_offered(root: Path, baked: list[Target]) -> None:
    baked.append(_target("tea", left_out=("ssh", "labels")))
    (one,) = propose_images(root, "pots", ()).proposed
    assert one.standing is Standing.OFFERED
    assert "No setting says of it: ssh, labels." in one.seen


def test_a_target_that_can_be_no_image_is_said(root: Path, baked: list[Target]) -> None:
    """Its Dockerfile, which only seems to be the one at the root, is offered by itself."""
    baked.append(_target("tea", unfit="its Dockerfile stands in the bake file"))
    found = propose_images(root, "pots", ())
    assert [one.name for one in found.proposed] == ["pots"]
    assert found.notes == ("target `tea` of docker-bake.hcl is not proposed: its Dockerfile stands in the bake file",)


def test_targets_that_make_no_image_are_counted(root: Path, baked: list[Target]) -> None:
    """Nor are their Dockerfiles proposed by themselves."""
    baked += [_target(f"check-{number}", is_image=False) for number in range(7)]
    found = propose_images(root, "pots", ())
    assert found.proposed == ()
    (line,) = found.notes
    assert line.endswith("make no image are not proposed: check-0, check-1, check-2, check-3, check-4, and 2 more")


def test_what_the_configuration_does_not_take_is_said(root: Path, baked: list[Target]) -> None:
    baked.append(_target("tea", settings={"context": ".", "target": "no stage"}))
    found = propose_images(root, "pots", ())
    assert found.proposed == ()
    (line,) = found.notes
    assert line.startswith("docker:tea is not proposed: docker.tea.target: expected a stage's name")


def test_names_that_are_taken(root: Path, baked: list[Target]) -> None:
    for path in ("a/tea/Dockerfile", "b/tea/Dockerfile", "tea.Dockerfile"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("FROM scratch\n", encoding="utf-8")
    baked.append(_target("pots", dockerfile="other/Dockerfile"))
    assert list(_standings(root)) == ["pots", "pots-2", "tea", "a-tea", "b-tea"]


def test_bake_files_that_can_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dockerfiles are proposed all the same."""
    (root / "docker-bake.hcl").touch()
    monkeypatch.setenv("PATH", str(root))
    found = propose_images(root, "pots", ())
    assert [one.name for one in found.proposed] == ["pots"]
    (line,) = found.notes
    assert line.startswith("docker-bake.hcl was not read, so its targets are not proposed: `docker` is not installed")


def test_without_a_bake_file_docker_is_not_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise ToolError("asked")

    monkeypatch.setattr(dockerfile_discovery, "read_bake", asked)
    assert propose_images(root, "pots", ()).notes == ()


def test_very_many(root: Path) -> None:
    for number in range(40):
        (root / f"Dockerfile.x{number}").write_text("FROM scratch\n", encoding="utf-8")
    found = propose_images(root, "pots", ())
    assert len(found.proposed) == 30
    assert found.notes == ("only the first 30 of 41 Dockerfiles are proposed",)
