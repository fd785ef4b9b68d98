from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.redaction import Redactor
from doit_provenance.provenance.sbom.inventory import Completeness, Component, Inventory, Kind, Role
from doit_provenance.provenance.sbom.party import Party
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.pipeline.outcome import Done, Outcome
from doit_provenance.tasks.progress.summary import Failure, not_built, not_reached, table
from doit_provenance.tasks.progress.transcript import Transcript

DIGEST = str(digest_bytes(b"tea"))


def _outcome(name: str, done: Done, seconds: float = 0.0, since: str = "") -> Outcome:
    artifact = Artifact(builder="kettle", name=name, platform="any", group="g", file=name)
    return Outcome(artifact=artifact, done=done, digest=digest_bytes(b"tea"), seconds=seconds, since=since)


def _inventory(completeness: Completeness, linked: int) -> Inventory:
    subject = Component(ref="tea", kind=Kind.APPLICATION, role=Role.SUBJECT, name="tea")
    leaves = [replace(subject, ref=f"leaf{n}", role=Role.LINKED) for n in range(linked)]
    return Inventory(
        artifact="kettle:tea@any",
        digest=digest_bytes(b"tea"),
        subject=subject,
        components=tuple(leaves),
        dependencies={"tea": (), **{leaf.ref: () for leaf in leaves}},
        completeness=completeness,
        note="some leaves",
        created=datetime(2026, 11, 20, tzinfo=UTC),
        author=Party(name="kettle"),
        generator=("kettle", "1"),
    )


def _fresh(count: int) -> list[Outcome]:
    return [_outcome(f"cup{i}", Done.FRESH) for i in range(count)]


@pytest.mark.parametrize(
    ("count", "line"),
    [(0, ""), (1, "1 artifact is fresh\n"), (3, "3 artifacts are fresh\n"), (10_000, "10000 artifacts are fresh\n")],
)
def test_all_fresh_is_one_line(count: int, line: str) -> None:
    assert table(_fresh(count), width=None) == line


def test_lines_say_what_became_of_each_and_what_was_reused() -> None:
    outcomes = [
        _outcome("tea", Done.BUILT, 75.0),
        _outcome("mug", Done.REBUILT, 1.0, "2026-11-20T10:00:00Z"),
        _outcome("teapot", Done.ATTESTED, 0.2, "2026-11-20T10:00:00Z"),
        _outcome("pot", Done.TAKEN, 2.0),
        _outcome("cup", Done.FRESH),
    ]
    assert table(outcomes, width=None).splitlines() == [
        f"kettle:tea@any     built     {DIGEST}  1 min 15 s",
        f"kettle:mug@any     rebuilt   {DIGEST}  1.0 s       same bytes: provenance of 2026-11-20 kept",
        f"kettle:teapot@any  attested  {DIGEST}  0.2 s       bytes and provenance of 2026-11-20 kept",
        f"kettle:pot@any     taken     {DIGEST}  2.0 s       not built by this run: no build is claimed",
        f"kettle:cup@any     fresh     {DIGEST}",
    ]


@pytest.mark.parametrize(
    ("completeness", "linked", "said"),
    [
        (Completeness.COMPLETE, 0, ["0 packages"]),
        (Completeness.COMPLETE, 1, ["1 package"]),
        (Completeness.INCOMPLETE, 2, ["2 packages", "incomplete: some leaves"]),
        (Completeness.UNKNOWN, 2, ["at most 2 packages", "some leaves"]),
        (Completeness.UNKNOWN, 0, ["contents unknown", "some leaves"]),
    ],
)
def test_count_claims_no_more_than_is_known(completeness: Completeness, linked: int, said: list[str]) -> None:
    outcome = replace(_outcome("tea", Done.BUILT, 1.0), inventory=_inventory(completeness, linked))
    (line,) = table([outcome], width=None).splitlines()
    words = re.split("  +", line)
    assert [words[3], *words[5:]] == said


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            {"image:unexplained-programs": "2", "image:unexplained-files": "1"},
            "2 programs and 1 other file that nobody explains",
        ),
        ({"image:unexplained-programs": "1", "image:unexplained-files": "0"}, "1 program that nobody explains"),
        ({"image:unread": "var/lib/rpm: old\nother"}, "not all could be read: var/lib/rpm: old"),
        ({"image:partly-known": "kettle:a\nkettle:b"}, "of `kettle:a`, `kettle:b` it is not known what all is in it"),
        (
            {"image:unexplained-programs": "1", "image:partly-known": "a\nb\nc\nd"},
            "1 program that nobody explains; of `a`, `b`, `c` and 1 more it is not known what all is in it",
        ),
        ({}, "some leaves"),
    ],
)
def test_image_says_in_few_words_what_is_not_known(properties: dict[str, str], said: str) -> None:
    inventory = _inventory(Completeness.INCOMPLETE, 0)
    subject = replace(inventory.subject, kind=Kind.CONTAINER, properties=properties)
    found = _outcome("tea", Done.BUILT, 1.0)
    (line,) = table([replace(found, inventory=replace(inventory, subject=subject))], width=None).splitlines()
    assert line.endswith(f"  incomplete: {said}")


