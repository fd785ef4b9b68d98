"""What the artifacts of a command are called, and what they are for."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provenance.config import Command

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "armv8l": "arm/v8",
}
"""What the kernel calls them, to the words of OCI images (GOARCH and its variants)."""
_WILDCARDS = re.compile(r"[*?]+|\[[^\]]+\]")
_UNFIT = re.compile(r"[^\w.+-]+")
_JOINTS = re.compile(r"-*([.-])[.-]*")


@lru_cache(maxsize=1)
def host_platform() -> str:
    """Return this machine's platform in the words of OCI images, as `linux/amd64`.

    It is the default since it is never wrong: what was made here is for here. `any` would be, of a program.
    """
    system = os.uname()
    return f"{system.sysname.lower()}/{_ARCHITECTURES.get(system.machine, system.machine)}"


def artifact_names(command: Command) -> list[str]:
    """Return the name of each output's artifact: the command's, with the output's part where it has several.

    A part is empty where the output's file name is nothing but wildcards.
    """
    if len(command.outputs) == 1:
        return [command.name]
    return [f"{command.name}/{part(pattern)}" for pattern in command.outputs]


def part(pattern: str) -> str:
    """Return the file name of an output without wildcards, and with `-` for what can't stand in an id.

    >>> part("dist/wash-*-linux.tar.gz"), part("dist/*.whl"), part("out/lib*.so"), part("My App.dmg")
    ('wash-linux.tar.gz', 'whl', 'lib.so', 'My-App.dmg')
    """
    text = _UNFIT.sub("-", _WILDCARDS.sub("-", pattern.rpartition("/")[2]))
    return _JOINTS.sub(r"\1", text).strip(".-")
