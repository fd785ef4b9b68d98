"""Nix's log (`--log-format internal-json`): what a person reads, what was built and copied, and why a build failed.

Each line is `@nix` and an object with an `action`: an activity's `start` and `stop`, its `result`s, and messages. The
numbers of activities and results are those of Nix's `logging.hh`, the same in all versions since 2.4.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ...provenance.redaction import MARK as REDACTED
from ..progress.transcript import without_colours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provenance.process import Sink

_MARK = b"@nix "
_EVENT_LIMIT = 1 << 20
"""Bytes of one event: longer ones are dropped."""
_LOG_LINES = frozenset({101, 107})
_INFO = 3
"""Nix's default level of messages."""
_ERROR = 0
_ERRORS = 50
_UNREADABLE = "unreadable"
"""In place of a machine's address that can't be parsed; it is not this machine."""
_PASSWORD = re.compile(r"(?<=://)[^/\s@'\"]{1,500}@")
_MESSAGE = 4000
"""Characters of Nix's message in an error; the log has all of it."""
_NOISE = re.compile(r"^(warning: Git tree '.*' is dirty|\(use '--show-trace' .*\)|evaluating .*)$")

_FEATURES = (
    "write `experimental-features = nix-command flakes` into nix.conf, or `experimental-features = true` into `[nix]` "
    "of provenance.toml, which passes it on the command line"
)
_LOCK = (
    "flake.lock is missing or out of date, and is never rewritten here: run `nix flake lock`, and `git add flake.lock` "
    "if git does not track it yet"
)
_UNWRITABLE = (
    r"(big-lock|/db|/var/nix|/store).*(Permission denied|Read-only file system)"
    r"|(Permission denied|Read-only file system).*(big-lock|/db|/var/nix|/store)|not writable"
)
_SYSTEM = (
    "this machine can't build for that system: configure a remote builder in nix.conf, or leave it out of `systems` in "
    "`[nix]`"
)
_DIFFERENT = (
    "built again here, it came out different: find what is not reproducible in it, or take `rebuild` out of `[nix]`"
)
_HINTS: Mapping[str, str] = {
    r"experimental (Nix )?feature '.*' is disabled": _FEATURES,
    r"requires lock file changes|cannot (write|update) .*lock file|lock file .* not up to date": _LOCK,
    r"No space left on device|disk is full": "the disk is full: make room, as with `nix store gc`, and run again",
    r"cannot connect to (socket|daemon)|cannot open connection to remote store": (
        "the Nix daemon does not answer: is it running, and may this user connect to it?"
    ),
    _UNWRITABLE: "this user may not write to the Nix store: run as who may, or through the Nix daemon",
    r"-source/.*(No such file or directory|does not exist)|is not tracked by Git|does not contain a '.*flake\.nix'": (
        "a flake sees only files that git tracks: `git add` them"
    ),
    r"lacks a (valid )?signature|lacks a signature by a trusted key|is not signed by any of the keys": (
        "add the cache's key to `trusted-public-keys` in nix.conf, if you trust it"
    ),
    r"required to build|is required, but I am|required system or feature not available": _SYSTEM,
    r"may not be deterministic": _DIFFERENT,
    r"hash mismatch in fixed-output derivation": "what it fetches has changed: correct the hash, or what is fetched",
    r"attribute '.*' missing|does not provide attribute": "correct `packages` or `attributes` in `[nix]`",
}
_PATTERNS = [(re.compile(pattern), hint) for pattern, hint in _HINTS.items()]
_WAITING = re.compile(r"waiting for|is busy|locked by", re.IGNORECASE)


class _Activity(IntEnum):
    """The types of activities that are distinguished here."""

    BUILD = 105
    SUBSTITUTE = 108


