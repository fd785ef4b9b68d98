"""in-toto v1 ResourceDescriptor: an input or output of a build (spec/v1/resource_descriptor.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..json import JSONObject, JSONValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDescriptor:
    """A resource with a URI, a digest or both. Empty fields are omitted.

    Attributes:
        digest: algorithm to digest (in-toto v1, DigestSet).
        annotations: additional properties.
    """

    uri: str = ""
    name: str = ""
    digest: Mapping[str, str] = field(default_factory=dict)
    media_type: str = ""
    download_location: str = ""
    annotations: Mapping[str, JSONValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Require a URI or a digest. The specification's third option, `content`, is not supported."""
        if not self.uri and not self.digest:
            raise ValueError("a resource needs a URI or a digest")

    def to_document(self) -> dict[str, JSONValue]:
        """Return the descriptor as JSON."""
        return non_empty(
            uri=self.uri,
            name=self.name,
            digest=dict(self.digest),
            mediaType=self.media_type,
            downloadLocation=self.download_location,
            annotations=dict(self.annotations),
        )


def read_descriptors(found: JSONObject, key: str) -> tuple[ResourceDescriptor, ...]:
    """Return the descriptors of the list at `key`; empty if the key is absent.

    Raises:
        UnreadableError: a descriptor is malformed.
    """
    return tuple(_read(item) for item in found.children(key)) if key in found.found else ()


def non_empty(**values: JSONValue) -> dict[str, JSONValue]:
    """Return the fields that are neither empty nor `None`."""
    return {key: value for key, value in values.items() if value not in ("", None, {}, [])}


def _read(found: JSONObject) -> ResourceDescriptor:
    found.refuse_lookalikes(("uri", "name", "digest", "mediaType", "downloadLocation", "annotations", "content"))
    try:
        return ResourceDescriptor(
            uri=found.optional_text("uri") or "",
            name=found.optional_text("name") or "",
            digest=found.texts("digest") if "digest" in found.found else {},
            media_type=found.optional_text("mediaType") or "",
            download_location=found.optional_text("downloadLocation") or "",
            annotations=found.optional_child("annotations").found,
        )
    except ValueError as error:
        raise found.error("uri", "and `digest` are both missing") from error
