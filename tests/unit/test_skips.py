"""The rule of tests/conftest.py that CI knows no skipped test of a real tool, tried in a project made for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

_CONFTEST = Path(__file__).parents[1] / "conftest.py"
_INI = "[pytest]\nmarkers = integration: drives real tools\n"
_SKIPPED = """
import pytest
@pytest.mark.integration
def test_tool():
    pytest.skip("no such tool")
"""
_SKIPPED_MODULE = """
import pytest
pytest.skip("no such library", allow_module_level=True)
"""
_PASSED = """
import pytest
@pytest.mark.integration
def test_tool():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    pytester.makefile(".ini", pytest=_INI)
    for folder in ("unit", "integration"):
        (pytester.path / "tests" / folder).mkdir(parents=True)
    shutil.copy(_CONFTEST, pytester.path / "tests")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # quicker by a second
    return pytester


def _run(project: pytest.Pytester, source: str, folder: str = "integration", workers: int = 0) -> pytest.RunResult:
    (project.path / "tests" / folder / "test_it.py").write_text(source)
    return project.runpytest_inprocess("-p", "no:cacheprovider", "-p", "xdist", "-n", str(workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_skip_in_ci_fails_the_run(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    monkeypatch.setenv("CI", "true")
    result = _run(project, _SKIPPED, workers=workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*skipped, which is a failure in CI*", "*test_it.py::test_tool: no such tool"])


@pytest.mark.parametrize("workers", [0, 1])
def test_skip_of_a_module_in_ci_fails_the_run(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setenv("CI", "true")
    result = _run(project, _SKIPPED_MODULE, workers=workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["tests/integration/test_it.py: no such library"])


def test_skip_elsewhere_is_a_skip(project: pytest.Pytester) -> None:
    result = _run(project, _SKIPPED)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(skipped=1)


def test_no_skip_in_ci_passes(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert _run(project, _PASSED).ret == pytest.ExitCode.OK


def test_ci_is_hidden_from_tests(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", "somewhere")
    source = "import os\ndef test_it():\n    assert not {'CI', 'DOIT_PROVENANCE_KEY'} & set(os.environ)\n"
    assert _run(project, source, "unit").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(("source", "folder"), [(_PASSED, "unit"), ("def test_it(): pass", "integration")])
def test_mark_and_folder_belong_together(project: pytest.Pytester, source: str, folder: str) -> None:
    result = _run(project, source, folder)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *tests marked `integration` are those in tests/integration"])
