"""`doit show`: evidence for a person. What it is, what is in it, who built it from what."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...provenance.digest import digest_bytes, read_limited
from ...provenance.errors import ProvenanceError, UnreadableError, VerificationError, quoted
from ...provenance.fs.folder import steady
from ...provenance.record import place_of
from ...provenance.sbom.inventory import Component, Inventory, Kind, Role
from ...provenance.verify.evidence import INVENTORY_LIMIT
from ...provenance.verify.lineage import Line, lineage
from .base import WorkspaceCommand, printable
from .verify import OPT_KEY, artifact_folders, is_layout, stands_in_its_folder, trust_of, verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...provenance.attest.slsa import Provenance
    from ...provenance.json import JSONValue
    from ...provenance.verify.trust import Trust
    from ...provenance.verify.verifier import VerifiedArtifact
    from ..session import Session


_IMAGE = "pkg:docker/"
"""How the package URL of an image begins that another one was built from, as BuildKit writes it."""


class Show(WorkspaceCommand):
    """Shows artifacts; only what verifies is shown as a fact."""

    name = "show"
    doc_purpose = "show what is in an artifact, and who built it from what"
    doc_usage = "[WHAT ...]"
    doc_description = "WHAT is as for `verify`. What does not verify is said and not shown."
    cmd_options = (OPT_KEY,)

    def run(self, params: Any, args: list[str]) -> int:
        """Verify each artifact, then show it."""
        trust = trust_of(params["keys"])
        wanted = [_Wanted(folder=f) for a in args if os.path.lexists(a) for f in _folders(Path(a))]
        names = [a for a in args if not os.path.lexists(a)]
        if names or not args:
            wanted += [
                _Wanted(folder=s.workspace.output / a.folder, id=a.id, session=s) for s, a in self.artifacts(names)
            ]
        worst = 0
        for one in wanted:
            try:
                lines = steady(one.folder, functools.partial(_shown, one, trust))
            except ProvenanceError as error:
                sys.stdout.write(f"not verified  {error}\n\n")
                worst = max(worst, error.exit_code)
                continue
            sys.stdout.write("".join(f"{printable(line)}\n" for line in lines) + "\n")
        return worst


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be shown: a folder, and where it was asked for by its name the id and who knows the workspace."""

    folder: Path
    id: str | None = None
    session: Session | None = None


def _folders(path: Path) -> list[Path]:
    if path.is_dir() and not is_layout(path):
        return artifact_folders(path)
    if not stands_in_its_folder(path):
        raise UnreadableError(
            f"{quoted(str(path))} is not an artifact in its folder", hint="`verify` takes a lone file with its bundles"
        )
    return [path.parent]


def _shown(wanted: _Wanted, trust: Trust) -> list[str]:
    folder = wanted.folder
    found = verified(folder, trust, wanted.id)
    inventory = _inventory(folder, found)
    output = folder.parents[place_of("", "", "").count("/")]
    lines = [*_lines(folder, found, inventory), *_lineage(lineage(found, output, trust))]
    if found.record.media_type is not None:
        from .show_image import explanations

        sources = wanted.session.sources(found.record) if wanted.session else {}
        lines += (f"  {line}" for line in explanations(folder / found.record.file, inventory, sources))
    return lines


def _inventory(folder: Path, found: VerifiedArtifact) -> Inventory:
    """Read the inventory that was just verified; its digest is compared again, as the file may have changed since."""
    name = found.record.names.inventory
    data = read_limited(folder / name, INVENTORY_LIMIT)
    if digest_bytes(data).sha256 != found.record.evidence[name]:
        raise VerificationError(f"`{name}` changed while it was being shown")
    return Inventory.from_json(data)


def _lines(folder: Path, found: VerifiedArtifact, inventory: Inventory) -> Iterator[str]:
    yield f"{found.record.artifact}"
    if found.record.media_type is None:
        yield _row("file", f"{found.record.file}, {found.digest.size:,} bytes")
    else:
        from .show_image import rows

        yield from (_row(title, text) for title, text in rows(folder / found.record.file))
    yield _row("digest", str(found.digest))
    yield from _build(found.build)
    yield _row("signed by", ", ".join(f"{key.hint}, from {key.origin}" for key in found.signers))
    yield _row("inventory", f"{inventory.completeness}: {inventory.note}")
    for title, role in (
        ("contained", Role.CONTAINED),
        ("packages in it", Role.LINKED),
        ("used at run time", Role.DYNAMIC),
        ("given to its build", Role.INPUT),
        ("tools that built it", Role.BUILD),
    ):
        components = inventory.of_role(role)
        if components:
            yield f"  {title} ({len(components)}):"
            yield from (f"    {_component(c)}" for c in components)


def _build(build: Provenance) -> Iterator[str]:
    definition, run = build.build_definition, build.run_details
    for material in definition.resolved_dependencies:
        if material.name == "source":
            dirty = ", with changes that are not committed" if material.annotations.get("dirty") else ""
            yield _row("source", f"{material.uri or 'git'} at {material.digest.get('gitCommit')}{dirty}")
        elif material.name == "inputs":
            files = material.annotations.get("files")
            counted = f"{files} file{'' if files == 1 else 's'}"
            yield _row("inputs", f"{counted}, sha256:{material.digest.get('sha256')}")
        elif material.uri.startswith(_IMAGE):
            yield _row("from image", f"{material.name} at sha256:{material.digest.get('sha256')}")
    chosen = {k: v for k, v in definition.external_parameters.items() if v not in (None, False, [], {}, "")}
    yield _row("built as", ", ".join(f"{k}: {_text(v)}" for k, v in chosen.items()))
    if run.finished is None and "origin" in definition.internal_parameters:
        yield from _taken(definition.internal_parameters)
        yield _row("taken by", f"{run.builder_id}; no build is claimed")
        return
    yield _row("built by", f"{run.builder_id}{f', {run.started:%Y-%m-%d %H:%M:%S} UTC' if run.started else ''}")


def _taken(found: Mapping[str, JSONValue]) -> Iterator[str]:
    """Say where something came from that was not built (docs/build-types/nix.v1.md)."""
    origin, substituter, signatures = found["origin"], found.get("substituter"), found.get("signatures")
    names = [str(one).partition(":")[0] for one in signatures] if isinstance(signatures, list) else []
    signed = f"; its signatures there: {', '.join(names)}" if names else ""
    yield _row("origin", f"{origin}{f' from {substituter}' if substituter else ''}{signed}")


def _lineage(lines: Iterator[Line]) -> Iterator[str]:
    """Yield artifact to upstream artifact, down to the sources; nothing where nothing of the workspace went in."""
    found = list(lines)
    if len(found) == 1:
        return
    yield "  lineage:"
    for line in found:
        indent = "  " * line.depth
        problem = f"  ({line.problem})" if line.problem else ""
        yield f"    {indent}{line.id}  sha256:{line.sha256}{problem}"
        for material in line.verified.build.build_definition.resolved_dependencies if line.verified else ():
            if material.name == "source":
                yield f"    {indent}  {material.uri or 'git'} at {material.digest.get('gitCommit')}"


def _text(value: object) -> str:
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _component(component: Component) -> str:
    if component.kind is Kind.CONTAINER:
        platform = component.properties.get("image:platform", "")
        return f"{component.name} {platform}  sha256:{component.hashes.get('sha256', '')}"
    version = f" {component.version}" if component.version else ""
    return f"{component.name}{version}" + (f"  ({component.licence})" if component.licence else "")


def _row(title: str, text: str) -> str:
    return f"  {title + ':':<12}{text}"
