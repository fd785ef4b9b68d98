"""All inputs of a build at one moment: taken before and after it, so that a change in between fails the build."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...provenance.attest.resource import ResourceDescriptor
from ...provenance.errors import InputChangedError, UnreadableError, VerificationError, quoted
from ...provenance.fs.folder import opened
from ...provenance.verify.evidence import measure
from .inputs import ABSENT, Kind, key, names_digest, parts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from ...provenance.digest import Digest
    from ..artifacts import Artifact
    from ..context import Context
    from ..workspace import Workspace
    from .inputs import Declared, InputHasher, Inputs

_LISTS = frozenset({Kind.FOLDER, Kind.GLOB, Kind.CONTEXT})
"""Kinds that stand for a set of files; the bytes of each file are an input too."""
_NO_FILES = names_digest(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An upstream artifact as the output folder holds it.

    Attributes:
        path: of its file, or of its image's layout, from the workspace's root.
        media_type: of an image's manifest or index; `None` for a file.
    """

    id: str
    name: str
    path: str
    digest: Digest
    media_type: str | None = None

    @property
    def file(self) -> str:
        """The name of its file or folder."""
        return self.path.rpartition("/")[2]

    @property
    def material(self) -> ResourceDescriptor:
        """The artifact as one of SLSA's resolvedDependencies."""
        return ResourceDescriptor(
            name=self.id, digest=dict(self.digest.as_digest_set()), annotations={"file": self.file}
        )


def read_upstream(context: Context, ids: Iterable[str]) -> dict[str, Upstream]:
    """Return upstream artifacts by id, after comparing their bytes with their records.

    Raises:
        UnreadableError: an artifact has no record.
        InputChangedError: an artifact differs from its record.
    """
    from .evidence_check import read_record

    workspace = context.workspace
    upstream = {}
    for id_ in ids:
        artifact = context.artifacts[id_]
        place = workspace.output / artifact.folder
        record = read_record(place)
        try:
            with opened(place) as folder:
                digest = measure(folder, record.names, media_type=record.media_type).digest
        except (UnreadableError, VerificationError) as error:
            raise InputChangedError(
                f"the upstream artifact `{id_}` can't be read: {error.message}", hint="run again"
            ) from error
        if digest != record.digest:
            raise InputChangedError(f"the upstream artifact `{id_}` is not what its record says", hint="run again")
        path = os.path.relpath(place / record.names.artifact, workspace.root)
        upstream[id_] = Upstream(id=id_, name=artifact.name, path=path, digest=digest, media_type=record.media_type)
    return upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The declared inputs of one artifact and the files that they stand for, at one moment.

    Attributes:
        values: every input, by key.
        files: those that are files: path from the workspace's root to sha256, or `absent`.
        upstream: the upstream artifacts, by id.
        hint: what to do if an input changes during the build.
    """

    values: Inputs
    files: Mapping[str, str]
    upstream: Mapping[str, Upstream]
    hint: str

    @classmethod
    def take(cls, context: Context, artifact: Artifact, declared: Declared, meter: InputHasher) -> Snapshot:
        """Measure what the builder declares, each file that it stands for, and the upstream artifacts.

        Raises:
            ProvenanceError: an input can't be read, or an upstream artifact differs from its record.
        """
        values = dict(declared.values)
        names: dict[str, None] = {}
        for input_ in declared.measured:
            kind, name = parts(input_)
            if kind is Kind.FILE:
                names[name] = None
            else:
                values[input_] = meter.measure(input_)
                names |= dict.fromkeys(meter.files(input_) if kind in _LISTS else ())
        files = {name: meter.measure(key(Kind.FILE, name)) for name in names}
        upstream = read_upstream(context, artifact.upstream)
        values |= {key(Kind.FILE, name): sha256 for name, sha256 in files.items()}
        values |= {key(Kind.ARTIFACT, id_): str(each.digest) for id_, each in upstream.items()}
        return cls(values=values, files=files, upstream=upstream, hint=declared.hint)

    @property
    def missing(self) -> tuple[str, ...]:
        """The keys of patterns that match no file, then those of files that are absent."""
        patterns = (k for k, value in self.values.items() if k.startswith(f"{Kind.GLOB}:") and value == _NO_FILES)
        absent = (key(Kind.FILE, name) for name, sha256 in self.files.items() if sha256 == ABSENT)
        return (*patterns, *absent)

    def in_repository(self, workspace: Workspace) -> dict[str, str]:
        """Return the files that exist, by their paths from the repository's root, to sha256."""
        return {workspace.from_repository(name): sha256 for name, sha256 in self.files.items() if sha256 != ABSENT}

    def refuse_changes_since(self, before: Snapshot, resolved: Container[str] = ()) -> None:
        """Compare with the snapshot taken before the build, but for inputs that the build itself `resolved`.

        Raises:
            InputChangedError: an input differs.
        """
        changed = [
            input_
            for input_ in {**before.values, **self.values}
            if self.values.get(input_) != before.values.get(input_) and input_ not in resolved
        ]
        if changed:
            # A file says more than the pattern or context that lists it.
            input_ = min(changed, key=lambda input_: parts(input_)[0] in _LISTS)
            raise InputChangedError(
                f"an input changed while it was being built: {quoted(parts(input_)[1])}", hint=self.hint
            )
