"""The configuration of images as the rest of the program sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """`[docker.NAME]`: an image from a Dockerfile.

    Attributes:
        context: a folder, from the workspace's root; never leads out of it.
        dockerfile: likewise a file; `None`: `Dockerfile` in the context.
        platforms: as they were written; empty: Linux on the machine's own processor.
        args: build arguments.
        target: the stage to build; `None`: the last one.
        secrets: as `docker buildx build --secret` takes them.
        contexts: name to a folder, from the workspace's root, or to `docker-image://REFERENCE`.
        artifacts: ids of upstream artifacts, or `BUILDER:NAME` for those that fit each platform.
        pull: whether tags are looked up in every run.
    """

    name: str
    context: str = "."
    dockerfile: str | None = None
    platforms: tuple[str, ...] = ()
    args: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    target: str | None = None
    secrets: tuple[str, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    artifacts: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pull: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Oci:
    """`[oci.NAME]`: an image that something else has made. Either `source` or `artifact` is there.

    Attributes:
        source: `docker-archive:`, `oci-archive:` or `oci:` and a path from the workspace's root; `docker-daemon:` and
            a name; `docker://` and a reference.
        artifact: id of an upstream artifact, or `BUILDER:NAME` of one that has one platform.
        platforms: as they were written; empty: Linux on the machine's own processor.
        pull: whether the engine or the registry is asked in every run.
    """

    name: str
    source: str | None = None
    artifact: str | None = None
    platforms: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    pull: bool = False
