"""What BuildKit says that it has used is what was settled before, or the build is refused."""

from __future__ import annotations

import pytest

from doit_provenance.provenance.errors import BuildError, ToolError
from doit_provenance.tasks.images.docker.pins import Material, read_materials, refuse_unpinned

HEX = "ab" * 32
OTHER = "cd" * 32
COMMIT = "12" * 20
IMAGE = Material(uri=f"pkg:docker/ghcr.io/a/b@1.2?digest=sha256:{HEX}&platform=linux%2Famd64", digest={"sha256": HEX})
TAGGED = Material(uri="pkg:docker/debian@12?platform=linux%2Famd64", digest={"sha256": HEX})
FILE = Material(uri="https://example.com/x.tar.gz", digest={"sha256": HEX})
GIT = Material(uri="https://example.com/x.git#main", digest={"sha1": COMMIT})


def test_both_versions_are_read() -> None:
    one = {"uri": FILE.uri, "digest": {"sha256": HEX}}
    assert read_materials({"materials": [one]}) == [FILE]
    assert read_materials({"buildDefinition": {"resolvedDependencies": [one]}}) == [FILE]
    assert read_materials({"materials": None}) == read_materials({}) == []


@pytest.mark.parametrize(
    "listed", [{}, [3], [{"uri": "x"}], [{"uri": "x", "digest": {}}], [{"uri": "x", "digest": {"sha256": "no"}}]]
)
def test_what_is_not_understood_is_not_believed(listed: object) -> None:
    with pytest.raises(ToolError, match="BuildKit reports what it has used"):
        read_materials({"materials": listed})  # type: ignore[dict-item] # it is read as anything


@pytest.mark.parametrize(
    ("material", "digests", "text"),
    [
        (IMAGE, [f"sha256:{HEX}"], ""),
        (TAGGED, [f"sha256:{HEX}"], ""),
        (Material(uri=IMAGE.uri, digest={"sha256": OTHER}), [f"sha256:{HEX}"], ""),
        (FILE, [], f"ADD --checksum=sha256:{HEX} https://example.com/x.tar.gz /"),
        (GIT, [], f"ADD https://example.com/x.git#{COMMIT} /"),
    ],
)
def test_settled(material: Material, digests: list[str], text: str) -> None:
    refuse_unpinned([material], digests, [text], "Dockerfile")


@pytest.mark.parametrize(
    ("material", "said", "hint"),
    [
        (TAGGED, "the build used `debian:12`", f"name it by its digest, as `debian:12@sha256:{HEX}`"),
        (IMAGE, "the build used `ghcr.io/a/b:1.2`", f"as `ghcr.io/a/b:1.2@sha256:{HEX}`"),
        (FILE, "the build used `https://example.com/x.tar.gz`", f"`ADD --checksum=sha256:{HEX}`"),
        (GIT, "the build used `https://example.com/x.git#main`", f"name the commit, as `#{COMMIT}`"),
    ],
)
def test_unsettled(material: Material, said: str, hint: str) -> None:
    with pytest.raises(BuildError) as caught:
        refuse_unpinned([material], [f"sha256:{OTHER}"], ["FROM debian:12"], "app/Dockerfile")
    assert said in caught.value.message
    assert "`app/Dockerfile` does not say by a digest" in caught.value.message
    assert hint in str(caught.value.hint)
