"""What people call an image: `REGISTRY/REPOSITORY:TAG@DIGEST`, with what docker takes for granted filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError, quoted

DOCKER_HUB = "docker.io"
_HUB_ALIASES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_HOST = "registry-1.docker.io"
_HUB_OWN = "library/"
_LATEST = "latest"

# The grammar of distribution's reference package, which docker, containerd and podman share.
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]{{1,5}})?\Z")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_BARE_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_LONGEST_NAME = 255
_LONGEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference to an image in a registry; one with neither a tag nor a digest means the tag `latest`.

    Attributes:
        registry: its host, with a port where one was given; `docker.io` for Docker Hub.
        repository: the path there, as `library/debian`.
        digest: `sha256:…`; it alone decides where there is a tag as well.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as docker does: `debian:12` is `docker.io/library/debian:12`.

        Raises:
            UsageError: it is none.
        """
        if len(text) > _LONGEST:
            raise _refused(text, "it is too long")
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.match(digest):
            raise _refused(text, "a digest is `sha256:` and 64 of the digits 0-9a-f")
        first, slash, path = rest.partition("/")
        if not slash or not _is_registry(first):
            first, path = DOCKER_HUB, rest
        repository, colon, tag = path.partition(":")
        if colon and not _TAG.match(tag):
            raise _refused(text, "a tag has letters, digits, `_`, `.` and `-`, 128 of them at most")
        registry = DOCKER_HUB if first in _HUB_ALIASES else first
        if not _REGISTRY.match(registry):
            raise _refused(text, f"{quoted(registry)} is no host")
        if _BARE_DIGEST.match(repository):
            raise _refused(text, "a digest has `sha256:` before it, and `@` before that")
        if not _REPOSITORY.match(repository):
            raise _refused(
                text, "a repository has lower case letters, digits, and single `.`, `_`, `-` and `/` between"
            )
        if registry == DOCKER_HUB and "/" not in repository:
            repository = f"{_HUB_OWN}{repository}"
        if len(registry) + 1 + len(repository) > _LONGEST_NAME:
            raise _refused(text, f"a name has {_LONGEST_NAME} characters at most")
        return cls(
            registry=registry,
            repository=repository,
            tag=tag if colon else None if at else _LATEST,
            digest=digest if at else None,
        )

    @property
    def host(self) -> str:
        """Where the registry answers: `HOST` or `HOST:PORT`."""
        return _HUB_HOST if self.registry == DOCKER_HUB else self.registry

    @property
    def name(self) -> str:
        """Registry and repository, as `docker.io/library/debian`."""
        return f"{self.registry}/{self.repository}"

    @property
    def wanted(self) -> str:
        """What the registry is asked for: the digest where there is one, else the tag."""
        return self.digest or self.tag or _LATEST

    def __str__(self) -> str:
        """Return all of it, with nothing left to take for granted."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def _is_registry(first: str) -> bool:
    """Tell whether what stands before the first `/` is a registry and not the start of a path on Docker Hub."""
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _refused(text: str, reason: str) -> UsageError:
    return UsageError(f"{quoted(text)} is no reference to an image: {reason}", hint="as `ghcr.io/owner/name:1.2`")
