"""Credentials for registries, as `docker login` stored them: in docker's configuration or a credential helper."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ToolError, UnreadableError, quoted
from ..json import JSONObject, read_object
from ..process import ask, clean_environment
from .reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Mapping

_HUB_KEY = "https://index.docker.io/v1/"
"""Docker's key for the credentials of Docker Hub."""
_HELPER = "docker-credential-"
_HELPER_SECONDS = 60.0
"""A helper may ask the user to unlock a key ring."""
_TOKEN_USER = "<token>"  # noqa: S105 - the user name for identity tokens in the helpers' protocol
_NOT_FOUND = b"credentials not found"
_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A user name with a password or an access token."""

    user: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityToken:
    """A refresh token that a registry's authorization server exchanges for an access token (OAuth 2)."""

    secret: str = field(repr=False)


Credential = Password | IdentityToken


def stored_credential(registry: str, environment: Mapping[str, str] | None = None) -> Credential | None:
    """Return the credential that docker stored for a registry; `None`: there is none, so requests are anonymous.

    It is looked up in `config.json` in DOCKER_CONFIG or `~/.docker`, in docker's order: the helper of this registry,
    the helper of all registries, then the file itself.

    Args:
        registry: as `Reference.registry`.
        environment: of the process and its helpers; `None`: our own.

    Raises:
        UnreadableError: the file exists and is not docker's configuration.
        ToolError: the helper is missing or fails.
    """
    environment = clean_environment() if environment is None else environment
    config = _read(_path(environment))
    if config is None:
        return None
    if helper := _helper(config, registry):
        return _from_helper(helper, _HUB_KEY if registry == DOCKER_HUB else registry, environment)
    if config.found.get("auths") is None:
        return None
    entries = config.child("auths")
    return next((_from_entry(entries.child(name)) for name in entries.found if _host(name) == registry), None)


def _path(environment: Mapping[str, str]) -> Path:
    folder = environment.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path(environment.get("HOME") or Path.home()) / ".docker") / "config.json"


def _read(path: Path) -> JSONObject | None:
    try:
        with path.open("rb") as stream:
            data = stream.read(_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableError(f"can't read docker's configuration `{path}`: {error.strerror}") from error
    return read_object(data, what=f"docker's configuration `{path}`", limit=_LIMIT)


def _helper(config: JSONObject, registry: str) -> str | None:
    if config.found.get("credHelpers") is not None:
        for name, helper in config.texts("credHelpers").items():
            if _host(name) == registry and helper:
                return helper
    return (config.text("credsStore") or None) if config.found.get("credsStore") is not None else None


def _from_helper(helper: str, key: str, environment: Mapping[str, str]) -> Credential | None:
    """Ask a credential helper (docker-credential-helpers, the `get` command)."""
    program = f"{_HELPER}{helper}"
    if os.sep in helper:
        raise UnreadableError(f"docker's configuration names {quoted(helper)}, which is not a credential helper's name")
    status, answer = ask([program, "get"], key.encode(), cwd=Path.cwd(), env=environment, timeout=_HELPER_SECONDS)
    if status != 0:
        if answer.strip().lower().startswith(_NOT_FOUND):
            return None
        raise ToolError(
            f"`{program}` has no credentials for {quoted(key)}; it ended with exit code {status}",
            hint=f"try `echo {key} | {program} get`",
        )
    try:
        document = read_object(answer, what=f"the answer of `{program}`", limit=_LIMIT)
        user, secret = document.text("Username"), document.text("Secret")
    except UnreadableError as error:
        raise ToolError(str(error)) from error
    return IdentityToken(secret=secret) if user == _TOKEN_USER else Password(user=user, secret=secret)


def _from_entry(entry: JSONObject) -> Credential | None:
    """Read an entry of `auths`; it is empty if a helper stores the credential."""
    if entry.found.get("identitytoken"):
        return IdentityToken(secret=entry.text("identitytoken"))
    if entry.found.get("auth"):
        try:
            user, colon, secret = base64.b64decode(entry.text("auth"), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise entry.error("auth", "is not `USER:PASSWORD` in base64") from error
        if not colon:
            raise entry.error("auth", "is not `USER:PASSWORD` in base64")
        return Password(user=user, secret=secret.rstrip("\0"))
    if entry.found.get("username"):
        return Password(user=entry.text("username"), secret=entry.text("password"))
    return None


def _host(key: str) -> str:
    """Return the registry of a key in docker's configuration; `https://HOST/v1/` is an old form of `HOST`."""
    if key == _HUB_KEY:
        return DOCKER_HUB
    _, scheme, rest = key.partition("://")
    host = (rest if scheme else key).partition("/")[0]
    return DOCKER_HUB if host == "index.docker.io" else host
