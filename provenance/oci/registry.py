"""Reading from registries (OCI distribution-spec v1.1): the connections, and who one is to the other end.

What is asked for, and that it is what it should be, is `pull`'s. Nothing goes without TLS but to this machine itself;
who one is goes to the registry, and to the authorization server that it names, and never along with a redirection; what
may have been a passing failure is tried again, a bounded number of times.
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
from ..attest.document import read_object
from ..errors import RegistryError, UnreadableError, quoted
from .address import bare, is_loopback, may_lead, origin, scheme
from .challenge import Challenge, read_challenges
from .credentials import Credential, IdentityToken, Password, stored_credential
from .refusal import MOST_SAID, refused, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from urllib3 import BaseHTTPResponse, PoolManager

    from .reference import Reference

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 60.0
"""Without a byte from the other end."""
_TRIES = 4
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 60.0
"""Seconds that a registry may ask to be left alone; longer, and the run fails with what it asked for."""
_PASSING = frozenset({429, 500, 502, 503, 504})
_REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTIONS = 5
_UNAUTHORIZED = 401
_TOKEN_LIMIT = 1 << 20
_TOKEN = re.compile(r"[!-~]+\Z")
_CLIENT = "doit-provenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A registry's answer to a request that succeeded.

    Attributes:
        host: where it came from, in the end.
        status: 200, or 206 for a part of what was asked for.
        headers: by their names in any case.
    """

    host: str
    status: int
    headers: Mapping[str, str]
    response: BaseHTTPResponse

    def read(self, most: int) -> bytes:
        """Return the next bytes of the body as they were sent, `most` at most; none: it is at its end.

        Raises:
            RegistryError: the connection broke.
        """
        from urllib3.exceptions import HTTPError

        try:
            return self.response.read(most)
        except HTTPError as error:
            raise unreachable(self.host, error) from error


