from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.record import SCHEMA, Record, file_names

RECORD = Record(
    artifact="cargo:wash@x86_64-unknown-linux-gnu",
    file="wash",
    digest=digest_bytes(b"wash"),
    inputs="0" * 64,
    evidence=dict.fromkeys(file_names("wash").evidence, "1" * 64),
    generator="0.1.0",
)


def test_round_trip() -> None:
    assert Record.from_json(RECORD.to_json()) == RECORD


def test_bytes_are_deterministic_and_end_in_a_line() -> None:
    backwards = replace(RECORD, evidence=dict(reversed(RECORD.evidence.items())))
    assert backwards.to_json() == RECORD.to_json()
    assert RECORD.to_json().endswith(b"}\n")
    assert json.loads(RECORD.to_json())["schema"] == SCHEMA


def test_names_all_stand_beside_the_artifact() -> None:
    names = file_names("wash.exe")
    everything = (names.artifact, *names.evidence, names.record)
    assert len(set(everything)) == len(everything) == 8
    assert all(name.startswith("wash.exe") for name in everything)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", f"{SCHEMA}2", "another schema version"),
        ("artifact", 1, "no text"),
        ("file", ["wash"], "no text"),
        ("generator", None, "no text"),
        ("evidence", ["wash.spdx.json"], "no table"),
        ("evidence", {"../../etc/passwd": "1" * 64}, "leads out of the folder"),
        ("evidence", {"..": "1" * 64}, "leads out of the folder"),
        ("evidence", {"a/b": "1" * 64}, "leads out of the folder"),
        ("evidence", {"a": "1" * 63}, "a digest is malformed"),
        ("evidence", {"a": "1" * 64 + "\n"}, "a digest is malformed"),
        ("evidence", {"a": 1}, "no text"),
        ("file", "../wash", "leads out of the folder"),
        ("file", ".", "leads out of the folder"),
        ("file", "wa\0sh", "leads out of the folder"),
        ("file", "", "leads out of the folder"),
        ("inputs", "x", "a digest is malformed"),
        ("digest", {"sha256": "0" * 64}, "a digest is malformed"),
        ("digest", {"sha256": "0" * 64, "sha512": "0", "size": 1}, "not a digest"),
        ("digest", [], "no table"),
        ("extra", 1, "`extra` is unknown"),
    ],
)
def test_refuses_a_wrong_field(key: str, value: object, message: str) -> None:
    document: dict[str, Any] = json.loads(RECORD.to_json())
    document[key] = value
    with pytest.raises(UnreadableError, match=f"not a record: .*{message}"):
        Record.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("key", ["schema", "artifact", "file", "digest", "inputs", "evidence", "generator"])
def test_refuses_what_lacks_a_field(key: str) -> None:
    document: dict[str, Any] = json.loads(RECORD.to_json())
    del document[key]
    with pytest.raises(UnreadableError, match=f"not a record: the field `{key}` is missing"):
        Record.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"7", b"\xff", b"[" * 100_000, b'{"schema": NaN}'])
def test_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="not a record"):
        Record.from_json(data)


@given(data=st.data())
def test_flipped_bytes_are_a_record_or_unreadable(data: st.DataObject) -> None:
    good = bytearray(RECORD.to_json())
    position = data.draw(st.integers(0, len(good) - 1))
    good[position] = data.draw(st.integers(0, 255))
    try:
        found = Record.from_json(bytes(good))
    except UnreadableError:
        return
    assert Record.from_json(found.to_json()) == found


SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "record.schema.json"


def test_schema_in_the_docs_is_the_readers() -> None:
    """A record validates, and whatever the schema refuses the reader refuses too."""
    schema = json.loads(SCHEMA_FILE.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    written = json.loads(RECORD.to_json())
    validator.validate(written)
    assert set(written) == set(schema["properties"]) == set(schema["required"])
    assert schema["properties"]["schema"]["const"] == SCHEMA
    for key in written:
        for value in (None, [], "no such thing/"):
            document = written | {key: value}
            if not validator.is_valid(document):
                with pytest.raises(UnreadableError):
                    Record.from_json(json.dumps(document).encode())
