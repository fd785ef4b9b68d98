"""References to images, `REGISTRY/REPOSITORY:TAG@DIGEST` with docker's defaults, and the addresses of registries."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import UsageError, quoted

DOCKER_HUB = "docker.io"
_HUB_ALIASES = frozenset({DOCKER_HUB, "index.docker.io", "registry-1.docker.io"})
_HUB_HOST = "registry-1.docker.io"
_HUB_OWN = "library/"
_LATEST = "latest"

# The grammar of distribution's reference package, which docker, containerd and podman use.
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
    """A reference to an image in a registry; without tag and digest it means the tag `latest`.

    Attributes:
        registry: host, with a port where one was given; `docker.io` for Docker Hub.
        repository: path there, as `library/debian`.
        digest: `sha256:…`; it takes precedence over a tag.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as docker does: `debian:12` is `docker.io/library/debian:12`.

        Raises:
            UsageError: it is malformed.
        """
        if len(text) > _LONGEST:
            raise _refused(text, "it is too long")
        rest, digested, digest = text.partition("@")
        if digested and not _DIGEST.match(digest):
            raise _refused(text, "a digest is `sha256:` and 64 of the digits 0-9a-f")
        first, slash, path = rest.partition("/")
        if not slash or not _is_registry(first):
            first, path = DOCKER_HUB, rest
        repository, colon, tag = path.partition(":")
        if colon and not _TAG.match(tag):
            raise _refused(text, "a tag has letters, digits, `_`, `.` and `-`, 128 of them at most")
        registry = DOCKER_HUB if first in _HUB_ALIASES else first
        if not _REGISTRY.match(registry):
            raise _refused(text, f"{quoted(registry)} is not a host name")
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
            tag=tag if colon else None if digested else _LATEST,
            digest=digest if digested else None,
        )

    @property
    def host(self) -> str:
        """Address of the registry, `HOST` or `HOST:PORT`."""
        return _HUB_HOST if self.registry == DOCKER_HUB else self.registry

    @property
    def name(self) -> str:
        """Registry and repository, as `docker.io/library/debian`."""
        return f"{self.registry}/{self.repository}"

    @property
    def wanted(self) -> str:
        """What to request from the registry: the digest if there is one, else the tag."""
        return self.digest or self.tag or _LATEST

    def __str__(self) -> str:
        """Return the whole reference, defaults included."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def _is_registry(first: str) -> bool:
    """Tell whether the part before the first `/` is a registry and not the start of a path on Docker Hub."""
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _refused(text: str, reason: str) -> UsageError:
    return UsageError(f"{quoted(text)} is not a reference to an image: {reason}", hint="as `ghcr.io/owner/name:1.2`")


def scheme(host: str) -> str:
    """Return the URL scheme for a registry at `HOST` or `HOST:PORT`: TLS, except on this machine."""
    return "http" if is_loopback(host) else "https"


def is_loopback(host: str) -> bool:
    """Tell whether a `HOST` or `HOST:PORT` is this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def may_redirect(source: str, target: str) -> bool:
    """Tell whether one URL may redirect to another: to TLS, or from this machine to this machine."""
    try:
        to, start = urlsplit(target), urlsplit(source)
        port = to.port
    except ValueError:
        return False
    if not to.hostname or "@" in to.netloc or port == 0:
        return False
    return to.scheme == "https" or (to.scheme == "http" and is_loopback(to.netloc) and is_loopback(start.netloc))


def origin(url: str) -> tuple[str, str]:
    """Return scheme and address of a URL: a secret is sent to the same ones only."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def without_secrets(url: str) -> str:
    """Return a URL without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
