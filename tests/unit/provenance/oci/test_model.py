from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.json import read_object
from doit_provenance.provenance.oci.model import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MANIFEST_LIMIT,
    OCI_CONFIG,
    OCI_FOREIGN_LAYER,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    encode,
    parse_manifest,
    platform_of,
    read_manifest,
)
from doit_provenance.provenance.platform import Platform

if TYPE_CHECKING:
    from doit_provenance.provenance.json import JSONValue

CONFIG: JSONValue = Descriptor.of(b"{}", OCI_CONFIG).to_json()
LAYER: JSONValue = Descriptor.of(b"layer", OCI_LAYER).to_json()
MANIFEST: dict[str, JSONValue] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": CONFIG,
    "layers": [LAYER],
    "annotations": {"a": "b"},
}
INDEX: dict[str, JSONValue] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def descriptor(**changes: JSONValue) -> Descriptor:
    document = {"mediaType": OCI_LAYER, "digest": "sha256:" + 64 * "a", "size": 3, **changes}
    return Descriptor.from_json(read_object(encode(document), what="it", limit=10_000))


def test_manifest_is_read_with_all_that_it_says() -> None:
    data = encode({**MANIFEST, "com.example": [1]})
    found = read_manifest(data, Descriptor.of(data, OCI_MANIFEST))
    assert isinstance(found, Manifest)
    assert found.raw == data
    assert found.config.size == 2
    assert [one.digest for one in found.layers] == [Descriptor.of(b"layer", OCI_LAYER).digest]
    assert found.annotations == {"a": "b"}
    assert found.document["com.example"] == [1]
    assert found.references == (found.config, *found.layers)


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_index_is_read(media_type: str) -> None:
    entry = Descriptor.of(b"m", OCI_MANIFEST).to_json() | {"platform": {"os": "linux", "architecture": "arm64"}}
    found = parse_manifest(encode({**INDEX, "mediaType": media_type, "manifests": [entry]}), media_type)
    assert isinstance(found, Index)
    assert found.manifests[0].platform == Platform(os="linux", architecture="arm64")


def test_missing_media_type_is_told_by_who_refers_to_it() -> None:
    data = encode({"schemaVersion": 2, "config": CONFIG, "layers": []})
    assert isinstance(parse_manifest(data, DOCKER_MANIFEST), Manifest)
    assert isinstance(parse_manifest(encode({"schemaVersion": 2, "manifests": []}), None), Index)


def test_null_stands_for_nothing() -> None:
    found = parse_manifest(encode({**MANIFEST, "annotations": None, "subject": None}), None)
    assert (found.annotations, found.subject) == ({}, None)


def test_descriptor_keeps_what_it_does_not_know() -> None:
    written: dict[str, Any] = {
        "mediaType": OCI_FOREIGN_LAYER,
        "digest": "sha256:" + 64 * "b",
        "size": 7,
        "urls": ["https://example.com/layer"],
        "com.example": {"x": None},
        "annotations": {"k": "v"},
        "platform": {"architecture": "amd64", "os": "windows", "os.version": "10.0.1", "os.features": ["win32k"]},
        "artifactType": "application/x",
    }
    found = descriptor(**written)
    assert found.to_json() == written
    assert list(found.to_json())[:3] == ["mediaType", "digest", "size"]
    assert found.is_foreign
    assert not descriptor(urls=["https://example.com/layer"]).is_foreign


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digest": "sha512:" + 128 * "a"}, "must be `sha256:` and 64 digits"),
        ({"digest": "sha256:" + 64 * "A"}, "must be `sha256:` and 64 digits"),
        ({"digest": "sha256:../../../etc/passwd"}, "must be `sha256:` and 64 digits"),
        ({"digest": "sha256:" + 64 * "a" + "\n"}, "must be `sha256:` and 64 digits"),
        ({"digest": None}, "must be text"),
        ({"size": -1}, "number of bytes"),
        ({"size": True}, "number of bytes"),
        ({"size": "3"}, "number of bytes"),
        ({"size": 1 << 63}, "number of bytes"),
        ({"mediaType": "layer"}, "not a media type"),
        ({"mediaType": "a/b\u202e"}, "not a media type"),
        ({"annotations": {"a": 1}}, "must be text"),
        ({"platform": {"os": "linux"}}, "must both be there"),
        ({"Digest": "sha256:" + 64 * "c"}, "can be mistaken for `digest`"),
    ],
)
def test_bad_descriptors(changes: dict[str, JSONValue], reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        descriptor(**changes)


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (b"", None, "not strict JSON"),
        (b"[]", None, "not a JSON object"),
        (b'{"schemaVersion": 2, "schemaVersion": 2}', None, "twice"),
        (encode({**MANIFEST, "schemaVersion": 1}), None, "must be 2"),
        (encode({**MANIFEST, "schemaVersion": "2"}), None, "must be 2"),
        (encode(MANIFEST), DOCKER_MANIFEST, "but its descriptor says"),
        (encode({**MANIFEST, "manifests": []}), None, "member of an index"),
        (encode({**INDEX, "layers": []}), None, "member of a manifest"),
        (encode({**INDEX, "config": CONFIG}), None, "member of a manifest"),
        (encode({**MANIFEST, "Layers": []}), None, "can be mistaken for `layers`"),
        (encode({**MANIFEST, "layers": [1]}), None, "must be an object"),
        (encode({**MANIFEST, "mediaType": "text/plain"}), None, "neither a manifest nor an index"),
        (encode({"schemaVersion": 2, "config": CONFIG}), OCI_MANIFEST, "is missing"),
        (encode({**MANIFEST, "x": "y" * MANIFEST_LIMIT}), None, "larger than"),
        (b"[" * 100_000, None, "nested too deeply"),
    ],
)
def test_bad_manifests(data: bytes, media_type: str | None, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        parse_manifest(data, media_type)


def test_other_bytes_than_referred_to() -> None:
    data = encode(MANIFEST)
    other = Descriptor.of(data.replace(b'"a"', b'"c"'), OCI_MANIFEST)
    with pytest.raises(VerificationError, match="does not have the digest"):
        read_manifest(data, other)
    with pytest.raises(VerificationError, match="bytes, not the"):
        read_manifest(data + b" ", Descriptor.of(data, OCI_MANIFEST))


@pytest.mark.parametrize("word", ["\x1b[2J", "linux/amd64", "a" * 65, "arm 64", "-"])
@pytest.mark.parametrize("name", ["os", "architecture", "variant", "os.version"])
def test_names_of_a_platform_that_are_none(name: str, word: str) -> None:
    """They stand in messages, and two platforms must not look the same."""
    place = {"os": "linux", "architecture": "amd64", name: word}
    with pytest.raises(UnreadableError, match=f"`{name}` of a platform is malformed: `"):
        platform_of(place)
    entry = Descriptor.of(b"m", OCI_MANIFEST).to_json() | {"platform": place}
    with pytest.raises(UnreadableError, match=f"`{name}` of a platform is malformed: `"):
        parse_manifest(encode({"schemaVersion": 2, "manifests": [entry]}), OCI_INDEX)


def test_platform_of_a_configuration() -> None:
    assert str(platform_of({"os": "linux", "architecture": "arm64", "variant": "v8"})) == "linux/arm64"
    assert platform_of({"os": "linux"}) is None
    assert platform_of({"os": "", "architecture": ""}) is None


def test_encode_is_compact_and_keeps_order() -> None:
    assert json.loads(encode({"b": 1, "a": "ü"})) == {"b": 1, "a": "ü"}
    assert encode({"b": 1, "a": "ü"}) == '{"b":1,"a":"ü"}'.encode()
