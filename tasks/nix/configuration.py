"""Nix's own configuration, as far as it can change what an evaluation comes to."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...provenance.digest import read_limited
from ...provenance.errors import UnreadableError
from ..freshness.inputs import ABSENT, variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIMIT = 1 << 20
_MOST = 100
"""Files that are read: includes may go round in a ring."""
_INCLUDE = re.compile(r"^[ \t]*!?include[ \t]+(\S[^\n#]*)", re.MULTILINE)
_TRUSTED = "trusted-settings.json"
"""What flakes set, and a person has once said yes to, for good."""
_TRUSTS_IMPURE = re.compile(r'"(extra-)?pure-eval"')
_IMPURE = re.compile(r"^[ \t]*(extra-)?pure-eval[ \t]*=[ \t]*(false|no|0)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What Nix is told before any flake is read.

    Attributes:
        digest: of all of it, in hex.
        is_pure: evaluations see nothing but their flake and its inputs.
    """

    digest: str
    is_pure: bool


def read_configuration(environ: Mapping[str, str] = os.environ) -> Configuration:
    """Read `nix.conf`, with what it includes, and the user's (nix.conf(5)); registries, trusted settings, `NIX_…`."""
    waiting = list(_files(environ))
    texts = {"NIX_CONFIG": environ.get("NIX_CONFIG", "")}
    while waiting and len(texts) < _MOST:
        path = waiting.pop(0)
        if str(path) in texts:
            continue
        text = texts[str(path)] = _text(path)
        if path.suffix != ".json":
            waiting += [path.parent / found[1].strip() for found in _INCLUDE.finditer(text)]
    variables = {name: variable(name) for name in environ if name.startswith("NIX_") and name != "NIX_CONFIG"}
    everything = json.dumps([texts, variables], sort_keys=True)
    return Configuration(
        digest=hashlib.sha256(everything.encode(errors="surrogateescape")).hexdigest(),
        is_pure=not any(map(_is_impure, texts, texts.values())),
    )


def _is_impure(path: str, text: str) -> bool:
    return bool((_TRUSTS_IMPURE if path.endswith(_TRUSTED) else _IMPURE).search(text))


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    system = Path(environ.get("NIX_CONF_DIR") or "/etc/nix")
    yield from (system / "nix.conf", system / "registry.json")
    home, data = _of_user(environ, "XDG_CONFIG_HOME", ".config"), _of_user(environ, "XDG_DATA_HOME", ".local/share")
    if data:
        yield Path(data) / "nix" / _TRUSTED
    folders = [home, *(environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    if home:
        yield Path(home) / "nix" / "registry.json"
    own = environ.get("NIX_USER_CONF_FILES")
    paths = own.split(":") if own is not None else [f"{folder}/nix/nix.conf" for folder in folders if folder]
    yield from map(Path, filter(None, paths))


def _of_user(environ: Mapping[str, str], variable: str, folder: str) -> str:
    return environ.get(variable) or (f"{environ['HOME']}/{folder}" if environ.get("HOME") else "")


def _text(path: Path) -> str:
    try:
        return read_limited(path, _LIMIT).decode(errors="replace")
    except UnreadableError:  # not there, or nothing that Nix could read either
        return ABSENT
