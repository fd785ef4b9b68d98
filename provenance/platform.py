"""Platforms as OCI images name them: `linux/amd64`, `linux/arm/v7`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
_OS = re.compile(r"(?P<os>[A-Za-z0-9_-]+)(?:\((?P<version>[A-Za-z0-9_.-]+)\))?\Z")

SYSTEMS = frozenset(
    {
        *("aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux", "netbsd", "openbsd"),
        *("plan9", "solaris", "wasip1", "windows"),
    }
)
"""Operating systems that Go builds for (`go tool dist list`), whose names OCI takes (image-spec v1.1, config.md)."""
ARCHITECTURES = frozenset(
    {
        *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"),
        *("riscv64", "s390x", "wasm"),
    }
)
"""Architectures, likewise."""

_SYSTEMS: Mapping[str, str] = {"macos": "darwin"}
_ARCHITECTURES: Mapping[str, tuple[str, str | None]] = {
    "i386": ("386", None),
    "i486": ("386", None),
    "i586": ("386", None),
    "i686": ("386", None),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "riscv64gc": ("riscv64", None),
    "powerpc64le": ("ppc64le", None),
    "powerpc64": ("ppc64", None),
    "loongarch64": ("loong64", None),
    "mips64el": ("mips64le", None),
    "mipsel": ("mipsle", None),
}
"""Names that others use for an architecture, to Go's, which OCI takes (image-spec v1.1, image-index.md)."""
_VARIANTS: Mapping[tuple[str, str], str | None] = {
    ("amd64", "v1"): None,
    ("arm64", "8"): None,
    ("arm64", "v8"): None,
    ("arm64", "v8.0"): None,
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
}
_TRIPLE_SYSTEMS: Mapping[str, str] = {
    "android": "android",
    "androideabi": "android",
    "darwin": "darwin",
    "windows": "windows",
    "freebsd": "freebsd",
    "netbsd": "netbsd",
    "openbsd": "openbsd",
    "illumos": "illumos",
    "solaris": "solaris",
    "linux": "linux",  # the last: Android's triples have both names
}
_TRIPLE_ARCHITECTURES = frozenset(
    {"386", "amd64", "arm64", "loong64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x", "sparc64"}
)
_TRIPLE_WASI: Mapping[str, str] = {"wasi": "wasip1", "wasip1": "wasip1", "wasip2": "wasip2"}
_TRIPLE_ARM = re.compile(r"(?:arm|thumb)(?:v(?P<version>[5-8])[a-z]*)?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image runs on, in the one spelling that containerd gives each platform.

    `x86_64` becomes `amd64`, `arm64/v8` `arm64`, `arm` `arm/v7`: two that are equal are the same platform, however a
    document has spelt it.

    Attributes:
        os: as Go names it, `linux`.
        architecture: likewise, `amd64`.
        variant: of the processor, `v7`.
        os_version: of Windows, which runs images of its own version alone.
    """

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None

    def __post_init__(self) -> None:
        """Normalise the names, as containerd's `platforms.Normalize` does."""
        system = self.os.lower()
        architecture, variant = self.architecture.lower(), (self.variant or "").lower() or None
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, None))
        variant = implied or variant
        if architecture == "386":
            variant = None
        elif architecture == "arm" and variant is None:
            variant = "v7"
        if variant is not None:
            variant = _VARIANTS.get((architecture, variant), variant)
        for name, value in (
            ("os", _SYSTEMS.get(system, system)),
            ("architecture", architecture),
            ("variant", variant),
            ("os_version", self.os_version or None),
        ):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        """`OS/ARCHITECTURE[/VARIANT]`; a version of the system stands in brackets behind it."""
        version = f"({self.os_version})" if self.os_version else ""
        return "/".join(part for part in (f"{self.os}{version}", self.architecture, self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read what `docker build --platform` takes, given in full.

        Raises:
            ValueError: it is no platform.
        """
        first, *rest = text.split("/")
        system = _OS.match(first)
        if system is None or not 1 <= len(rest) <= 2 or not all(_NAME.match(part) for part in rest):  # noqa: PLR2004 - an architecture and a variant
            raise ValueError(f"{quoted(text)} is no platform: one is written `linux/amd64` or `linux/arm/v7`")
        return cls(
            os=system["os"],
            architecture=rest[0],
            variant=rest[1] if rest[1:] else None,
            os_version=system["version"],
        )

    @classmethod
    def of_triple(cls, triple: str) -> Platform | None:
        """Return the platform that an executable of a target triple runs on; `None`: there is none such for images."""
        architecture, *rest = triple.split("-")
        if architecture == "wasm32":
            wasi = next((found for part in rest if (found := _TRIPLE_WASI.get(part))), None)
            return cls(os=wasi, architecture="wasm") if wasi else None
        system = next((name for part, name in _TRIPLE_SYSTEMS.items() if part in rest), None)
        if system is None:
            return None
        if arm := _TRIPLE_ARM.match(architecture):
            return cls(os=system, architecture="arm", variant=f"v{arm['version'] or 6}")
        platform = cls(os=system, architecture=architecture)
        return platform if platform.architecture in _TRIPLE_ARCHITECTURES else None

    @classmethod
    def of_host(cls) -> Platform:
        """Return the platform of the Linux images that this machine runs without emulation."""
        return cls(os="linux", architecture=os.uname().machine)
