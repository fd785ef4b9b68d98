"""What Nix tells while it builds (`--log-format internal-json`): for a person, and what it built and copied.

Each line is `@nix` and an object with an `action`: an activity's `start` and `stop`, its `result`s, and messages. The
numbers of activities and results are those of Nix's `logging.hh`, and the same in all its versions since 2.4.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ...provenance.redaction import MARK as REDACTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provenance.process import Sink

_MARK = b"@nix "
_LONGEST = 1 << 20
"""Bytes of one event: longer ones are dropped."""
_LOG_LINES = frozenset({101, 107})
_INFO = 3
"""The level up to which Nix shows what it does, unless it is asked for more."""
_ERROR = 0
_MOST_ERRORS = 50
_UNREADABLE = "unreadable"
"""Where a machine's address can't be told: it is not this one."""
_PASSWORD = re.compile(r"(?<=://)[^/\s@'\"]{1,500}@")


class _Activity(IntEnum):
    """What is started, of what is told apart here."""

    BUILD = 105
    SUBSTITUTE = 108


@dataclass(kw_only=True)
class BuildLog:
    """Takes the standard error of a call of Nix, a piece at a time.

    Attributes:
        sink: takes what a person shall read.
        built: derivations that were built, to the machine that built them; empty: this one.
        substituted: store paths that were copied from a binary cache, to the cache's address.
        errors: what Nix says went wrong.
    """

    sink: Sink
    built: dict[str, str] = field(default_factory=dict)
    substituted: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _rest: bytes = b""

    def __call__(self, piece: bytes) -> None:
        """Take a line, or a part of one."""
        self._rest += piece
        if not self._rest.endswith(b"\n"):
            if len(self._rest) > _LONGEST:
                self._rest = b""
            return
        line, self._rest = self._rest, b""
        if not line.startswith(_MARK):
            text = line.decode(errors="replace")
            self._say(text.removesuffix("\n"))
            self._fail(text)
            return
        try:
            event = json.loads(line.removeprefix(_MARK))
        except (ValueError, RecursionError):
            self._say(line.decode(errors="replace").removesuffix("\n"))
            return
        self._take(event)

    def _take(self, event: object) -> None:
        match event:
            case {"action": "msg", "level": int(level), "msg": str(text)}:
                if level <= _INFO:
                    self._say(text)
                if level == _ERROR:
                    self._fail(text)
            case {"action": "start", "id": int(number), "type": int(kind), **rest}:
                self._start(number, kind, rest)
            case {"action": "stop", "id": int(number)}:
                self._names.pop(number, None)
            case {"action": "result", "id": int(number), "type": int(kind), "fields": [str(text), *_]}:
                if kind in _LOG_LINES:
                    self._say(f"{self._names.get(number, 'nix')}> {text}")

    def _start(self, number: int, kind: int, rest: Mapping[object, object]) -> None:
        match kind, rest.get("fields"):
            case _Activity.BUILD, [str(derivation), str(machine), *_]:
                # Some remote builders pass on what they do: of their own build they say that it is on no other machine.
                named = (public_address(machine) or _UNREADABLE) if machine else ""
                self.built[derivation] = named or self.built.get(derivation, "")
                self._names[number] = name_of(derivation)
            case _Activity.SUBSTITUTE, [str(path), str(address), *_]:
                self.substituted[path] = public_address(address)
        level, text = rest.get("level"), rest.get("text")
        if isinstance(level, int) and level <= _INFO and isinstance(text, str) and text:
            self._say(text)

    def _fail(self, text: str) -> None:
        if text not in self.errors and len(self.errors) < _MOST_ERRORS:  # of what failed it tells once more at its end
            self.errors.append(text)

    def _say(self, text: str) -> None:
        self.sink(f"{without_passwords(text)}\n".encode(errors="replace"))


def without_passwords(text: str) -> str:
    """Return a text without who somebody is to a server: Nix tells of addresses as nix.conf and flakes have them.

    >>> without_passwords("unable to download 'https://user:secret@cache.example.com/x'")
    "unable to download 'https://***@cache.example.com/x'"
    """
    return _PASSWORD.sub(f"{REDACTED}@", text)


def public_address(address: str) -> str:
    """Return where a binary cache or a builder is, without credentials and options, which may lead to keys.

    >>> public_address("https://user:secret@cache.example.com/x?priority=10"), public_address("local")
    ('https://cache.example.com/x', 'local')
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""  # what can't be taken apart may hide a password anywhere
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def name_of(path: str) -> str:
    """Return what stands behind the hash in a store path, without `.drv`.

    >>> name_of("/nix/store/bi58isx2z448fkyxq6jg69i1r2g99bmn-wash-0.1.0.drv")
    'wash-0.1.0'
    """
    return path.rpartition("/")[2].partition("-")[2].removesuffix(".drv")