def test_installed_packages_count_and_files_do_not() -> None:
    inventory = _inventory(Completeness.COMPLETE, 1)
    parts = [
        replace(inventory.components[0], ref=kind.value, kind=kind, role=Role.CONTAINED)
        for kind in (Kind.LIBRARY, Kind.FILE)
    ]
    components = tuple(sorted([*inventory.components, *parts], key=lambda part: part.ref))
    dependencies = dict.fromkeys(["tea", *(part.ref for part in components)], ())
    found = replace(inventory, components=components, dependencies=dependencies)
    (line,) = table([replace(_outcome("tea", Done.BUILT, 1.0), inventory=found)], width=None).splitlines()
    assert "  2 packages  " in line


def test_index_counts_its_images() -> None:
    inventory = _inventory(Completeness.COMPLETE, 2)
    images = tuple(replace(part, kind=Kind.CONTAINER, role=Role.CONTAINED) for part in inventory.components)
    found = replace(_outcome("tea", Done.BUILT, 1.0), inventory=replace(inventory, components=images))
    (line,) = table([found], width=None).splitlines()
    assert "  2 images  " in line


def test_many_fresh_are_counted() -> None:
    lines = table([*_fresh(4), _outcome("tea", Done.BUILT)], width=None).splitlines()
    assert [line.split()[0] for line in lines] == ["kettle:tea@any", "4"]
    assert lines[1] == "4 other artifacts are fresh"


def test_digests_are_cut_where_there_is_no_room_for_them() -> None:
    (line,) = table([_outcome("tea", Done.BUILT, 1.0)], width=80).splitlines()
    assert line == f"kettle:tea@any  built  {DIGEST[:16]}…  1.0 s"
    (line,) = table([_outcome("tea", Done.BUILT, 1.0)], width=200).splitlines()
    assert DIGEST in line


@pytest.mark.parametrize(
    ("count", "failed", "line"),
    [
        (0, True, ""),
        (1, True, "1 artifact was not reached; `doit run --continue` continues after failures\n"),
        (2, False, "2 artifacts were not reached\n"),
    ],
)
def test_what_was_not_reached(count: int, line: str, *, failed: bool) -> None:
    assert not_reached(count, failed=failed) == line


def test_what_was_not_built_for_want_of_others() -> None:
    assert not_built("docker:wash@any", "cargo:a cargo:b") == (
        "skipped: `docker:wash@any` (dependency `cargo:a`, `cargo:b` failed)\n"
    )


def test_failure_ends_with_what_the_tool_said() -> None:
    call = Transcript(["kettle:tea@any"], ["boil"], Redactor(), _Nowhere())
    call.add(b"\x1b[31mit leaks\x1b[0m\n")
    call.end("failed")
    failure = Failure(text="`boil` failed\nhint: mend it\nlog: x.log", names=["kettle:tea@any"], call=call)
    message = "error: `kettle:tea@any`: `boil` failed\nhint: mend it\nlog: x.log\n"
    assert failure.shown(colours=False) == f"{message}\nit leaks\n"
    assert failure.shown(colours=True) == f"{message}\n\x1b[31mit leaks\x1b[0m\n\x1b[0m"


class _Nowhere:
    def write(self, text: str) -> None:
        """Forget it."""

    def close(self) -> None:
        """Forget it."""

    def read(self) -> None:
        """Return nothing."""


def test_tool_that_said_nothing_adds_nothing() -> None:
    failure = Failure(text="no", names=["a"], call=Transcript(["a"], ["boil"], Redactor(), _Nowhere()))
    assert failure.shown(colours=True) == "error: `a`: no\n"


def test_some_of_many_that_fail_by_the_same_are_named() -> None:
    failure = Failure(text="no", names=[f"cup{i}" for i in range(8)])
    assert failure.message() == "error: `cup0`, `cup1`, `cup2`, `cup3`, `cup4` and 3 more: no\n"
