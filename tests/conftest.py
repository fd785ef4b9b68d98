"""How every test runs: units first, as on a developer's machine, and in CI without an excuse for a real tool."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler.loadscope import LoadScopeScheduling

_IN_CI = os.environ.get("CI") == "true"
_INTEGRATION = Path(__file__).parent / "integration"

_ALONE = frozenset({"test_cargo_memory.py", "test_clocks.py", "test_interrupt.py", "test_two_runs.py"})
"""Files whose tests measure memory or time or send signals: one worker runs them, one after another."""

_CI_VARIABLES = (
    *("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD"),
    "SOURCE_DATE_EPOCH",
)
_USER_FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")


@pytest.fixture(scope="session", autouse=True)
def _developers_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide CI and the user's own settings and keys, so that a test means the same wherever it runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (*_CI_VARIABLES, *(name for name in os.environ if name.startswith("DOIT_PROVENANCE_"))):
            # Where the tools of the tests lie is no setting of the program.
            if name != "DOIT_PROVENANCE_TOOLS":
                patch.delenv(name, raising=False)
        for name in _USER_FOLDERS:
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


def pytest_configure(config: pytest.Config) -> None:
    if _IN_CI:
        config.pluginmanager.register(_SkipCounter())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the quick tests first; hold the mark and the folder together."""
    for item in items:
        marked, there = item.get_closest_marker("integration") is not None, item.path.is_relative_to(_INTEGRATION)
        if marked != there:
            raise pytest.UsageError(f"{item.nodeid}: tests marked `integration` are those in tests/integration")
    items.sort(key=lambda item: item.path.is_relative_to(_INTEGRATION))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """With `-n`, spread the unit tests over all workers; the quick ones first here, too.

    The tests of real tools in one file share builds and services: one worker runs them, in order.
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not file.startswith("tests/integration/"):
                return nodeid
            return "alone" if Path(file).name in _ALONE else file

    config.option.loadscopereorder = False
    return Scheduling(config, log)


class _SkipCounter:
    """In CI, a test of a real tool that did not run is a failure: the tool is missing, and nobody would notice."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail") and "integration" in report.keywords:
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped and report.nodeid.startswith("tests/integration"):
            self._note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._reasons and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._reasons:
            terminalreporter.section("skipped, which is a failure in CI", red=True, bold=True)
            for name, reason in self._reasons.items():
                terminalreporter.line(f"{name}: {reason}")

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        self._reasons[report.nodeid] = reason.removeprefix("Skipped: ")
