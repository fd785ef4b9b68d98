"""What a registry's refusal means to a person (distribution-spec v1.1, "Error Codes")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import RegistryError, quoted
from ..json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .reference import Reference

_PHRASES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

MOST_SAID = 8 << 10
"""Bytes of a refusal that are read."""


def refused(status: int, headers: Mapping[str, str], body: bytes, *, reference: Reference, path: str) -> RegistryError:
    """Return the error for an answer that is no success.

    Args:
        status: of HTTP.
        headers: of the answer.
        body: its first `MOST_SAID` bytes.
        reference: what was wanted.
        path: what was asked for, below the repository.
    """
    said = _said(body)
    because = f": {said}" if said else ""
    login = f"`docker login {reference.registry}` with a user who may read it"
    match status:
        case 401 | 403:
            return RegistryError(
                f"`{reference.registry}` does not let you read `{reference.repository}`{because}", hint=login
            )
        case 404:
            what = f"`{reference}`" if path.startswith("manifests/") else f"{quoted(path)} of `{reference}`"
            hint = f"is the name right? Where it is private: {login}"
            return RegistryError(f"`{reference.registry}` has no {what}{because}", hint=hint)
        case 429:
            wait = headers.get("Retry-After", "")
            later = f"in {wait} seconds" if wait.isascii() and wait.isdigit() else "later"
            hint = f"try again {later}; who is logged in may often ask more: {login}"
            return RegistryError(f"`{reference.registry}` was asked too often{because}", hint=hint)
    phrase = f" {_PHRASES[status]}" if status in _PHRASES else ""
    return RegistryError(f"`{reference.registry}` answered {status}{phrase} when asked for `{reference}`{because}")


def unreachable(host: str, error: Exception) -> RegistryError:
    """Return the error for a connection that can't be made, or breaks."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or reason.__cause__) and isinstance(inner, BaseException):
        reason = inner
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    text = " ".join(said.split()) or type(reason).__name__
    hint = "see that the registry's name is right, and that it can be reached from here"
    if "certificate" in text.lower():
        hint = "the machine's own authorities are trusted; SSL_CERT_FILE names a file of others"
    return RegistryError(f"can't talk to `{host}`: {quoted(text)}", hint=hint)


def _said(body: bytes) -> str:
    """Return what the registry gives as its reasons; empty: nothing that is readable."""
    try:
        found = read_json(body)
    except ValueError:
        return ""
    errors = found.get("errors") if isinstance(found, dict) else None
    texts = []
    for one in errors if isinstance(errors, list) else []:
        match one:
            case {"message": str(message)} if message.strip():
                texts.append(quoted(message.strip()))
            case {"code": str(code)} if code.strip():
                texts.append(quoted(code.strip()))
    return ", ".join(texts[:3])
