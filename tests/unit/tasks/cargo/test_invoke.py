from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.errors import ToolError
from doit_provenance.tasks.cargo.invoke import Compiled, Messages, ScriptRun, read_messages
from doit_provenance.tasks.cargo.units import UnitKey

PROFILE = {"opt_level": "3", "debuginfo": 0, "debug_assertions": False, "overflow_checks": False, "test": False}
COMPILED: dict[str, Any] = {
    "reason": "compiler-artifact",
    "package_id": "path+file:///s/tea#0.1.0",
    "manifest_path": "/s/tea/Cargo.toml",
    "target": {"kind": ["bin"], "crate_types": ["bin"], "name": "tea", "src_path": "/s/tea/src/main.rs"},
    "profile": PROFILE,
    "features": ["hot", "sweet"],
    "filenames": ["/t/release/tea", "/t/release/tea.dwp"],
    "executable": "/t/release/tea",
    "fresh": False,
}
SCRIPT: dict[str, Any] = {
    "reason": "build-script-executed",
    "package_id": "path+file:///s/tea#0.1.0",
    "linked_libs": ["z"],
    "linked_paths": [],
    "cfgs": ["hot", 'size="big"'],
    "env": [["TEA", "a=b"]],
    "out_dir": "/t/out",
}


def _line(document: dict[str, Any], **changes: object) -> bytes:
    return json.dumps(document | changes, separators=(",", ":")).encode() + b"\n"


def _read(*lines: bytes) -> Messages:
    *_, last = [Messages(), *read_messages(lines)]
    return last


def test_compiled() -> None:
    assert _read(_line(COMPILED)).compiled == [
        Compiled(
            key=UnitKey(
                package="path+file:///s/tea#0.1.0",
                kind="bin",
                target="tea",
                features=("hot", "sweet"),
                profile=("3", "False", "False"),
            ),
            files=(Path("/t/release/tea"), Path("/t/release/tea.dwp")),
            executable=Path("/t/release/tea"),
            manifest=Path("/s/tea/Cargo.toml"),
            fresh=False,
        )
    ]


def test_library_has_no_executable() -> None:
    target = COMPILED["target"] | {"kind": ["lib", "cdylib"]}
    (found,) = _read(_line(COMPILED, executable=None, fresh=True, target=target)).compiled
    assert (found.executable, found.fresh, found.key.kind) == (None, True, "lib+cdylib")


def test_build_scripts_of_one_package_are_all_kept() -> None:
    """A package that is built for host and target runs its script twice, each with its own folder."""
    found = _read(_line(SCRIPT), _line(SCRIPT, out_dir="/t/host"))
    first = ScriptRun(out_dir=Path("/t/out"), cfgs=("hot", 'size="big"'), environment={"TEA": "a=b"}, libraries=("z",))
    assert found.scripts["path+file:///s/tea#0.1.0"][0] == first
    assert [run.out_dir for run in found.scripts["path+file:///s/tea#0.1.0"]] == [Path("/t/out"), Path("/t/host")]


def test_static_libraries_that_a_build_script_found(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    for name in ("libown.a", "build/libdeep.a"):
        (tmp_path / name).touch()
    asked = ["static=own", "static:+whole-archive=deep", "static=ssl", "static:+verbatim=z:zlib", "dylib=c", "m",
             "framework=Foundation"]  # fmt: skip
    found = _read(_line(SCRIPT, out_dir=str(tmp_path), linked_libs=asked))
    assert found.scripts["path+file:///s/tea#0.1.0"][0].found_archives() == ("ssl", "z")


def test_the_same_object_grows_with_each_message_that_matters() -> None:
    seen = [(id(m), len(m.compiled), len(m.scripts)) for m in read_messages([_line(COMPILED), b"x\n", _line(SCRIPT)])]
    assert [counts for _, *counts in seen] == [[1, 0], [1, 1]]
    assert len({which for which, *_ in seen}) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"sccache: started\n",
        b"{ this is a proc-macro's own output }\n",
        b'{"a": 1, "a": 2}\n',
        b"{}\n",
        b"\xff\xfe\n",
        b'{"reason":"build-finished","success":true}\n',
        b'{"reason":"compiler-message","message":{"rendered":"warning"}}\n',
        b'{"reason":"of a later version","x":[1]}\n',
    ],
)
def test_other_lines_do_not_matter(line: bytes) -> None:
    assert _read(line, _line(COMPILED), line) == _read(_line(COMPILED))


@pytest.mark.parametrize(
    ("document", "changes"),
    [
        (COMPILED, {"target": None}),
        (COMPILED, {"target": {"kind": ["bin"]}}),
        (COMPILED, {"profile": []}),
        (COMPILED, {"features": "hot"}),
        (COMPILED, {"filenames": None}),
        (SCRIPT, {"env": [["TEA"]]}),
        (SCRIPT, {"env": ["TEA=pot"]}),
        (SCRIPT, {"env": [7]}),
        (SCRIPT, {"cfgs": None}),
    ],
)
def test_message_of_another_shape(document: dict[str, Any], changes: dict[str, object]) -> None:
    with pytest.raises(ToolError, match=r"was not understood|another shape"):
        _read(_line(document, **changes))


@pytest.mark.parametrize("document", [COMPILED, SCRIPT])
def test_message_that_lacks_a_key(document: dict[str, Any]) -> None:
    needed = set(document) - {"reason", "linked_paths"}
    for key in needed:
        with pytest.raises(ToolError, match="was not understood"):
            _read(_line({k: v for k, v in document.items() if k != key}))


def test_message_that_is_cut_off() -> None:
    with pytest.raises(ToolError, match="was not understood") as caught:
        _read(_line(COMPILED)[:40])
    assert "compiler-artifact" in caught.value.message


@given(data=st.data())
def test_flipped_bytes_are_messages_or_a_tool_error(data: st.DataObject) -> None:
    line = bytearray(_line(data.draw(st.sampled_from([COMPILED, SCRIPT]))))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = _read(bytes(line))
    except ToolError:
        return
    assert len(found.compiled) + len(found.scripts) <= 1


def test_folders_of_a_container_are_what_they_are_here() -> None:
    lines = [_line(COMPILED), _line(SCRIPT, out_dir="/target/out")]
    *_, found = read_messages(lines, {Path("/t"): Path("/home/x/target"), Path("/s"): Path("/home/x/sources")})
    assert found.compiled[0].files == (Path("/home/x/target/release/tea"), Path("/home/x/target/release/tea.dwp"))
    assert found.compiled[0].executable == Path("/home/x/target/release/tea")
    assert found.compiled[0].manifest == Path("/home/x/sources/tea/Cargo.toml")
    assert found.scripts[SCRIPT["package_id"]][0].out_dir == Path("/target/out")  # `/t` is no part of that
