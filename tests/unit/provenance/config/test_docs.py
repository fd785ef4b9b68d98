"""The JSON Schema takes what the reader takes, and refuses what it refuses."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doit_provenance.provenance.config import parse
from doit_provenance.provenance.config.docs import BEGIN, END, schema, to_json, with_reference
from doit_provenance.provenance.config.errors import mistakes
from doit_provenance.provenance.config.model import all_keys
from doit_provenance.provenance.config.schema import ANY
from doit_provenance.provenance.config.starter import assignments, rendered, starter
from doit_provenance.provenance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[4] / "docs"
VALIDATOR = jsonschema.Draft7Validator(schema())

TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "dist",
                "../x",
                "/x",
                "~/x",
                "a/Cargo.toml",
                "Cargo.toml#x",
                "a/b",
                "**",
                "*",
                "x\n",
                "",
                " ",
                "cargo",
                "keyless",
            ),
            *(
                "x86_64-unknown-linux-musl",
                "release",
                "https://example.com/x",
                "https://u:p@example.com",
                "a@example.com",
            ),
        ]
    ),
    st.text(max_size=12),
)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(),
    st.floats(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.just(dt.UTC)),
)
NAMES = st.one_of(
    st.sampled_from(
        sorted(
            {part for key in all_keys().values() for part in key.path.split(".")}
            | {"fips", "wash/wash", "profil", "wheel"}
        )
    ),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def _near(path: str) -> st.SearchStrategy[dict[str, object]]:
    """Documents that are right but for what stands at one key, which a random document seldom reaches."""

    def document(value: object) -> dict[str, object]:
        inner: object = value
        for part in reversed(path.split(".")):
            inner = {part: inner}
        assert isinstance(inner, dict)
        return inner

    values = TEXTS | st.booleans() | st.lists(TEXTS, max_size=2) | st.dictionaries(TEXTS, TEXTS, max_size=1)
    return values.map(document)


DOCUMENTS = st.one_of(
    st.dictionaries(NAMES, VALUES, max_size=4), st.sampled_from([k.path for k in all_keys().values()]).flatmap(_near)
)


@settings(deadline=None)  # the machine may be busy
@given(DOCUMENTS)
def test_schema_and_reader_agree(document: dict[str, object]) -> None:
    """Neither ever fails otherwise than by saying what is wrong, and both say the same of every document."""
    assert VALIDATOR.is_valid(document) == (list(mistakes(document)) == [])


@settings(deadline=None)  # the machine may be busy
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="[]{}='\".,#\\\n a1é", max_size=60).map(str.encode)))
def test_any_bytes_give_a_configuration_or_an_error(data: bytes) -> None:
    try:
        parse(data, workspace=Path("/workspace"))
    except ConfigError as error:
        assert error.message.startswith("provenance.toml: ")  # noqa: PT017 - most bytes are an error, some are not


@settings(deadline=None)  # the machine may be busy
@given(TEXTS | st.text())
def test_rendered_text_is_read_back(text: str) -> None:
    """What is written as TOML text is the same text to whoever reads it."""
    assert tomllib.loads(f"{rendered({text: text})[2:-2]}") == {text: text}


def test_schema_is_valid_itself() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def test_examples_and_defaults_are_taken() -> None:
    """Whatever the definitions show to people is taken, by the reader and by editors."""
    for key in all_keys().values():
        for value in (key.default, key.example):
            if value is not None:
                text = f"[{key.path.partition('.')[0]}]\n" + "\n".join(assignments(key, value))
                if "supplier" in key.path and not key.path.endswith("name"):
                    text += '\nsupplier.name = "x"'
                document = _with_what_commands_need(tomllib.loads(text))
                assert list(mistakes(document)) == []
                VALIDATOR.validate(document)


def _with_what_commands_need(document: dict[str, Any]) -> dict[str, Any]:
    needed = {"run": ["true"], "inputs": [], "outputs": ["x"]}
    commands = {name: needed | table for name, table in document.get("command", {}).items()}
    return document | ({"command": commands} if commands else {})


def test_starter_is_valid() -> None:
    VALIDATOR.validate(tomllib.loads(starter()))


def _patterns(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        for inner in value.values():
            yield from _patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _patterns(inner)


def test_patterns_mean_the_same_everywhere() -> None:
    """Patterns keep to what Python, ECMA 262 and Rust read alike: no groups with `?`, no `.`, few escapes."""
    patterns = set(_patterns(schema()))
    assert len(patterns) > 20
    for pattern in patterns:
        assert "(?" not in pattern
        assert set(re.findall(r"\\(.)", pattern)) <= set("sSx.*[]\\")
        assert "." not in re.sub(r"\[[^\]]*\]", "", re.sub(r"\\.", "", pattern))


def test_files_in_docs_are_those_of_the_definitions() -> None:
    """`python -m doit_provenance.provenance.config docs` writes them anew."""
    assert (DOCS / "provenance.schema.json").read_text(encoding="utf-8") == to_json()
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert with_reference(page) == page
    for key in all_keys().values():
        assert f"`{key.path}`" in page or f"`[{key.path}]`" in page or f"`[{key.path}.{ANY}]`" in page


def test_examples_in_the_page_are_taken() -> None:
    """What a reader copies out of the page works, and the mistakes that it shows are those that are made."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) > 20
    for example in examples:
        document = _with_what_commands_need(tomllib.loads(example))
        wrong = [line for line in mistakes(document) if "supplier.name: missing" not in line]
        assert wrong == []
    shown = re.findall(r"^ *provenance\.toml: (.*)", page, re.MULTILINE)
    document = {"cargo": {"profil": "release", "targets": ["a-b", 3]}, "signing": {"mode": "keyless"}}
    assert list(mistakes(document)) == shown


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_page_without_marks_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="marks"):
        with_reference(page)


def test_docs_are_written_anew(tmp_path: Path) -> None:
    """The command mends what was edited by hand, and leaves the rest of the page."""
    (tmp_path / "configuration.md").write_text(f"# Mine\n\n{BEGIN}\nstale\n{END}\n\nmine too\n", encoding="utf-8")
    command = [sys.executable, "-m", "doit_provenance.provenance.config", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    page = (tmp_path / "configuration.md").read_text(encoding="utf-8")
    assert page.startswith("# Mine\n")
    assert page.endswith("\n\nmine too\n")
    assert "stale" not in page
    assert (tmp_path / "provenance.schema.json").read_text(encoding="utf-8") == to_json()
