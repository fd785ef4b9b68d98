"""Queries of the Nix store: store paths with their references, derivations, and the facts about a built output."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from ...provenance.errors import ToolError, quoted
from ...provenance.sbom.nix.store import Derivation, DerivationOutput, Meta, PathInfo
from .program import answer, path_entries, table, text, texts
from .tree import sri_to_hex

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ...provenance.json import JSONValue
    from ..context import Context
    from .program import NixProgram

_BATCH = 500
"""Store paths on one command line, far below the limits of systems."""
_Node = TypeVar("_Node", PathInfo, Derivation)


class Origin(StrEnum):
    """How an output came into the local store."""

    BUILT = "built"
    """This run built it, here or on a remote builder."""
    SUBSTITUTED = "substituted"
    """This run copied it from a binary cache: only the cache's signatures vouch for its build."""
    PRESENT = "present"
    """It was in the store already: this run knows nothing about its build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NixFacts:
    """The facts about one output in the store, from which its evidence is made.

    Attributes:
        output: its store path.
        derivation: path of its `.drv` file.
        system: of the output, as `x86_64-linux`.
        origin: how it came into the store.
        substituter: the binary cache that it was copied from; empty for other origins.
        builder: the remote builder that built it; empty: this machine, or none.
        closure: its runtime closure, itself included, by store path.
        derivations: its own and all that it was built from, by path.
        build_closure: what its build used and is still in the store, by store path; `None`: not requested.
        meta: metadata of packages, by the store paths of their outputs.
    """

    output: str
    derivation: str
    system: str
    origin: Origin
    closure: Mapping[str, PathInfo]
    derivations: Mapping[str, Derivation]
    substituter: str = ""
    builder: str = ""
    build_closure: Mapping[str, PathInfo] | None = None
    meta: Mapping[str, Meta] = field(default_factory=dict)


def closure_of(context: Context, nix: NixProgram, paths: Collection[str]) -> dict[str, PathInfo]:
    """Return store paths and all that they refer to, transitively.

    Raises:
        ToolError: one is not in the store, or Nix's answer has another form.
    """
    return _path_infos(context, nix, paths, "--recursive")


def present(context: Context, nix: NixProgram, derivations: Iterable[Derivation]) -> dict[str, PathInfo]:
    """Return the outputs and sources of derivations that are in the store.

    Raises:
        ToolError: Nix's answer has another form.
    """
    there = sorted(path for path in _paths(derivations) if os.path.lexists(path))
    infos: dict[str, PathInfo] = {}
    for start in range(0, len(there), _BATCH):
        infos |= _path_infos(context, nix, there[start : start + _BATCH])
    return infos


def valid_paths(context: Context, nix: NixProgram, paths: Collection[str]) -> set[str]:
    """Return those paths that the store has registered: a failed build may leave others in its folder.

    Raises:
        ToolError: Nix's answer has another form.
    """
    there = sorted(path for path in paths if os.path.lexists(path))
    return {path for path, info in _query(context, nix, there) if info.get("narHash")} if there else set()


def used_by(derivations: Iterable[Derivation], there: Mapping[str, PathInfo]) -> dict[str, PathInfo]:
    """Return the outputs and sources of derivations, out of those of several."""
    return {path: there[path] for path in sorted(_paths(derivations)) if path in there}


def _paths(derivations: Iterable[Derivation]) -> set[str]:
    return {
        path
        for derivation in derivations
        for path in (*(output.path for output in derivation.outputs.values()), *derivation.sources)
        if path
    }


def derivations_of(context: Context, nix: NixProgram, paths: Collection[str]) -> dict[str, Derivation]:
    """Return derivations and all that they are built from, transitively.

    Raises:
        ToolError: one is not in the store, or Nix's answer has another form.
    """
    argv = nix.argv("show-derivation", "--recursive", *sorted(paths))
    shown = answer(context, argv, cwd=context.workspace.root, what="show the derivations")
    listed = shown.get("derivations", shown) if isinstance(shown, dict) else None
    if not isinstance(listed, dict):
        raise ToolError("nix answers something else than it was asked for: no derivations")
    store = next(iter(sorted(paths)), "/").rpartition("/")[0]
    derivations = (_derivation(store, path, fields) for path, fields in listed.items() if isinstance(fields, dict))
    return {derivation.path: derivation for derivation in derivations}


def reachable(nodes: Mapping[str, _Node], path: str) -> dict[str, _Node]:
    """Return a store path or derivation with all that it refers to or is built from, out of those of several.

    Raises:
        ToolError: one is missing.
    """
    reached: dict[str, _Node] = {}
    waiting = [path]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            node = nodes.get(name)
            if node is None:
                raise ToolError(f"nix answers something else than it was asked for: nothing of {quoted(name)}")
            reached[name] = node
            waiting += node.references if isinstance(node, PathInfo) else node.inputs
    return dict(sorted(reached.items()))


def _path_infos(context: Context, nix: NixProgram, paths: Collection[str], *options: str) -> dict[str, PathInfo]:
    entries = sorted(_query(context, nix, paths, *options), key=lambda entry: entry[0])
    return {path: _path_info(path, fields) for path, fields in entries}


def _query(
    context: Context, nix: NixProgram, paths: Collection[str], *options: str
) -> list[tuple[str, Mapping[str, JSONValue]]]:
    argv = nix.argv("path-info", "--json", *options, *sorted(paths))
    listed = answer(context, argv, cwd=context.workspace.root, what="tell what the store holds")
    return [(path, fields) for path, fields in path_entries(listed) if isinstance(fields, dict)]


def _path_info(path: str, fields: Mapping[str, JSONValue]) -> PathInfo:
    nar_hash, size = sri_to_hex(text(fields.get("narHash"))), fields.get("narSize")
    if not nar_hash or not isinstance(size, int):
        raise ToolError(f"the store does not hold {quoted(path)}", hint="run again; was it collected as garbage?")
    store = path.rpartition("/")[0]
    return PathInfo(
        path=path,
        nar_hash=nar_hash,
        nar_size=size,
        references=tuple(sorted(_absolute(store, reference) for reference in texts(fields.get("references")))),
        deriver=text(fields.get("deriver")),
        content_address=text(fields.get("ca")),
        signatures=tuple(texts(fields.get("signatures"))),
        is_ultimate=fields.get("ultimate") is True,
    )


def _derivation(store: str, path: str, fields: Mapping[str, JSONValue]) -> Derivation:
    # Newer versions have both lists of inputs in one object, and paths without the store's folder.
    inputs = fields.get("inputs")
    both = inputs if isinstance(inputs, dict) else {"drvs": fields.get("inputDrvs"), "srcs": fields.get("inputSrcs")}
    return Derivation(
        path=_absolute(store, path),
        system=text(fields.get("system")),
        outputs={
            name: DerivationOutput(
                path=_absolute(store, text(output.get("path"))),
                hash_algorithm=text(output.get("hashAlgo")),
                # In hex in older versions, `sha256-BASE64` in newer ones.
                hash=sri_to_hex(text(output.get("hash"))) or text(output.get("hash")),
            )
            for name, output in table(fields.get("outputs")).items()
            if isinstance(output, dict)
        },
        inputs={
            _absolute(store, drv): tuple(texts(used.get("outputs") if isinstance(used, dict) else used))
            for drv, used in table(both.get("drvs")).items()
        },
        sources=tuple(_absolute(store, source) for source in texts(both.get("srcs"))),
        environment={name: value for name, value in table(fields.get("env")).items() if isinstance(value, str)},
    )


def _absolute(store: str, path: str) -> str:
    return path if not path or path.startswith("/") else f"{store}/{path}"
