"""`flake.lock`: the inputs of a flake, each pinned by its revision and the hash of its contents."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from ...provenance.digest import read_limited
from ...provenance.errors import UnreadableError
from ...provenance.json import read_json
from ...provenance.source import public_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...provenance.json import JSONValue

LOCK = "flake.lock"
_LIMIT = 16 << 20
_HOSTS = {"github": "github.com", "gitlab": "gitlab.com", "sourcehut": "git.sr.ht"}
_REVISION = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedInput:
    """One input of a flake, or of an input of it.

    Attributes:
        name: of its node in the lock.
        uri: where it is from, without credentials; empty: from this machine.
        revision: the git commit, in hex; empty: it is from no repository.
        nar_hash: sha256 of its NAR serialisation, in hex; empty: not said.
        path: of one that is a folder of this machine.
    """

    name: str
    uri: str
    revision: str
    nar_hash: str
    path: str


def read_lock(folder: Path) -> tuple[LockedInput, ...]:
    """Return what the flake in `folder` has locked, sorted by name; nothing where it has no lock.

    Raises:
        UnreadableError: the lock is malformed.
    """
    path = folder / LOCK
    if not path.exists():
        return ()
    try:
        document = read_json(read_limited(path, _LIMIT))
    except ValueError as error:
        raise UnreadableError(f"`{LOCK}` is not JSON: {error}", hint="run `nix flake lock`") from error
    match document:
        case {"nodes": dict(nodes), "root": str(root)}:
            used = _reached(nodes, root)
            found = {
                name: node.get("locked") for name, node in nodes.items() if name in used and isinstance(node, dict)
            }
            return tuple(_input(name, one) for name, one in sorted(found.items()) if isinstance(one, dict))
    raise UnreadableError(f"`{LOCK}` is no lock of a flake: it has no `nodes`", hint="run `nix flake lock`")


def _reached(nodes: Mapping[str, JSONValue], root: str) -> set[str]:
    """Return the nodes that some input leads to: Nix ignores others, and whoever wrote them could claim anything.

    An input that `follows` another one has a list, the way to it from the root; what that leads to
    has a node of its own.
    """
    found: set[str] = set()
    waiting = [root]
    while waiting:
        match nodes.get(waiting.pop()):
            case {"inputs": dict(inputs)}:
                targets = {target for target in inputs.values() if isinstance(target, str)} - found
                found |= targets
                waiting += targets
    return found - {root}


def sri_to_hex(text: str) -> str:
    """Return the hex of `sha256-BASE64` (W3C, Subresource Integrity), as Nix writes hashes; empty: it is none.

    >>> sri_to_hex("sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=")[:8]
    '5891b5b5'
    """
    algorithm, _, encoded = text.partition("-")
    try:
        found = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return found.hex() if algorithm == "sha256" and len(found) == 32 else ""  # noqa: PLR2004 - bytes of a sha256


def _input(name: str, locked: Mapping[str, JSONValue]) -> LockedInput:
    said = {key: value for key, value in locked.items() if isinstance(value, str)}
    revision = said.get("rev", "")
    return LockedInput(
        name=name,
        uri=_uri(said),
        revision=revision if _REVISION.match(revision) else "",
        nar_hash=sri_to_hex(said.get("narHash", "")),
        path=said.get("path", "") if said.get("type") == "path" else "",
    )


def _uri(said: Mapping[str, str]) -> str:
    """Return where an input is from, as SPDX and SLSA write it: `git+https://…`."""
    kind = said.get("type", "")
    if kind in _HOSTS and said.get("owner") and said.get("repo"):
        host = said.get("host") or _HOSTS[kind]
        owner = quote(unquote(said["owner"]), safe="/~")  # groups of groups are written `a%2Fb`
        found = public_url(f"https://{host}/{owner}/{quote(said['repo'])}")
        return f"git+{found}" if found else ""
    url = public_url(said.get("url", "").removeprefix("git+").partition("?")[0]) if said.get("url") else None
    return (f"git+{url}" if kind == "git" else url) if url else ""
