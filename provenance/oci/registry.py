"""Client of registries (OCI distribution-spec v1.1): connections, authentication, retries and errors.

Connections use TLS, except to this machine itself. Credentials are sent to the registry and to the authorization server
that it names, never along a redirect to another address. Failures that may pass are retried a bounded number of times.
`pull` decides what to request and checks what came.
"""

from __future__ import annotations

import base64
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode, urljoin, urlsplit

from .. import VERSION
from ..errors import RegistryError, UnreadableError, quoted
from ..json import read_json, read_object
from .credentials import Credential, IdentityToken, Password, stored_credential
from .reference import is_loopback, may_redirect, origin, scheme, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from urllib3 import BaseHTTPResponse, PoolManager

    from .reference import Reference

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 60.0
"""Without a byte received."""
_TRIES = 4
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
"""Longest `Retry-After` in seconds that is waited for; beyond it the run fails and shows it."""
_PASSING = frozenset({429, 500, 502, 503, 504})
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTIONS = 5
_UNAUTHORIZED = 401
_TOKEN_LIMIT = 1 << 20
_TOKEN = re.compile(r"[!-~]+\Z")
_CLIENT = "doit-provenance"
_PHRASES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}
_ERROR_LIMIT = 8 << 10
"""Bytes of an error's body that are read."""

