from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.observe import base, prerequisites


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/t/tea: /s/main.rs /s/lib.rs\n", ["/s/main.rs", "/s/lib.rs"]),
        ("/t/tea: /s/main.rs", ["/s/main.rs"]),
        ("/t/tea: /s/a\\ b/main.rs /s/größe.rs\n", ["/s/a b/main.rs", "/s/größe.rs"]),
        ("/t/a\\ b/tea: /s/main.rs\n", ["/s/main.rs"]),
        ("/t/a:b/tea: /s/a:b.rs\n", ["/s/a:b.rs"]),
        ("/t/a:\\ b/tea: /s/a:\\ b.rs\n", ["/s/a: b.rs"]),
        ("C:\\t\\tea.exe: C:\\s\\main.rs C:\\a\\ b\\lib.rs\n", ["C:\\s\\main.rs", "C:\\a b\\lib.rs"]),
        ("/t/tea: /s/a\\#b.rs /s/a#b.rs\n", ["/s/a#b.rs", "/s/a#b.rs"]),
        ("/t/tea:  /s/main.rs  /s/lib.rs \n", ["/s/main.rs", "/s/lib.rs"]),
        ("/t/tea: src/main.rs\n\nsrc/main.rs:\n\n# env-dep:X=1\n", ["src/main.rs"]),
        ("/t/tea:\n", []),
        ("", []),
    ],
)
def test_prerequisites(text: str, expected: list[str]) -> None:
    assert [str(p) for p in prerequisites(text)] == expected


@given(
    paths=st.lists(st.text("ab :é#.", min_size=1, max_size=8).map("/s/{}x".format), max_size=4),
    target=st.text("ab :é.", max_size=8).map("/t/{}x".format),
)
def test_reads_what_cargo_writes(paths: list[str], target: str) -> None:
    """Cargo escapes spaces, in the target too, and nothing else."""
    text = f"{target}: {' '.join(paths)}" if " " not in target + "".join(paths) else None
    escaped = f"{_escaped(target)}: {' '.join(map(_escaped, paths))}\n"
    assert list(prerequisites(escaped)) == [Path(p) for p in paths]
    if text is not None:
        assert list(prerequisites(text)) == [Path(p) for p in paths]


def _escaped(path: str) -> str:
    return path.replace(" ", "\\ ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target/release/tea: src/main.rs\n", "/s p"),
        ("p/target/release/tea: src/main.rs\n", None),
        ("s\\ p/target/release/tea: src/main.rs\n", "/"),
        ("tea:\n", "/s p/target/release"),
        ("/s\\ p/target/release/tea: src/main.rs\n", None),
        ("", None),
    ],
)
def test_where_paths_start_that_are_no_whole_ones(text: str, expected: str | None) -> None:
    target = Path("/s p/target/release/tea")
    if expected is not None:
        assert base(text, target) == Path(expected)
        return
    with pytest.raises(ToolError, match="cargo's dependency file of `tea` has paths that start nowhere"):
        base(text, target)
