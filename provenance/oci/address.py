"""Where a registry answers, and where it may lead: TLS, but on this machine itself."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def scheme(host: str) -> str:
    """Return how a registry at `HOST` or `HOST:PORT` is spoken to."""
    return "http" if is_loopback(host) else "https"


def is_loopback(host: str) -> bool:
    """Tell whether a `HOST` or `HOST:PORT` is this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def may_lead(source: str, target: str) -> bool:
    """Tell whether one address may lead to another: to TLS, or from this machine to this machine."""
    try:
        to, start = urlsplit(target), urlsplit(source)
        port = to.port
    except ValueError:
        return False
    if not to.hostname or "@" in to.netloc or port == 0:
        return False
    return to.scheme == "https" or (to.scheme == "http" and is_loopback(to.netloc) and is_loopback(start.netloc))


def origin(url: str) -> tuple[str, str]:
    """Return what must be the same for a secret to go there as well."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def bare(url: str) -> str:
    """Return an address without what may be a secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
