"""What Nix says when it fails: its own message, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..progress.transcript import without_colours
from .log import without_passwords

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 4000
"""Characters of Nix's message that are told; the rest of it the log has."""
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
_READ = [(re.compile(pattern), hint) for pattern, hint in _HINTS.items()]
_WAITING = re.compile(r"waiting for|is busy|locked by", re.IGNORECASE)


def message_of(said: str) -> str:
    """Return what Nix has said, without colours, passwords, noise and what can't be shown; of much, both ends."""
    lines = [_shown(line) for line in without_passwords(without_colours(said)).splitlines()]
    text = "\n".join(line for line in lines if line.strip() and not _NOISE.match(line.strip()))
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]}\n[…]\n{text[-_MOST // 2 :]}"


def hint_for(said: str) -> str | None:
    """Return what to do about a failure; `None`: nobody here knows more than Nix has said."""
    plain = without_colours(said)
    return next((hint for pattern, hint in _READ if pattern.search(plain)), None)


def is_waiting(line: str) -> bool:
    """Tell whether Nix says that it waits for another process to let go of the store."""
    return bool(_WAITING.search(line))


def _shown(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line.replace("\t", "    "))
