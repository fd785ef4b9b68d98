"""Layers on top of each other: what a container sees (image-spec v1.1, layer.md)."""

from __future__ import annotations

import hashlib
import random
import tarfile
from typing import Any

import pytest

from doit_provenance.provenance.errors import UnreadableError
from doit_provenance.provenance.sbom.image.layer import Limits


def seen(images: Any, *layers: dict[str, Any]) -> dict[str, int]:
    """Return the paths of the files that are seen, and the layer that each is from."""
    return {path: file.layer for path, file in images.rootfs(*map(images.pack, layers)).files()}


def hard(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.LNKTYPE, target
    return info


def device() -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type = tarfile.CHRTYPE
    return info


def test_later_layers_are_on_top(images: Any) -> None:
    assert seen(images, {"a": b"1", "b/c": b"1"}, {"a": b"2", "b/d": b"2"}) == {"a": 1, "b/c": 0, "b/d": 1}


def test_a_whiteout_takes_a_file_away(images: Any) -> None:
    assert seen(images, {"a/b": b"", "a/c": b""}, {"a/.wh.b": b""}) == {"a/c": 0}


def test_a_whiteout_takes_a_folder_away(images: Any) -> None:
    assert seen(images, {"a/b/c": b"", "a/b/d/e": b"", "a/bc": b""}, {"a/.wh.b": b""}) == {"a/bc": 0}


@pytest.mark.parametrize("first", [True, False])
def test_whiteouts_act_on_lower_layers_alone(images: Any, *, first: bool) -> None:
    """Wherever they stand in their archive."""
    members = [("a/.wh.b", b""), ("a/b", b"2")] if first else [("a/b", b"2"), ("a/.wh.b", b"")]
    assert seen(images, {"a/b": b"1"}, dict(members)) == {"a/b": 1}
    members = [("a/.wh..wh..opq", b""), ("a/d", b"2")] if first else [("a/d", b"2"), ("a/.wh..wh..opq", b"")]
    assert seen(images, {"a/b": b"1", "a/c/x": b"1", "e": b"1"}, dict(members)) == {"a/d": 1, "e": 0}


def test_a_layer_may_show_nothing_of_those_below(images: Any) -> None:
    assert seen(images, {"a": b"", "b/c": b""}, {".wh..wh..opq": b"", "d": b""}) == {"d": 1}


def test_what_a_whiteout_took_may_come_back(images: Any) -> None:
    assert seen(images, {"a": b"1"}, {".wh.a": b""}, {"a": b"3"}) == {"a": 2}


def test_a_whiteout_of_nothing_does_nothing(images: Any) -> None:
    assert seen(images, {"a": b""}, {"x/.wh.y": b"", ".wh.z": b"", "a/.wh.b": b"", "q/.wh..wh..opq": b""}) == {"a": 0}


def test_bookkeeping_of_aufs_is_passed_over(images: Any) -> None:
    assert seen(images, {".wh..wh.plnk": None, ".wh..wh.aufs": b"x", "a": b""}) == {"a": 0}


@pytest.mark.parametrize("name", [".wh.", ".wh...", "a/.wh.."])
def test_a_whiteout_that_names_nothing_is_refused(images: Any, name: str) -> None:
    with pytest.raises(UnreadableError, match=r"layer `sha256:0` has a whiteout `\.wh"):
        seen(images, {name: b""})


def test_a_file_replaces_a_folder_and_a_folder_a_file(images: Any) -> None:
    assert seen(images, {"a/b": b"", "c": b""}, {"a": b"", "c/d": b""}) == {"a": 1, "c/d": 1}
    assert seen(images, {"a/b": b"", "c": b""}, {"a": "c", "c": None}) == {}
    assert seen(images, {"a/b": b"", "c": b""}, {"a": None}) == {"a/b": 0, "c": 0}


def test_a_device_hides_what_is_below(images: Any) -> None:
    assert seen(images, {"a/b": b"", "c": b""}, {"a": device(), "c": device()}) == {}


def test_the_last_member_of_one_name_counts(images: Any) -> None:
    data = images.pack({"a": b"first"})[:1024] + images.pack({"a": b"second"})
    ((_, file),) = images.rootfs(data).files()
    assert file.sha256 == hashlib.sha256(b"second").hexdigest()


def test_hard_links_are_the_file(images: Any) -> None:
    """Of the same layer or of one below; from where a link leads, too."""
    first = {"a": (b"tea", 0o755), "b": hard("a"), "lib": "usr/lib", "usr/lib/x": b"x"}
    rootfs = images.rootfs(images.pack(first), images.pack({"c": hard("./b"), "d": hard("lib/x")}))
    files = dict(rootfs.files())
    assert files["a"] == files["b"] == files["c"]
    assert files["d"] == files["usr/lib/x"]


@pytest.mark.parametrize("target", ["nowhere", "../../etc/passwd", "folder", ""])
def test_a_hard_link_to_nothing_is_refused(images: Any, target: str) -> None:
    with pytest.raises(UnreadableError, match=r"layer `sha256:0` has a hard link `a` to .*no file of the image"):
        seen(images, {"folder": None, "a": hard(target)})


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("bin/sh", "usr/bin/dash"),
        ("/usr/bin/sh", "usr/bin/dash"),
        ("abs", "usr/bin/dash"),
        ("up", "usr/bin/dash"),
        ("bin/../bin/./sh", "usr/bin/dash"),
        ("usr/bin/dash", "usr/bin/dash"),
        ("loop", None),
        ("dangling", None),
        ("usr/bin/dash/x", None),
        ("nowhere/x", None),
        ("usr/bin", None),
        ("", None),
    ],
)
def test_links_are_followed_inside_the_root(images: Any, path: str, real: str | None) -> None:
    files = {
        "usr/bin/dash": b"#!",
        "usr/bin/sh": "dash",
        "bin": "usr/bin",
        "abs": "/bin/sh",
        "up": "../../../../bin/sh",
        "loop": "loop",
        "dangling": "nowhere",
    }
    found = images.rootfs(images.pack(files)).find(path)
    assert (found[0] if found else None) == real


