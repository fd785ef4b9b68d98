from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.slsa import BuilderId
from doit_provenance.provenance.errors import BuildError, KeyFileError, StoreError, ToolError
from doit_provenance.provenance.verify.verifier import verify_folder
from doit_provenance.tasks.session import Session

if TYPE_CHECKING:
    from pathlib import Path

PARTS = ["tea-hot", "tea-iced", "tea-sweet", "mug"]


@pytest.fixture
def session(workspace: Any, builder: Any, kettle_alone: Any) -> Session:
    kettle_alone.names = list(PARTS)
    session = Session(workspace)
    session.add(builder)
    return session


def _select(session: Session, *names: str) -> None:
    session.selected = {i for i, artifact in session.artifacts.items() if artifact.name in names}


def _artifact(session: Session, name: str) -> Any:
    return session.artifacts[f"kettle:{name}@linux/amd64"]


def test_group_is_built_once_for_what_is_selected(session: Session, kettle: Any) -> None:
    _select(session, "tea-hot", "tea-sweet", "mug")
    for name in ("tea-sweet", "tea-hot", "mug"):
        session.make(_artifact(session, name))
    assert kettle.calls == [["tea-hot", "tea-sweet"], ["mug"]]
    assert {i.partition("@")[0] for i in session.outcomes} == {"kettle:tea-hot", "kettle:tea-sweet", "kettle:mug"}


def test_group_is_built_once_by_many_threads(session: Session, kettle: Any) -> None:
    _select(session, *PARTS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(session.make, session.artifacts.values()))
    assert sorted(kettle.calls) == [["mug"], ["tea-hot", "tea-iced", "tea-sweet"]]
    assert len(session.outcomes) == 4


def test_what_nobody_selected_is_built_when_it_is_asked_for(session: Session, kettle: Any) -> None:
    """Under a reporter of doit's own nothing is selected."""
    session.make(_artifact(session, "tea-hot"))
    session.make(_artifact(session, "tea-iced"))
    assert kettle.calls == [["tea-hot"], ["tea-iced"]]
    assert len(session.outcomes) == 2


def test_builder_is_told_when_an_artifact_is_done_with(
    session: Session, builder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its way ended well or not; else what a builder keeps for it would stay for ever."""
    session.make(_artifact(session, "tea-hot"))
    monkeypatch.setattr(builder, "describe", _fails)
    with pytest.raises(ToolError):
        session.make(_artifact(session, "tea-iced"))
    assert builder.released == ["kettle:tea-hot@linux/amd64", "kettle:tea-iced@linux/amd64"]


def _fails(*_: object) -> None:
    raise ToolError("can't be described")


def test_failing_group_fails_for_each_member_and_is_tried_once(session: Session, kettle: Any) -> None:
    _select(session, *PARTS)
    kettle.building = BuildError("the kettle leaks")
    for name in ("tea-hot", "tea-iced", "tea-sweet"):
        with pytest.raises(BuildError, match="leaks"):
            session.make(_artifact(session, name))
    assert kettle.calls == [["tea-hot", "tea-iced", "tea-sweet"]]
    kettle.building = None
    session.make(_artifact(session, "mug"))
    assert set(session.outcomes) == {"kettle:mug@linux/amd64"}


def test_failing_discovery_is_remembered(workspace: Any, builder: Any, kettle: Any) -> None:
    kettle.discovery = ToolError("there is no kettle")
    session = Session(workspace)
    with pytest.raises(ToolError, match="no kettle"):
        session.add(builder)
    assert session.failures == {"kettle": kettle.discovery}
    assert session.artifacts == {}


def test_missing_key_costs_no_build(session: Session, kettle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(kettle.folder / "none" / "key.pem"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(KeyFileError, match="none is made in CI"):
        session.make(_artifact(session, "mug"))
    assert kettle.calls == []


def test_new_key_is_spoken_of_once(
    session: Session, kettle: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = kettle.folder / "none" / "key.pem"
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(path))
    monkeypatch.setenv("CI", "")
    session.make(_artifact(session, "mug"))
    assert f"made a signing key: `{path}`; its public half, `{path.with_suffix('.pub')}`" in capsys.readouterr().err
    again = Session(session.workspace)
    again.add(session._builders["kettle"])
    again.make(_artifact(again, "mug"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("ci", "expected"), [("true", BuilderId.CI), ("", BuilderId.LOCAL)])
def test_provenance_says_whether_it_was_ci(
    session: Session, signing: Any, monkeypatch: pytest.MonkeyPatch, ci: str, expected: BuilderId
) -> None:
    monkeypatch.setenv("CI", ci)
    session.make(_artifact(session, "mug"))
    outcome = session.outcomes["kettle:mug@linux/amd64"]
    found = verify_folder(outcome.folder, trust=signing.trust)
    assert found.build.run_details.builder_id == expected


def test_state_folder_that_can_not_be_made_is_an_error_of_the_task(session: Session, root: Path) -> None:
    (root / ".provenance").write_text("a file")
    with pytest.raises(StoreError, match=r"\.provenance"):
        session.make(_artifact(session, "mug"))
