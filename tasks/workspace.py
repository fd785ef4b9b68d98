"""The user's repository as one run reads it: its configuration, and what git says of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..provenance.config import Config
    from ..provenance.sbom.party import Party
    from ..provenance.source import Source

STATE = ".provenance"
"""Folder at the workspace's root for state that may be lost without losing evidence."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The user's repository.

    Attributes:
        root: the folder of `dodo.py` or `provenance.toml`, absolute.
        config: its configuration.
    """

    root: Path
    config: Config

    @property
    def output(self) -> Path:
        """The output folder, `dist/` by default."""
        return self.config.output

    @property
    def state(self) -> Path:
        """State that may be lost without losing evidence."""
        return self.root / STATE

    @cached_property
    def source(self) -> Source:
        """The git repository and commit; read when first needed, as listing tasks needs neither."""
        from ..provenance.source import read_source

        return read_source(self.root)

    @cached_property
    def committed(self) -> frozenset[str]:
        """The files that git compares with the commit, as paths from the repository's root."""
        from ..provenance.source import committed_files

        return committed_files(self.source)

    @cached_property
    def source_url(self) -> str | None:
        """The repository's public address: as configured, else git's `origin`."""
        return self.config.project.source or self.source.url

    @cached_property
    def project(self) -> Party:
        """The supplier of what this workspace builds, and the author of its SBOMs."""
        from ..provenance.sbom.party import Party

        supplier = self.config.project.supplier
        if supplier is not None:
            return supplier
        name = self.config.project.name or (self.source_url or str(self.root)).rstrip("/").rpartition("/")[2]
        return Party(name=name, url=self.source_url)

    def from_repository(self, name: str) -> str:
        """Return the path from the repository's root of a path from the workspace's root."""
        return Path(os.path.relpath(self.root / name, self.source.root)).as_posix()
