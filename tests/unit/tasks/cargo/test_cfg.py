from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.toolchain import matches

FACTS = frozenset({"unix", "debug_assertions", 'target_os="linux"', 'target_arch="x86_64"', 'target_feature="sse2"'})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cfg(unix)", True),
        ("cfg(windows)", False),
        ('cfg(target_os = "linux")', True),
        ('cfg(target_os="linux")', True),
        ('cfg(target_os = "macos")', False),
        ("cfg(target_os)", False),
        ('cfg(unix = "x")', False),
        ("cfg(all())", True),
        ("cfg(any())", False),
        ("cfg(all(unix, windows))", False),
        ("cfg(any(windows, unix,))", True),
        ("cfg(not(windows))", True),
        ("cfg(not(unix))", False),
        ('cfg(all(unix, not(target_os = "macos"), any(target_arch = "x86_64", windows)))', True),
        (" cfg ( all ( unix , debug_assertions ) ) ", True),
        ("cfg(true)", True),
        ("cfg(false)", False),
        ('cfg(target_feature = "sse2")', True),
        ('cfg(x = "a, b) = (")', False),
    ],
)
def test_expressions(expression: str, expected: bool) -> None:  # noqa: FBT001 - from the table
    assert matches(expression, FACTS) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "unix",
        "cfg",
        "cfg(",
        "cfg()",
        "cfg(unix",
        "cfg(unix))",
        "cfg(unix) x",
        "cfg(unix windows)",
        "cfg(all(unix windows))",
        "cfg(all(unix)",
        "cfg(not())",
        "cfg(not(unix, windows))",
        "cfg(some(unix))",
        "cfg(target_os =)",
        "cfg(target_os = linux)",
        'cfg("unix")',
        "cfg(=)",
        "cfg(,)",
        "cfg(all(,))",
        'cfg(target_os = "linux)',
        "cfg(unix && windows)",
        "x86_64-unknown-linux-gnu",
        f"cfg({'not(' * 3000}unix{')' * 3000})",
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ToolError, match="is no cfg expression"):
        matches(expression, FACTS)


_WORDS = ["cfg", "(", ")", ",", "=", "all", "not", "any", "unix", '"linux"', "target_os", " "]
_PIECES = st.lists(st.sampled_from(_WORDS))


@given(expression=st.text(max_size=30) | _PIECES.map("".join) | _PIECES.map(lambda found: f"cfg({''.join(found)})"))
def test_any_text_is_an_expression_or_a_tool_error(expression: str) -> None:
    try:
        assert matches(expression, FACTS) in {True, False}
    except ToolError as error:
        assert "is no cfg expression" in error.message  # noqa: PT017 - an error is one of two right answers
