"""Platforms as documents of images have them: in a descriptor of an index, and in an image's configuration.

OCI image-spec v1.1, image-index.md and config.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import UnreadableError, quoted
from ..platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..json import JSONValue

NAMES = ("os", "architecture", "variant", "os.version")
"""The members that make two platforms different."""
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")


def platform_json(platform: Platform) -> dict[str, JSONValue]:
    """Return a platform as the member of a descriptor, or of an image's configuration."""
    found: dict[str, JSONValue] = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        found["os.version"] = platform.os_version
    if platform.variant:
        found["variant"] = platform.variant
    return found


def platform_of(config: Mapping[str, JSONValue]) -> Platform | None:
    """Return the platform that an image's configuration names; `None`: it names none.

    Raises:
        UnreadableError: what stands there is no name.
    """
    said = {name: value for name in NAMES if isinstance(value := config.get(name), str) and value}
    return as_platform(said) if {"os", "architecture"} <= said.keys() else None


def as_platform(said: Mapping[str, str]) -> Platform:
    """Return the platform of these members.

    Raises:
        UnreadableError: one is no name; it would stand in messages, and two platforms could look the same.
    """
    for name, value in said.items():
        if value and not _WORD.match(value):
            raise UnreadableError(f"`{name}` of a platform is none: {quoted(value)}")
    return Platform(**{name.replace(".", "_"): value for name, value in said.items()})
