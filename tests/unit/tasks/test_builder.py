from __future__ import annotations

from pathlib import Path

import pytest

from doit_provenance.provenance.config import parse
from doit_provenance.provenance.errors import ConfigError
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.workspace import Workspace


def _artifact(name: str = "tea", platform: str = "linux/arm64") -> Artifact:
    return Artifact(builder="kettle", name=name, platform=platform, group="g", file="tea")


def test_id_and_folder() -> None:
    assert _artifact("tea+fips").id == "kettle:tea+fips@linux/arm64"
    assert _artifact("herbs/tea").folder == Path("kettle", "herbs-tea", "linux-arm64")


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a@b", "a:b", "a=b", "*", "a[0]", "a?", "a\\b", "a\nb", "a\x1bb", "/a", "a/", "a//b", ".", "..",
     "../a", "a/../b", "a/."],
)  # fmt: skip
def test_names_that_could_be_no_task_or_lead_elsewhere(name: str) -> None:
    for parts in ({"name": name}, {"platform": name}):
        with pytest.raises(ConfigError, match="can't be part of an artifact's id") as caught:
            _artifact(**parts)
        assert "cargo.rename" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["tea", "tea-pot_2", "tea+fips", "grün", ".tea", "a.b", "a/b.c"])
def test_names_that_can(name: str) -> None:
    assert _artifact(name).name == name


def _workspace(text: str, root: Path) -> Workspace:
    return Workspace(root=root, config=parse(text.encode(), workspace=root))


def test_project_is_who_is_configured(tmp_path: Path) -> None:
    text = '[project]\nname = "pot"\n[project.supplier]\nname = "Tea Ltd"\nemail = "tea@tea.example"\n'
    assert _workspace(text, tmp_path).project == Party(name="Tea Ltd", email="tea@tea.example")


def test_project_is_named_after_its_address_or_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    source = '[project]\nsource = "https://tea.example/ada/pots"\n'
    assert _workspace(source, tmp_path).project == Party(name="pots", url="https://tea.example/ada/pots")
    assert _workspace("", tmp_path).project == Party(name=tmp_path.name)


def test_output_and_state_lie_in_the_workspace(tmp_path: Path) -> None:
    found = _workspace('[project]\noutput = "out/put"\n', tmp_path)
    assert (found.output, found.state) == (tmp_path / "out" / "put", tmp_path / ".provenance")