def test_below_a_link_nothing_is_passed_over(images: Any) -> None:
    """One engine follows the link, another hides it: both files are there, and are found."""
    rootfs = images.rootfs(
        images.pack({"lib": "usr/lib", "usr/lib/a": b"1", "usr/lib/b": b"1"}), images.pack({"lib/a": b"2"})
    )
    assert {path: file.layer for path, file in rootfs.files()} == {"lib/a": 1, "usr/lib/a": 0, "usr/lib/b": 0}
    assert rootfs.find("lib/a")[0] == "lib/a"
    assert rootfs.find("lib/b")[0] == "usr/lib/b"


@pytest.mark.parametrize(
    "last",
    [{"a": "d"}, {".wh.a": b""}, {"a": b"text"}, {"a": device()}, {"a": None, "a/.wh..wh..opq": b""}],
)
def test_what_was_put_below_a_link_stays_where_the_link_led(images: Any, last: dict[str, Any]) -> None:
    """Engines that follow links have put the file into `c`, and nothing has taken it away from there."""
    found = seen(images, {"c": None, "a": "c", "a/tool": (b"x", 0o755)}, last)
    assert found.pop("a", 1) == 1
    assert found in ({"c/tool": 0}, {"a/tool": 0})


def test_whiteouts_below_a_link_that_changes_take_nothing_away(images: Any) -> None:
    """The engine takes the file away from where the link leads by then."""
    first = {"c": None, "d": None, "a": "c", "a/tool": b"x"}
    assert seen(images, first, {"a": "d", "a/.wh.tool": b""}) == {"c/tool": 0}


def test_links_and_hard_links_below_links(images: Any) -> None:
    first = {"c": None, "e": None, "a": "/c", "a/d": "../e", "a/d/tool": b"x", "a/other": hard("a/d/tool")}
    assert seen(images, first, {".wh.a": b"", ".wh.c": b""}) == {"e/tool": 0}


def test_two_files_at_one_path_are_both_there(images: Any) -> None:
    """An engine that hides the link shows the first, one that follows it the second."""
    layers = [{"c/tool": b"1", "a": "c"}, {"a/tool": b"2"}, {".wh.a": b""}]
    assert seen(images, *layers) == {"c/tool": 0, "c/tool (where links are followed)": 1}


def test_links_in_a_circle_are_no_trouble(images: Any) -> None:
    assert seen(images, {"a": "b", "b": "a", "a/tool": b"x"}) == {"a/tool": 0}


