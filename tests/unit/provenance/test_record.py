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
from doit_provenance.provenance.record import SCHEMA, Record, RecordSignature, file_names, image_names

RECORD = Record(
    artifact="cargo:wash@x86_64-unknown-linux-gnu",
    file="wash",
    digest=digest_bytes(b"wash"),
    inputs="0" * 64,
    evidence=dict.fromkeys(file_names("wash").evidence, "1" * 64),
    generator="0.1.0",
)
IMAGE_RECORD = replace(
    RECORD,
    artifact="docker:tools/wash@linux/arm64/v8",
    file="image",
    media_type="application/vnd.oci.image.manifest.v1+json",
    evidence=dict.fromkeys(image_names("tools/wash").evidence, "1" * 64),
)
SEALED = replace(RECORD, seal=RecordSignature(hint="the key's", signature=b"\x30\x00 and so on"))


@pytest.mark.parametrize("record", [RECORD, SEALED], ids=["without a seal", "sealed"])
def test_round_trip(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


def test_seal_is_over_all_but_itself() -> None:
    """What is signed is the file as it would be without a seal, so anybody can make it of the file."""
    assert SEALED.payload() == RECORD.payload() == RECORD.to_json()
    document = json.loads(SEALED.to_json())
    del document["seal"]
    assert document == json.loads(RECORD.payload())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("artifact", "cargo:other@x86_64-unknown-linux-gnu"),
        ("file", "other"),
        ("digest", digest_bytes(b"other")),
        ("inputs", "2" * 64),
        ("evidence", {}),
        ("generator", "0.2.0"),
    ],
)
def test_seal_is_over_every_field(field: str, value: Any) -> None:
    assert replace(SEALED, **{field: value}).payload() != SEALED.payload()


@pytest.mark.parametrize(
    ("seal", "message"),
    [
        (None, "must be an object"),
        ("AAAA", "must be an object"),
        ({}, "`seal.sig` is missing"),
        ({"keyid": "a"}, "`seal.sig` is missing"),
        ({"keyid": "a", "sig": "AAAA", "cert": ""}, "`seal.cert` is not a field"),
        ({"keyid": 1, "sig": "AAAA"}, "`seal.keyid` must be text"),
        ({"keyid": "a", "sig": 1}, "`seal.sig` must be text"),
        ({"keyid": "a", "sig": "AAA"}, "`seal.sig` is not base64"),
        ({"keyid": "a", "sig": "A AAA"}, "`seal.sig` is not base64"),
        ({"keyid": "a", "sig": "Ä==="}, "`seal.sig` is not base64"),
    ],
)
def test_refuses_a_wrong_seal(seal: object, message: str) -> None:
    document = {**json.loads(RECORD.to_json()), "seal": seal}
    with pytest.raises(UnreadableError, match=message):
        Record.from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "write",
    [
        lambda document: json.dumps(document, indent=2, ensure_ascii=False),
        lambda document: json.dumps(document, sort_keys=True) + "\n",
        lambda document: json.dumps(document, sort_keys=True, indent=2),
        lambda document: json.dumps(document, sort_keys=True, indent=2).replace("wash", "\\u0077ash") + "\n",
        lambda document: json.dumps(document, sort_keys=True, indent=2).replace('"size": 4', '"size": 4.0') + "\n",
        lambda document: json.dumps(document, sort_keys=True, indent=2) + "\n\n",
        lambda document: "\ufeff" + json.dumps(document, sort_keys=True, indent=2) + "\n",
        lambda document: json.dumps(document, sort_keys=True, indent=2).replace("{", '{"file": "evil",', 1) + "\n",
    ],
)
def test_refuses_a_record_that_is_written_otherwise(write: Any) -> None:
    """The seal is over the very bytes: what says the same in others is not what was sealed."""
    with pytest.raises(UnreadableError, match="the record"):
        Record.from_json(write(json.loads(SEALED.to_json())).encode())


def test_refuses_base64_with_bits_that_say_nothing() -> None:
    one = replace(RECORD, seal=RecordSignature(hint="a", signature=b"\0")).to_json()
    assert b'"AA=="' in one
    with pytest.raises(UnreadableError, match="not in the canonical form"):
        Record.from_json(one.replace(b'"AA=="', b'"AB=="'))


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


def test_image_stands_in_a_folder_and_its_evidence_is_named_after_the_artifact() -> None:
    names = IMAGE_RECORD.names
    assert Record.from_json(IMAGE_RECORD.to_json()) == IMAGE_RECORD
    assert (names.subject, names.artifact, names.record) == ("tools-wash", "image", "tools-wash.record.json")
    assert names == image_names("tools/wash")
    assert RECORD.names == file_names("wash")