# WWW-Authenticate (RFC 9110, 11.6.1)
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_SCHEME = re.compile(rf"\s*,?\s*({_WORD})(?=\s|,|$)(?!\s*=)")
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))')
_ESCAPED = re.compile(r"\\(.)")
_LONGEST_CHALLENGE = 8 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A registry's answer to a request that succeeded.

    Attributes:
        host: that it came from, after redirects.
        status: 200, or 206 for a part of what was requested.
        headers: names are case-insensitive.
    """

    host: str
    status: int
    headers: Mapping[str, str]
    response: BaseHTTPResponse

    def read(self, most: int) -> bytes:
        """Return the next bytes of the body as they were sent, `most` at most; none at its end.

        Raises:
            RegistryError: the connection broke.
        """
        from urllib3.exceptions import HTTPError

        try:
            return self.response.read(most)
        except HTTPError as error:
            raise _unreachable(self.host, error) from error


class Registry:
    """Connections to registries, for one run and one thread.

    Args:
        credential: returns the credential for a registry by its name; called only when the registry demands one.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        *,
        credential: Callable[[str], Credential | None] = stored_credential,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._credential = credential
        self._sleep = sleep
        self._pools: dict[str | None, PoolManager] = {}
        self._authorizations: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Return the client; leaving the block closes its connections."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()

    @contextmanager
    def ask(
        self, method: str, reference: Reference, path: str, *, headers: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        """Send a request for something in a repository and yield the answer, whose body is not read yet.

        Args:
            method: `GET` or `HEAD`.
            reference: names the repository.
            path: below the repository, as `manifests/latest`.
            headers: of the request.

        Raises:
            RegistryError: the registry can't be reached, or its answer is not a success.
        """
        url = f"{scheme(reference.host)}://{reference.host}/v2/{reference.repository}/{path}"
        response, final = self._authorized_request(method, url, reference, headers or {})
        if response.status == _UNAUTHORIZED and origin(final) == origin(url):
            # There is no token yet, or it has expired.
            challenges = read_challenges(response.headers.get("WWW-Authenticate", ""))
            response.close()
            self._authorizations[reference.name] = self._authorization(reference, challenges)
            response, final = self._authorized_request(method, url, reference, headers or {})
        try:
            if not 200 <= response.status < 300:  # noqa: PLR2004 - RFC 9110, 15.3: success
                raise _refused(response, reference, path)
            yield Answer(
                host=urlsplit(final).netloc, status=response.status, headers=response.headers, response=response
            )
        finally:
            response.close()

    def _authorized_request(
        self, method: str, url: str, reference: Reference, headers: Mapping[str, str]
    ) -> tuple[BaseHTTPResponse, str]:
        known = self._authorizations.get(reference.name)
        return self._follow(method, url, {**headers, **({"Authorization": known} if known else {})})

    def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str]:
        """Send a request and follow redirects; return the answer and the URL that it came from."""
        sent = dict(headers)
        for _ in range(_MOST_REDIRECTIONS + 1):
            response = self._send(method, url, sent)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTIONS or not location:
                return response, url
            response.close()
            target = urljoin(url, location)
            if not may_redirect(url, target):
                where = quoted(without_secrets(target))
                raise RegistryError(f"`{urlsplit(url).netloc}` leads to {where}, which is not an `https://` address")
            if origin(target) != origin(url):
                sent.pop("Authorization", None)
            url = target
        raise RegistryError(f"`{urlsplit(url).netloc}` redirects more than {_MOST_REDIRECTIONS} times")

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> BaseHTTPResponse:
        """Send a request, and retry failures that may pass."""
        from urllib3.exceptions import HTTPError, ProxyError, SSLError

        sent = {"User-Agent": f"{_CLIENT}/{VERSION}", "Accept-Encoding": "identity", **headers}
        wait = _FIRST_WAIT
        for left in reversed(range(_TRIES)):
            try:
                response = self._pool(url).urlopen(
                    method,
                    url,
                    headers=sent,
                    body=body,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
            except HTTPError as error:
                if not left or isinstance(error, SSLError | ProxyError):
                    raise _unreachable(urlsplit(url).netloc, error) from error
                pause = wait
            else:
                pause = _retry_after(response) or wait
                if response.status not in _PASSING or not left or pause > _LONGEST_WAIT:
                    return response
                response.close()
            self._sleep(pause)
            wait *= 2
        raise AssertionError  # pragma: no cover - the last turn returns or raises

    def _pool(self, url: str) -> PoolManager:
        """Return the connections for a URL, through the proxy of the environment if there is one."""
        from urllib.request import getproxies, proxy_bypass

        import urllib3

        parts = urlsplit(url)
        direct = is_loopback(parts.netloc) or proxy_bypass(parts.netloc)
        proxy = None if direct else getproxies().get(parts.scheme)
        if proxy not in self._pools:
            timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
            if proxy is None:
                self._pools[proxy] = urllib3.PoolManager(timeout=timeout)
            else:
                user = urlsplit(proxy)
                named = f"{user.username}:{user.password or ''}" if user.username else None
                headers = urllib3.make_headers(proxy_basic_auth=named)
                self._pools[proxy] = urllib3.ProxyManager(proxy, proxy_headers=headers, timeout=timeout)
        return self._pools[proxy]

    def _authorization(self, reference: Reference, challenges: Sequence[Challenge]) -> str:
        """Return the `Authorization` header for reading a repository."""
        known = {challenge.scheme: challenge for challenge in reversed(challenges)}
        credential = self._credential(reference.registry)
        if bearer := known.get("bearer"):
            return f"Bearer {self._token(reference, bearer, credential)}"
        if "basic" not in known:
            offered = ", ".join(sorted(known)) or "none"
            raise RegistryError(f"`{reference.registry}`: unsupported authentication scheme: {quoted(offered)}")
        if not isinstance(credential, Password):
            raise _no_access(reference)
        return _basic(credential)

    def _token(self, reference: Reference, challenge: Challenge, credential: Credential | None) -> str:
        """Fetch a token for reading a repository (distribution's "Docker Registry v2 authentication via token")."""
        realm = challenge.parameters.get("realm", "")
        if not may_redirect(f"{scheme(reference.host)}://{reference.host}", realm):
            raise RegistryError(
                f"`{reference.registry}` sends to {quoted(without_secrets(realm))}, which is not an `https://` address"
            )
        fields = {"scope": f"repository:{reference.repository}:pull", "client_id": _CLIENT}
        if service := challenge.parameters.get("service"):
            fields["service"] = service
        if isinstance(credential, IdentityToken):
            fields |= {"grant_type": "refresh_token", "refresh_token": credential.secret}
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._send("POST", realm, form, urlencode(fields))
        else:
            headers = {"Authorization": _basic(credential)} if credential else {}
            response, _ = self._follow("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}", headers)
        try:
            if response.status != 200:  # noqa: PLR2004 - the one that has a token
                raise _refused(response, reference)
            document = read_object(_first(response, _TOKEN_LIMIT + 1), what="the answer", limit=_TOKEN_LIMIT)
            key = "token" if document.found.get("token") else "access_token"
            if not _TOKEN.match(token := document.text(key)):
                raise document.error(key, "has characters that are not allowed in a token")
        except UnreadableError as error:
            raise RegistryError(f"`{urlsplit(realm).netloc}` gave no token for `{reference.name}`: {error}") from error
        else:
            return token
        finally:
            response.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A way to authenticate that a registry offers (RFC 9110, 11.6.1).

    Attributes:
        scheme: `basic` or `bearer`, or another; lower case.
        parameters: by their names in lower case.
    """

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(header: str) -> tuple[Challenge, ...]:
    """Read the value of `WWW-Authenticate` up to the first syntax error."""
    challenges: list[Challenge] = []
    position, text = 0, header[:_LONGEST_CHALLENGE]
    while word := _SCHEME.match(text, position):
        position = word.end()
        parameters: dict[str, str] = {}
        while (parameter := _PARAMETER.match(text, position)) is not None:
            name, string, token = parameter.groups()
            parameters[name.lower()] = _ESCAPED.sub(r"\1", string) if string is not None else token
            position = parameter.end()
        challenges.append(Challenge(scheme=word[1].lower(), parameters=parameters))
    return tuple(challenges)


def _refused(response: BaseHTTPResponse, reference: Reference, path: str = "") -> RegistryError:
    """Return the error for an answer that is not a success (distribution-spec v1.1, "Error Codes").

    Args:
        response: the answer.
        reference: that was requested.
        path: that was requested, below the repository.
    """
    reasons = _reasons(_first(response, _ERROR_LIMIT))
    because = f": {reasons}" if reasons else ""
    match response.status:
        case 401 | 403:
            return _no_access(reference, because)
        case 404:
            what = f"`{reference}`" if path.startswith("manifests/") else f"{quoted(path)} of `{reference}`"
            hint = f"is the name right? If it is private: {_login(reference)}"
            return RegistryError(f"`{reference.registry}` has no {what}{because}", hint=hint)
        case 429:
            wait = response.headers.get("Retry-After", "")
            later = f"in {wait} seconds" if wait.isascii() and wait.isdigit() else "later"
            hint = f"try again {later}; logged in, the limit may be higher: {_login(reference)}"
            return RegistryError(f"`{reference.registry}` was asked too often{because}", hint=hint)
    phrase = _PHRASES.get(response.status, "")
    status = f"{response.status} {phrase}".strip()
    return RegistryError(f"`{reference.registry}` answered {status} when asked for `{reference}`{because}")


def _login(reference: Reference) -> str:
    return f"`docker login {reference.registry}` with a user who may read it"


def _no_access(reference: Reference, because: str = "") -> RegistryError:
    message = f"`{reference.registry}` does not let you read `{reference.repository}`{because}"
    return RegistryError(message, hint=_login(reference))


def _unreachable(host: str, error: Exception) -> RegistryError:
    """Return the error for a connection that fails or breaks."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or reason.__cause__) and isinstance(inner, BaseException):
        reason = inner
    message = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    text = " ".join(message.split()) or type(reason).__name__
    hint = "see that the registry's name is right, and that it can be reached from here"
    if "certificate" in text.lower():
        hint = "the machine's own authorities are trusted; SSL_CERT_FILE names a file of others"
    return RegistryError(f"can't talk to `{host}`: {quoted(text)}", hint=hint)


def _reasons(body: bytes) -> str:
    """Return the messages of an error's body; empty: there are none."""
    try:
        document = read_json(body)
    except ValueError:
        return ""
    errors = document.get("errors") if isinstance(document, dict) else None
    texts = []
    for error in errors if isinstance(errors, list) else []:
        match error:
            case {"message": str(message)} if message.strip():
                texts.append(quoted(message.strip()))
            case {"code": str(code)} if code.strip():
                texts.append(quoted(code.strip()))
    return ", ".join(texts[:3])


def _first(response: BaseHTTPResponse, most: int) -> bytes:
    """Return the first bytes of a body; none if the connection breaks."""
    from urllib3.exceptions import HTTPError

    try:
        return response.read(most)
    except HTTPError:
        return b""


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Return `Retry-After` in seconds (RFC 9110, 10.2.3); dates are not supported."""
    value = response.headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004 - 30 years


def _basic(credential: Password) -> str:
    return f"Basic {base64.b64encode(f'{credential.user}:{credential.secret}'.encode()).decode()}"