@dataclass(kw_only=True)
class BuildLog:
    """Parses the standard error of a call of Nix, piece by piece.

    Attributes:
        sink: receives what a person reads.
        built: the machine that built each derivation; empty: this one.
        substituted: the binary cache that each copied store path came from.
        errors: Nix's error messages.
    """

    sink: Sink
    built: dict[str, str] = field(default_factory=dict)
    substituted: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _rest: bytes = b""

    def __call__(self, piece: bytes) -> None:
        """Parse a line, or a part of one."""
        self._rest += piece
        if not self._rest.endswith(b"\n"):
            if len(self._rest) > _EVENT_LIMIT:
                self._rest = b""
            return
        line, self._rest = self._rest, b""
        text = line.decode(errors="replace")
        if not line.startswith(_MARK):
            self._show(text.removesuffix("\n"))
            self._fail(text)
            return
        try:
            event = json.loads(line.removeprefix(_MARK))
        except (ValueError, RecursionError):
            self._show(text.removesuffix("\n"))
        else:
            self._handle(event)

    def _handle(self, event: object) -> None:
        match event:
            case {"action": "msg", "level": int(level), "msg": str(text)}:
                if level <= _INFO:
                    self._show(text)
                if level == _ERROR:
                    self._fail(text)
            case {"action": "start", "id": int(number), "type": int(kind), **rest}:
                self._start(number, kind, rest)
            case {"action": "stop", "id": int(number)}:
                self._names.pop(number, None)
            case {"action": "result", "id": int(number), "type": int(kind), "fields": [str(text), *_]}:
                if kind in _LOG_LINES:
                    self._show(f"{self._names.get(number, 'nix')}> {text}")

    def _start(self, number: int, kind: int, rest: Mapping[object, object]) -> None:
        match kind, rest.get("fields"):
            case _Activity.BUILD, [str(derivation), str(machine), *_]:
                # A remote builder may pass on its own log, in which its build is local.
                address = (public_address(machine) or _UNREADABLE) if machine else ""
                self.built[derivation] = address or self.built.get(derivation, "")
                self._names[number] = name_of(derivation)
            case _Activity.SUBSTITUTE, [str(path), str(address), *_]:
                self.substituted[path] = public_address(address)
        level, text = rest.get("level"), rest.get("text")
        if isinstance(level, int) and level <= _INFO and isinstance(text, str) and text:
            self._show(text)

    def _fail(self, text: str) -> None:
        if text not in self.errors and len(self.errors) < _ERRORS:  # Nix repeats failures at the end
            self.errors.append(text)

    def _show(self, text: str) -> None:
        self.sink(f"{without_passwords(text)}\n".encode(errors="replace"))


def without_passwords(text: str) -> str:
    """Return a text without credentials in URLs: Nix prints URLs as nix.conf and flakes have them.

    >>> without_passwords("unable to download 'https://user:secret@cache.example.com/x'")
    "unable to download 'https://***@cache.example.com/x'"
    """
    return _PASSWORD.sub(f"{REDACTED}@", text)


def public_address(address: str) -> str:
    """Return the address of a binary cache or a builder without credentials and options, which may name keys.

    >>> public_address("https://user:secret@cache.example.com/x?priority=10"), public_address("local")
    ('https://cache.example.com/x', 'local')
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""  # an address that can't be parsed may contain a password anywhere
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def name_of(path: str) -> str:
    """Return the name in a store path: what follows the hash, without `.drv`.

    >>> name_of("/nix/store/bi58isx2z448fkyxq6jg69i1r2g99bmn-wash-0.1.0.drv")
    'wash-0.1.0'
    """
    return path.rpartition("/")[2].partition("-")[2].removesuffix(".drv")


def message_of(output: str) -> str:
    """Return Nix's message without colours, passwords, noise and control characters; both ends, if it is long."""
    lines = [_printable(line) for line in without_passwords(without_colours(output)).splitlines()]
    text = "\n".join(line for line in lines if line.strip() and not _NOISE.match(line.strip()))
    return text if len(text) <= _MESSAGE else f"{text[: _MESSAGE // 2]}\n[…]\n{text[-_MESSAGE // 2 :]}"


def hint_for(output: str) -> str | None:
    """Return what to do about a failure; `None`: it is an unknown one."""
    plain = without_colours(output)
    return next((hint for pattern, hint in _PATTERNS if pattern.search(plain)), None)


def is_waiting(line: str) -> bool:
    """Tell whether a line reports that Nix waits for another process to release the store."""
    return bool(_WAITING.search(line))


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line.replace("\t", "    "))