def test_media_type_is_sealed() -> None:
    """Who takes it away, or another, makes another record of it: an index is no image."""
    assert IMAGE_RECORD.media_type is not None
    other = replace(IMAGE_RECORD, media_type="application/vnd.oci.image.index.v1+json")
    assert other.payload() != IMAGE_RECORD.payload()


@pytest.mark.parametrize("media_type", ["", "image", "application/", "application/x y", "Application/x", 1, None])
def test_refuses_what_is_no_media_type(media_type: object) -> None:
    document = json.loads(IMAGE_RECORD.to_json()) | {"mediaType": media_type}
    with pytest.raises(UnreadableError, match=r"the record: `mediaType` must be (a media type|text)"):
        Record.from_json((json.dumps(document, sort_keys=True, indent=2) + "\n").encode())


def test_refuses_an_image_that_is_not_in_its_folder() -> None:
    with pytest.raises(UnreadableError, match="not the name of an image's folder"):
        Record.from_json(replace(IMAGE_RECORD, file="wash").to_json())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", f"{SCHEMA}2", "another schema version"),
        ("artifact", 1, "must be text"),
        ("file", ["wash"], "must be text"),
        ("generator", None, "must be text"),
        ("evidence", ["wash.spdx.json"], "must be an object"),
        ("evidence", {"../../etc/passwd": "1" * 64}, "must be the name of a file in the folder"),
        ("evidence", {"..": "1" * 64}, "must be the name of a file in the folder"),
        ("evidence", {"a/b": "1" * 64}, "must be the name of a file in the folder"),
        ("evidence", {"a": "1" * 63}, "`evidence.a` must be a sha256"),
        ("evidence", {"a": "1" * 64 + "\n"}, "`evidence.a` must be a sha256"),
        ("evidence", {"a": 1}, "`evidence.a` must be text"),
        ("file", "../wash", "must be the name of a file in the folder"),
        ("file", ".", "must be the name of a file in the folder"),
        ("file", "wa\0sh", "must be the name of a file in the folder"),
        ("file", "", "must be the name of a file in the folder"),
        ("inputs", "x", "`inputs` must be a sha256"),
        ("digest", {"sha256": "0" * 64}, "`digest.sha512` is missing"),
        ("digest", {"sha256": "0" * 64, "sha512": "0", "size": 1}, "not a digest"),
        ("digest", [], "must be an object"),
        ("extra", 1, "`extra` is not a field"),
    ],
)
def test_refuses_a_wrong_field(key: str, value: object, message: str) -> None:
    document: dict[str, Any] = json.loads(RECORD.to_json())
    document[key] = value
    with pytest.raises(UnreadableError, match=f"the record: .*{message}"):
        Record.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("key", ["schema", "artifact", "file", "digest", "inputs", "evidence", "generator"])
def test_refuses_what_lacks_a_field(key: str) -> None:
    document: dict[str, Any] = json.loads(RECORD.to_json())
    del document[key]
    with pytest.raises(UnreadableError, match=f"the record: `{key}` is missing"):
        Record.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"7", b"\xff", b"[" * 100_000, b'{"schema": NaN}'])
def test_refuses_other_bytes(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="the record"):
        Record.from_json(data)


@given(data=st.data())
def test_flipped_bytes_are_a_record_or_unreadable(data: st.DataObject) -> None:
    good = bytearray(SEALED.to_json())
    position = data.draw(st.integers(0, len(good) - 1))
    good[position] = data.draw(st.integers(0, 255))
    try:
        found = Record.from_json(bytes(good))
    except UnreadableError:
        return
    assert found.to_json() == bytes(good)


SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "record.schema.json"


def test_schema_in_the_docs_is_the_readers() -> None:
    """A record validates, and whatever the schema refuses the reader refuses too."""
    schema = json.loads(SCHEMA_FILE.read_bytes())
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    written = json.loads(SEALED.to_json())
    validator.validate(written)
    validator.validate(json.loads(RECORD.to_json()))
    validator.validate(json.loads(IMAGE_RECORD.to_json()))
    written |= {"mediaType": IMAGE_RECORD.media_type}
    assert set(written) == set(schema["properties"]) == set(schema["required"]) | {"seal", "mediaType"}
    assert schema["properties"]["schema"]["const"] == SCHEMA
    for key in written:
        for value in (None, [], "no such thing/"):
            document = written | {key: value}
            if not validator.is_valid(document):
                with pytest.raises(UnreadableError):
                    Record.from_json(json.dumps(document).encode())