def test_what_names_imply_is_bounded(images: Any) -> None:
    """A name of four kilobytes makes two thousand folders."""
    layers = [images.pack({"/".join([str(n), *"abcde"]): b""}) for n in range(4)]
    assert len(list(images.rootfs(*layers, limits=Limits(nodes=24)).files())) == 4
    with pytest.raises(UnreadableError, match="`sha256:3` and those below it have more than 23 files and folders"):
        images.rootfs(*layers, limits=Limits(nodes=23))
    with pytest.raises(UnreadableError, match="`sha256:1` and those below it have names of more than 20 characters"):
        images.rootfs(*layers, limits=Limits(names=20))


def test_what_links_lead_through_is_bounded(images: Any) -> None:
    """A target of four kilobytes leads through two thousand folders, and links of links through more."""
    data = images.pack({"a": "b/c/d/e", "a/f": b"", "g": "h/i/j/k", "g/l": b""})
    assert len(list(images.rootfs(data, limits=Limits(nodes=12, steps=11)).files())) == 2
    with pytest.raises(UnreadableError, match="have more than 11 files and folders"):
        images.rootfs(data, limits=Limits(nodes=11))
    with pytest.raises(UnreadableError, match="lead through more than 10 folders and links"):
        images.rootfs(data, limits=Limits(steps=10))


def test_facts_of_a_file(images: Any) -> None:
    files = {
        "tool": (b"#!/bin/sh\n", 0o755),
        "so": b"\x7fELF....",
        "wasm": b"\0asm....",
        "text": b"x",
        "e": (b"", 0o755),
    }
    found = dict(images.rootfs(images.pack(files)).files())
    assert {path for path, file in found.items() if file.program} == {"tool", "so", "wasm"}
    tool = found["tool"]
    assert (tool.size, tool.mode, tool.layer) == (10, 0o755, 0)
    assert tool.sha256 == hashlib.sha256(b"#!/bin/sh\n").hexdigest()
    assert tool.weak == tuple(hashlib.new(name, b"#!/bin/sh\n").hexdigest() for name in ("md5", "sha1"))
    assert found["text"].weak is None


def test_bytes_are_kept_of_what_is_wanted_up_to_a_bound(images: Any) -> None:
    limits = Limits(kept=15)
    files = {"a.kept": b"12345678", "b.kept": b"12345678901", "c": b"123", "d.kept": b"12345678", "e.kept": b"1234567"}
    found = dict(images.rootfs(images.pack(files), limits=limits).files())
    assert {path: file.data for path, file in found.items()} == {
        "a.kept": b"12345678",
        "b.kept": None,
        "c": None,
        "d.kept": None,
        "e.kept": b"1234567",
    }
    assert {path for path, file in found.items() if file.unread} == {"b.kept", "d.kept"}


def test_members_are_bounded_over_all_layers(images: Any) -> None:
    layers = [images.pack({f"{n}{m}": b"" for m in range(4)}) for n in range(2)]
    assert len(list(images.rootfs(*layers, limits=Limits(entries=8)).files())) == 8
    with pytest.raises(UnreadableError, match="layer `sha256:1` and those below it have more than 7 members"):
        images.rootfs(*layers, limits=Limits(entries=7))


def test_a_deep_tree_is_no_trouble(images: Any) -> None:
    path = "/".join(["d"] * 1900)
    assert list(seen(images, {path: b""})) == [path]


def test_any_damage_is_refused_or_read(images: Any) -> None:
    """Bytes of headers are changed, with a checksum that is right again: nothing but files or a refusal comes of it."""
    seed = random.Random(20240517)  # noqa: S311 - no secret: the same damage each time
    files = {"a/b": b"tea", "l": "a/b", "h": hard("a/b"), "a/.wh.c": b"", "n" * 120: b"x", "d": None}
    whole = images.pack(files)
    headers = [at for at in range(0, len(whole), 512) if whole[at + 257 : at + 262] == b"ustar"]
    results = set()
    for _ in range(600):
        data = bytearray(whole)
        at = seed.choice(headers)
        for _ in range(seed.choice([1, 1, 3])):
            data[at + seed.randrange(512)] = seed.choice([0, 0x30, 0x2F, 0x2E, 0xFF, seed.randrange(256)])
        block = data[at : at + 512]
        data[at + 148 : at + 156] = f"{sum(block[:148]) + 256 + sum(block[156:]):06o}\0 ".encode()
        try:
            results.add(len(list(images.rootfs(bytes(data)).files())))
        except UnreadableError:
            results.add(None)
    assert None in results
    assert len(results) > 2
