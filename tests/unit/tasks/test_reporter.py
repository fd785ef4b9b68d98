from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from doit.exceptions import TaskFailed, UnmetDependency

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.pipeline.outcome import Done, Outcome
from doit_provenance.tasks.progress.progress import Display
from doit_provenance.tasks.reporter import META, Reporter
from doit_provenance.tasks.session import Session

if TYPE_CHECKING:
    from doit_provenance.tasks.context import Context


def _task(name: str, session: object = None, task_dep: tuple[str, ...] = (), actions: tuple[Any, ...] = ("x",)) -> Any:
    return SimpleNamespace(
        name=name, meta={META: session}, task_dep=list(task_dep), actions=actions, title=lambda: name, executed=False
    )


@pytest.fixture
def session(context: Context) -> Session:
    """Return a session whose artifacts a test adds."""
    return Session(context, state=None, signer=None)  # type: ignore[arg-type] # nobody asks them


def _artifacts(session: Session, count: int) -> list[Any]:
    for number in range(count):
        artifact = Artifact(builder="kettle", name=f"cup{number}", platform="any", group="g", file="cup")
        session.artifacts[artifact.id] = artifact
    return [_task(id_, session) for id_ in session.artifacts]


def _done(session: Session, task: Any, done: Done) -> None:
    artifact = session.artifacts[task.name]
    session.outcomes[task.name] = Outcome(artifact=artifact, done=done, digest=digest_bytes(b"tea"))


def _reporter(tasks: list[Any]) -> Reporter:
    reporter = Reporter(io.StringIO(), {})
    reporter.initialize({t.name: t for t in tasks}, [t.name for t in tasks])
    return reporter


def _said(reporter: Reporter) -> str:
    reporter.complete_run()
    return str(reporter.outstream.getvalue())


def test_many_thousand_fresh_artifacts_cost_nearly_nothing(session: Session) -> None:
    tasks = _artifacts(session, 10_000)
    for task in tasks:
        _done(session, task, Done.FRESH)
    begin = time.process_time()
    reporter = _reporter(tasks)
    for task in tasks:
        reporter.get_status(task)
        reporter.skip_uptodate(task)
    assert _said(reporter) == "10000 artifacts are fresh\n"
    assert time.process_time() - begin < 0.5, "of processor time, for ten thousand"


def test_what_was_selected_comes_with_what_it_depends_on(session: Session) -> None:
    tasks = [*_artifacts(session, 3), _task("group", session, ("kettle:cup0@any", "kettle:cup2@any"))]
    Reporter(io.StringIO(), {}).initialize({t.name: t for t in tasks}, ["group"])
    assert session.selected == {"kettle:cup0@any", "kettle:cup2@any"}


def test_what_depends_on_a_failure_is_told_before_it(session: Session) -> None:
    cup, pot = _artifacts(session, 2)
    group = _task("kettle", session, (cup.name, pot.name))
    reporter = _reporter([cup, pot, group])
    reporter.add_failure(cup, TaskFailed("it leaks"))
    reporter.add_failure(pot, UnmetDependency(cup.name))
    reporter.add_failure(group, UnmetDependency(f"{cup.name} {pot.name}"))
    assert _said(reporter) == (
        f"skipped: `{pot.name}` (dependency `{cup.name}` failed)\nerror: `{cup.name}`: it leaks\n"
    )


def test_log_is_named_and_the_tool_has_the_last_word(session: Session) -> None:
    (cup,) = _artifacts(session, 1)
    reporter = _reporter([cup])
    error = BuildError("`boil` failed", hint="mend it")
    with pytest.raises(BuildError):
        _call(session, cup, error, b"error: it leaks\n")
    reporter.add_failure(cup, TaskFailed(str(error)))
    log = ".provenance/logs/kettle/cup0/any.log"
    assert _said(reporter) == f"error: `{cup.name}`: `boil` failed\nhint: mend it\nlog: {log}\n\nerror: it leaks\n"


def test_log_is_named_where_something_else_failed(session: Session) -> None:
    """Whose last word the tool has not."""
    (cup,) = _artifacts(session, 1)
    reporter = _reporter([cup])
    _call(session, cup, None, b"all is well\n")
    reporter.add_failure(cup, TaskFailed("the disk is full"))
    assert _said(reporter) == f"error: `{cup.name}`: the disk is full\nlog: .provenance/logs/kettle/cup0/any.log\n"


def _call(session: Session, task: Any, error: Exception | None, wrote: bytes) -> None:
    with session.context.progress.call([session.artifacts[task.name]], ["boil"]) as sink:
        sink(wrote)
        if error:
            raise error


def test_siblings_of_a_failing_call_are_not_called_unreached(session: Session) -> None:
    tasks = _artifacts(session, 3)
    reporter = _reporter(tasks)
    error = BuildError("`boil` failed")
    with (
        pytest.raises(BuildError),
        session.context.progress.call([session.artifacts[t.name] for t in tasks[:2]], ["boil"]),
    ):
        raise error
    reporter.add_failure(tasks[0], TaskFailed(str(error)))
    assert _said(reporter).startswith("1 artifact was not reached; ")


def test_failures_are_told_on_the_terminal_though_results_go_elsewhere(session: Session) -> None:
    (cup,) = _artifacts(session, 1)
    reporter = _reporter([cup])
    screen = io.StringIO()
    reporter._display.errors = screen
    reporter.add_failure(cup, TaskFailed("it leaks"))
    assert _said(reporter) == ""
    assert screen.getvalue() == f"error: `{cup.name}`: it leaks\n"


def test_nobody_prints_a_passphrase(
    session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_PASSPHRASE", "hunter2")
    (cup,) = _artifacts(session, 1)
    reporter = _reporter([cup])
    reporter.add_failure(cup, TaskFailed("boiled with hunter2"))
    assert "boiled with ***" in _said(reporter)
    said = capsys.readouterr().err
    assert "boiled with ***" in said
    assert "hunter2" not in said


def test_task_of_the_user_s_own_has_the_screen(session: Session) -> None:
    """It writes to it directly, so no live line may be there meanwhile; what doit says of it is as ever."""
    heard: list[str] = []

    class Heard(Display):
        def suspend(self) -> None:
            heard.append("suspended")

        def resume(self) -> None:
            heard.append("resumed")

    (cup,) = _artifacts(session, 1)
    _done(session, cup, Done.FRESH)
    works, fails, idle = _task("works"), _task("fails"), _task("idle")
    reporter = _reporter([cup, works, fails, idle])
    reporter._display = Heard()
    reporter.execute_task(works)
    reporter.add_success(works)
    reporter.execute_task(fails)
    reporter.add_failure(fails, TaskFailed("no"))
    reporter.skip_uptodate(idle)
    assert heard == ["suspended", "resumed"] * 2
    said = _said(reporter)
    assert re.match(r"\.  works\n\.  fails\nTaskFailed - taskid:fails\nno\n+-- idle\n", said)
    assert said.endswith("1 artifact is fresh\n")


def test_run_without_our_tasks_is_doits_own(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = _reporter([_task("works")])
    assert _said(reporter) == ""
    assert capsys.readouterr() == ("", "")
