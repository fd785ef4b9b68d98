"""SLSA provenance: deterministic bytes, strict reading, and a digest that `sha256sum` can check."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from doit_provenance.provenance.attest.resource import ResourceDescriptor
from doit_provenance.provenance.attest.slsa import (
    BuildDefinition,
    BuilderId,
    Provenance,
    RunDetails,
    inputs_digest,
    parse_provenance,
)
from doit_provenance.provenance.errors import UnreadableError

FULL = Provenance(
    build_definition=BuildDefinition(
        build_type="https://example.com/cargo/v1",
        external_parameters={"target": "x86_64-unknown-linux-gnu", "features": ["a", "b"]},
        internal_parameters={"rustc": "1.80.0"},
        resolved_dependencies=(
            ResourceDescriptor(
                uri="git+https://example.com/r@refs/heads/main",
                name="source",
                digest={"gitCommit": "0" * 40},
                media_type="text/plain",
                download_location="https://example.com/r.tar",
                annotations={"dirty": True},
            ),
            ResourceDescriptor(digest={"sha256": "1" * 64}),
        ),
    ),
    run_details=RunDetails(
        builder_id=BuilderId.CI,
        builder_version={"doit-provenance": "0.1.0"},
        builder_dependencies=(ResourceDescriptor(uri="https://example.com/image"),),
        invocation_id="https://example.com/run/1",
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        finished=datetime(2026, 1, 2, 5, 4, 6, tzinfo=timezone(timedelta(hours=2))),
        byproducts=(ResourceDescriptor(name="log", uri="file:log"),),
    ),
)


def _least() -> dict[str, Any]:
    return {
        "buildDefinition": {"buildType": "https://example.com/t", "externalParameters": {}},
        "runDetails": {"builder": {"id": "https://example.com/b"}},
    }


def test_round_trip() -> None:
    assert parse_provenance(json.loads(FULL.to_json())) == FULL


def test_fields_have_the_names_of_the_specification() -> None:
    document = json.loads(FULL.to_json())
    assert set(document["buildDefinition"]) == {
        "buildType",
        "externalParameters",
        "internalParameters",
        "resolvedDependencies",
    }
    assert document["runDetails"]["metadata"] == {
        "invocationId": "https://example.com/run/1",
        "startedOn": "2026-01-02T03:04:05Z",
        "finishedOn": "2026-01-02T03:04:06Z",
    }
    assert document["runDetails"]["builder"]["id"].endswith("/docs/builders/ci.md")
    assert set(document["buildDefinition"]["resolvedDependencies"][0]) == {
        "uri",
        "name",
        "digest",
        "mediaType",
        "downloadLocation",
        "annotations",
    }


def test_bytes_do_not_depend_on_the_order_of_keys() -> None:
    one = BuildDefinition(build_type="https://example.com/t", external_parameters={"a": 1, "b": {"c": 1, "d": 2}})
    two = BuildDefinition(build_type="https://example.com/t", external_parameters={"b": {"d": 2, "c": 1}, "a": 1})
    run = RunDetails(builder_id=BuilderId.LOCAL)
    assert (
        Provenance(build_definition=one, run_details=run).to_json()
        == Provenance(build_definition=two, run_details=run).to_json()
    )


def test_what_is_not_said_is_left_out_but_what_is_required_is_not() -> None:
    least = Provenance(
        build_definition=BuildDefinition(build_type="https://example.com/t", external_parameters={}),
        run_details=RunDetails(builder_id="https://example.com/b"),
    )
    assert json.loads(least.to_json()) == _least()


def test_modes_are_different_builders() -> None:
    assert len({str(b) for b in BuilderId}) == len(BuilderId) == 2


def test_refuses_to_write_what_says_nothing() -> None:
    with pytest.raises(ValueError, match="needs a URI or a digest"):
        ResourceDescriptor(name="only a name")
    naive = RunDetails(builder_id=BuilderId.LOCAL, started=datetime(2026, 1, 2))  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="without its zone"):
        Provenance(build_definition=FULL.build_definition, run_details=naive).to_json()
    odd = BuildDefinition(build_type="https://example.com/t", external_parameters={"path": "\udcff"})
    with pytest.raises(UnreadableError, match="not Unicode"):
        Provenance(build_definition=odd, run_details=FULL.run_details).to_json()


def test_unknown_fields_are_ignored() -> None:
    document = _least()
    document["vendor_extra"] = 1
    document["buildDefinition"]["vendor_extra"] = []
    document["runDetails"]["builder"]["vendor_extra"] = {}
    assert parse_provenance(document) == parse_provenance(_least())


@pytest.mark.parametrize(
    ("way", "value", "reason"),
    [
        ("buildDefinition", None, "`buildDefinition` is missing"),
        ("buildDefinition.buildType", None, r"`buildDefinition\.buildType` is missing"),
        ("buildDefinition.buildType", "", "must be a URI"),
        ("buildDefinition.buildType", "cargo", "must be a URI"),
        ("buildDefinition.externalParameters", None, "is missing"),
        ("buildDefinition.externalParameters", [], "must be an object"),
        ("buildDefinition.internalParameters", "x", "must be an object"),
        ("buildDefinition.resolvedDependencies", {}, "must be a list"),
        ("buildDefinition.resolvedDependencies", [{"name": "a"}], "are both missing"),
        ("buildDefinition.resolvedDependencies", [{"digest": {"sha256": 1}}], r"\[0\]\.digest\.sha256` must be text"),
        ("buildDefinition.resolvedDependencies", [{"uri": "a:b", "URI": "c:d"}], "mistaken for `uri`"),
        ("buildDefinition.BuildType", "https://example.com/u", "mistaken for `buildType`"),
        ("runDetails", None, "`runDetails` is missing"),
        ("runDetails.builder", None, "is missing"),
        ("runDetails.builder.id", 1, "must be text"),
        ("runDetails.builder.version", {"a": 1}, "must be text"),
        ("runDetails.metadata", {"startedOn": "2026-01-02"}, "RFC 3339"),
        ("runDetails.metadata", {"startedOn": "2026-01-02T03:04:05"}, "RFC 3339"),
        ("runDetails.metadata", {"finishedOn": "2026-13-02T03:04:05Z"}, "RFC 3339"),
        ("runDetails.metadata", {"finishedOn": 5}, "must be text"),
    ],
)
def test_refuses_what_slsa_does_not_allow(way: str, value: object, reason: str) -> None:
    document = copy.deepcopy(_least())
    *outer, last = way.split(".")
    place = document
    for key in outer:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(UnreadableError, match=reason):
        parse_provenance(document)


def test_inputs_digest_is_over_sorted_lines_as_sha256sum_prints_them() -> None:
    files = [("src/main.rs", "a" * 64), ("Cargo.toml", "b" * 64), ("src/ä b", "c" * 64)]
    lines = f"{'b' * 64}  Cargo.toml\n{'a' * 64}  src/main.rs\n{'c' * 64}  src/ä b\n"
    assert inputs_digest(files) == inputs_digest(reversed(files)) == hashlib.sha256(lines.encode()).hexdigest()
    assert inputs_digest([]) == hashlib.sha256(b"").hexdigest()


def test_a_path_cannot_imitate_another_line() -> None:
    two = inputs_digest([("a", "a" * 64), ("b", "b" * 64)])
    assert inputs_digest([(f"a\n{'b' * 64}  b", "a" * 64)]) != two
    escaped = f"\\{'a' * 64}  x\\ny\\\\z\\r\n"
    assert inputs_digest([("x\ny\\z\r", "a" * 64)]) == hashlib.sha256(escaped.encode()).hexdigest()


@pytest.mark.parametrize("files", [[("a", "a" * 64), ("a", "b" * 64)], [("a", "A" * 64)], [("a", "a" * 63)]])
def test_inputs_digest_refuses_ambiguous_lists(files: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="not a list of inputs"):
        inputs_digest(files)