class Registry:
    """Connections to registries, for one run and one thread.

    Args:
        credential: tells who one is to a registry, by its name; asked only when the registry wants to know.
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
        """Return the connections, which are closed when the block is left."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        for pool in self._pools.values():
            pool.clear()

    @contextmanager
    def ask(
        self, method: str, reference: Reference, path: str, *, headers: Mapping[str, str] | None = None
    ) -> Iterator[Answer]:
        """Ask for something of a repository and yield the answer, whose body is not read yet.

        Args:
            method: `GET` or `HEAD`.
            reference: names the repository.
            path: below the repository, as `manifests/latest`.
            headers: of the request.

        Raises:
            RegistryError: it can't be reached, or answers with anything but success.
        """
        url = f"{scheme(reference.host)}://{reference.host}/v2/{reference.repository}/{path}"
        found, at = self._asked(method, url, reference, headers or {})
        if found.status == _UNAUTHORIZED and origin(at) == origin(url):
            # Unknown yet, or known by a token that has expired.
            challenges = read_challenges(found.headers.get("WWW-Authenticate", ""))
            found.close()
            self._authorizations[reference.name] = self._authorized(reference, challenges)
            found, at = self._asked(method, url, reference, headers or {})
        try:
            if not 200 <= found.status < 300:  # noqa: PLR2004 - RFC 9110, 15.3: success
                raise _refusal(found, reference, path)
            yield Answer(host=urlsplit(at).netloc, status=found.status, headers=found.headers, response=found)
        finally:
            found.close()

    def _asked(
        self, method: str, url: str, reference: Reference, headers: Mapping[str, str]
    ) -> tuple[BaseHTTPResponse, str]:
        known = self._authorizations.get(reference.name)
        return self._followed(method, url, {**headers, **({"Authorization": known} if known else {})})

    def _followed(self, method: str, url: str, headers: Mapping[str, str]) -> tuple[BaseHTTPResponse, str]:
        """Send a request, and follow where it leads; return the answer and where it came from."""
        sent = dict(headers)
        for _ in range(_MOST_REDIRECTIONS + 1):
            found = self._tried(method, url, sent)
            location = found.headers.get("Location")
            if found.status not in _REDIRECTIONS or not location:
                return found, url
            found.close()
            target = urljoin(url, location)
            if not may_lead(url, target):
                raise RegistryError(
                    f"`{urlsplit(url).netloc}` leads to {quoted(bare(target))}, which is not an `https://` address"
                )
            if origin(target) != origin(url):
                sent.pop("Authorization", None)
            url = target
        raise RegistryError(f"`{urlsplit(url).netloc}` leads from one address to another without end")

    def _tried(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> BaseHTTPResponse:
        """Send a request, again where the failure may be a passing one."""
        from urllib3.exceptions import HTTPError, ProxyError, SSLError

        sent = {"User-Agent": f"{_CLIENT}/{VERSION}", "Accept-Encoding": "identity", **headers}
        wait = _FIRST_WAIT
        for left in reversed(range(_TRIES)):
            try:
                found = self._pool(url).urlopen(
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
                    raise unreachable(urlsplit(url).netloc, error) from error
                pause = wait
            else:
                pause = _asked_to_wait(found) or wait
                if found.status not in _PASSING or not left or pause > _LONGEST_WAIT:
                    return found
                found.close()
            self._sleep(pause)
            wait *= 2
        raise AssertionError  # pragma: no cover - the last turn returns or raises

    def _pool(self, url: str) -> PoolManager:
        """Return the connections for an address: through the proxy that the environment names, if any."""
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

    def _authorized(self, reference: Reference, challenges: Sequence[Challenge]) -> str:
        """Return the `Authorization` header that opens a repository for reading."""
        known = {challenge.scheme: challenge for challenge in reversed(challenges)}
        credential = self._credential(reference.registry)
        if bearer := known.get("bearer"):
            return f"Bearer {self._token(reference, bearer, credential)}"
        if "basic" not in known:
            said = ", ".join(sorted(known)) or "nothing"
            raise RegistryError(
                f"`{reference.registry}` asks who you are in a way that is not known here: {quoted(said)}"
            )
        if not isinstance(credential, Password):
            raise refused(_UNAUTHORIZED, {}, b"", reference=reference, path="")
        return _basic(credential)

    def _token(self, reference: Reference, challenge: Challenge, credential: Credential | None) -> str:
        """Fetch a token for reading a repository (distribution's "Docker Registry v2 authentication via token")."""
        realm = challenge.parameters.get("realm", "")
        if not may_lead(f"{scheme(reference.host)}://{reference.host}", realm):
            raise RegistryError(
                f"`{reference.registry}` sends to {quoted(bare(realm))}, which is not an `https://` address"
            )
        fields = {"scope": f"repository:{reference.repository}:pull", "client_id": _CLIENT}
        if service := challenge.parameters.get("service"):
            fields["service"] = service
        if isinstance(credential, IdentityToken):
            fields |= {"grant_type": "refresh_token", "refresh_token": credential.secret}
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            found = self._tried("POST", realm, form, urlencode(fields))
        else:
            headers = {"Authorization": _basic(credential)} if credential else {}
            found, _ = self._followed("GET", f"{realm}{'&' if '?' in realm else '?'}{urlencode(fields)}", headers)
        try:
            if found.status != 200:  # noqa: PLR2004 - the one that has a token
                raise _refusal(found, reference)
            said = read_object(_first(found, _TOKEN_LIMIT + 1), what="the answer", limit=_TOKEN_LIMIT)
            key = "token" if said.found.get("token") else "access_token"
            if not _TOKEN.match(token := said.text(key)):
                raise said.error(key, "has characters that no token has")
        except UnreadableError as error:
            raise RegistryError(f"`{urlsplit(realm).netloc}` gave no token for `{reference.name}`: {error}") from error
        else:
            return token
        finally:
            found.close()


def _refusal(found: BaseHTTPResponse, reference: Reference, path: str = "") -> RegistryError:
    return refused(found.status, found.headers, _first(found, MOST_SAID), reference=reference, path=path)


def _first(found: BaseHTTPResponse, most: int) -> bytes:
    """Return the first bytes of a body; of one that breaks what came of it, as if that were all."""
    from urllib3.exceptions import HTTPError

    try:
        return found.read(most)
    except HTTPError:
        return b""


def _asked_to_wait(found: BaseHTTPResponse) -> float | None:
    """Return how many seconds a registry wants to be left alone (RFC 9110, 10.2.3; its form as a date is left out)."""
    said = found.headers.get("Retry-After", "").strip()
    return float(said) if said.isascii() and said.isdigit() and len(said) < 10 else None  # noqa: PLR2004 - 30 years


def _basic(credential: Password) -> str:
    return f"Basic {base64.b64encode(f'{credential.user}:{credential.secret}'.encode()).decode()}"
