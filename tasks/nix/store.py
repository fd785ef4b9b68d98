"""What the Nix store knows: of paths and what they refer to, and of derivations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...provenance.errors import ToolError, quoted
from ...provenance.sbom.nix.store import Derivation, DerivationOutput, PathInfo
from .lock import sri_to_hex
from .tool import answer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ...provenance.json import JSONValue
    from ..context import Context
    from .tool import Nix

_BATCH = 500
"""Store paths on one command line, far below what systems allow."""


def closure_of(context: Context, nix: Nix, paths: Collection[str]) -> dict[str, PathInfo]:
    """Return these store paths and all that they refer to, over any number of steps.

    Raises:
        ToolError: one is not in the store, or Nix answers something else.
    """
    return _infos(context, nix, paths, "--recursive")


def present(context: Context, nix: Nix, derivations: Iterable[Derivation]) -> dict[str, PathInfo]:
    """Return what is in the store of all that derivations build or take.

    Raises:
        ToolError: Nix answers something else.
    """
    there = sorted(path for path in _paths(derivations) if os.path.lexists(path))
    found: dict[str, PathInfo] = {}
    for start in range(0, len(there), _BATCH):
        found |= _infos(context, nix, there[start : start + _BATCH])
    return found


def valid_paths(context: Context, nix: Nix, paths: Collection[str]) -> set[str]:
    """Return which of some paths the store holds: what a failed build left may lie there as well, and is none.

    Raises:
        ToolError: Nix answers something else.
    """
    there = sorted(path for path in paths if os.path.lexists(path))
    return {path for path, one in _asked(context, nix, there) if one.get("narHash")} if there else set()


def used_by(derivations: Iterable[Derivation], there: Mapping[str, PathInfo]) -> dict[str, PathInfo]:
    """Return what some derivations build or take, out of what is there of that of several."""
    return {path: there[path] for path in sorted(_paths(derivations)) if path in there}


def _paths(derivations: Iterable[Derivation]) -> set[str]:
    return {path for one in derivations for path in (*(o.path for o in one.outputs.values()), *one.sources) if path}


def part_of(closure: Mapping[str, PathInfo], path: str) -> dict[str, PathInfo]:
    """Return what one path refers to, itself included, out of the closure of several.

    Raises:
        ToolError: it lacks one.
    """
    found: dict[str, PathInfo] = {}
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in found:
            if one not in closure:
                raise ToolError(f"nix answers something else than it was asked for: nothing of {quoted(one)}")
            found[one] = closure[one]
            waiting += closure[one].references
    return dict(sorted(found.items()))


def derivations_of(context: Context, nix: Nix, paths: Collection[str]) -> dict[str, Derivation]:
    """Return these derivations and all that they are built from, over any number of steps.

    Raises:
        ToolError: one is not in the store, or Nix answers something else.
    """
    argv = nix.argv("show-derivation", "--recursive", *sorted(paths))
    said = answer(context, argv, cwd=context.workspace.root, what="show the derivations")
    listed = said.get("derivations", said) if isinstance(said, dict) else None
    if not isinstance(listed, dict):
        raise ToolError("nix answers something else than it was asked for: no derivations")
    store = next(iter(sorted(paths)), "/").rpartition("/")[0]
    found = (_derivation(store, path, one) for path, one in listed.items() if isinstance(one, dict))
    return {one.path: one for one in found}


def within(derivations: Mapping[str, Derivation], path: str) -> dict[str, Derivation]:
    """Return a derivation and all that it is built from, out of those of several.

    Raises:
        ToolError: one is missing.
    """
    found: dict[str, Derivation] = {}
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one not in found:
            if one not in derivations:
                raise ToolError(f"nix answers something else than it was asked for: nothing of {quoted(one)}")
            found[one] = derivations[one]
            waiting += derivations[one].inputs
    return dict(sorted(found.items()))


def _infos(context: Context, nix: Nix, paths: Collection[str], *options: str) -> dict[str, PathInfo]:
    found = (_info(path, one) for path, one in _asked(context, nix, paths, *options))
    return {one.path: one for one in sorted(found, key=lambda one: one.path)}


def _asked(
    context: Context, nix: Nix, paths: Collection[str], *options: str
) -> list[tuple[str, Mapping[str, JSONValue]]]:
    argv = nix.argv("path-info", "--json", *options, *sorted(paths))
    said = answer(context, argv, cwd=context.workspace.root, what="tell what the store holds")
    # A list of objects that have their paths, before Nix 2.19; since then an object by path.
    entries = [(path, one) for path, one in said.items()] if isinstance(said, dict) else _listed(said)
    return [(path, one) for path, one in entries if isinstance(one, dict)]


def _listed(said: JSONValue) -> list[tuple[str, JSONValue]]:
    entries = said if isinstance(said, list) else []
    return [(str(one["path"]), one) for one in entries if isinstance(one, dict) and "path" in one]


def _info(path: str, said: Mapping[str, JSONValue]) -> PathInfo:
    nar_hash, size = sri_to_hex(_text(said.get("narHash"))), said.get("narSize")
    if not nar_hash or not isinstance(size, int):
        raise ToolError(f"the store does not hold {quoted(path)}", hint="run again; was it collected as garbage?")
    store = path.rpartition("/")[0]
    return PathInfo(
        path=path,
        nar_hash=nar_hash,
        nar_size=size,
        references=tuple(sorted(_absolute(store, one) for one in _texts(said.get("references")))),
        deriver=_text(said.get("deriver")),
        content_address=_text(said.get("ca")),
        signatures=tuple(_texts(said.get("signatures"))),
        is_ultimate=said.get("ultimate") is True,
    )


def _derivation(store: str, path: str, said: Mapping[str, JSONValue]) -> Derivation:
    # Newer versions have both lists of inputs in one object, and paths without the store's folder.
    inputs = said.get("inputs")
    took = inputs if isinstance(inputs, dict) else {"drvs": said.get("inputDrvs"), "srcs": said.get("inputSrcs")}
    drvs, outputs, environment = took.get("drvs"), said.get("outputs"), said.get("env")
    return Derivation(
        path=_absolute(store, path),
        system=_text(said.get("system")),
        outputs={
            name: DerivationOutput(
                path=_absolute(store, _text(one.get("path"))),
                hash_algorithm=_text(one.get("hashAlgo")),
                hash=_hash(_text(one.get("hash"))),
            )
            for name, one in (outputs if isinstance(outputs, dict) else {}).items()
            if isinstance(one, dict)
        },
        inputs={
            _absolute(store, one): tuple(_texts(taken.get("outputs") if isinstance(taken, dict) else taken))
            for one, taken in (drvs if isinstance(drvs, dict) else {}).items()
        },
        sources=tuple(_absolute(store, one) for one in _texts(took.get("srcs"))),
        environment={
            name: value
            for name, value in (environment if isinstance(environment, dict) else {}).items()
            if isinstance(value, str)
        },
    )


def _absolute(store: str, path: str) -> str:
    return path if not path or path.startswith("/") else f"{store}/{path}"


def _hash(text: str) -> str:
    """Return a hash in hex, which older versions write so, and newer ones as `sha256-BASE64`."""
    return sri_to_hex(text) or text


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: JSONValue) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
