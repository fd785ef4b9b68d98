"""One run over one workspace: what its tasks share, and nothing that outlives it."""

from __future__ import annotations

import os
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from ..provenance import store
from ..provenance.attest.slsa import BuilderId
from ..provenance.errors import ProvenanceError
from ..provenance.sign.key import default_key_path, is_ci, load_or_create
from ..provenance.sign.passphrase import PassphraseSource
from ..provenance.verify.trust import Trust, TrustedKey, trust_for
from .flow import Outcome, Signing, produce

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .builder import Artifact, Builder, Built, Workspace


class Session:
    """Builds each group once and leads each of its artifacts to its place.

    Attributes:
        workspace: the user's repository.
        artifacts: all that was discovered, by id.
        failures: of builders whose discovery failed, by their names.
        outcomes: of the tasks that have ended well, by id.
        selected: ids of the artifacts that this run is for; the reporter sets it before the first task. Under another
            reporter (`doit run -r json`) it stays empty, and each artifact is built in a call of its own.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.artifacts: dict[str, Artifact] = {}
        self.failures: dict[str, ProvenanceError] = {}
        self.selected: Collection[str] = ()
        self.outcomes: dict[str, Outcome] = {}
        self._builders: dict[str, Builder] = {}
        self._built: dict[Artifact, Built | ProvenanceError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._beginning = threading.Lock()
        self._claimed = False

    def add(self, builder: Builder) -> tuple[Artifact, ...]:
        """Ask a builder what there is; its artifacts can be built from now on.

        Raises:
            ProvenanceError: its discovery failed.
        """
        try:
            found = tuple(builder.discover())
        except ProvenanceError as error:
            self.failures[builder.name] = error
            raise
        self._builders[builder.name] = builder
        self.artifacts.update({a.id: a for a in found})
        self._locks.update({a.group: threading.Lock() for a in found})
        return found

    def make(self, artifact: Artifact) -> None:
        """Do the whole of one artifact's task, and keep its outcome for the reporter.

        Raises:
            ProvenanceError: something failed; what the output folder held before is untouched.
        """
        with self._beginning:
            signing = self._signing
            self._claim()
        built = self._build_once(artifact)
        builder = self._builders[artifact.builder]
        try:
            self.outcomes[artifact.id] = produce(
                artifact, built, builder=builder, workspace=self.workspace, signing=signing
            )
        finally:
            builder.release(artifact)

    def _build_once(self, artifact: Artifact) -> Built:
        """Build the artifact's group, unless another of its members has, and return what became of this one."""
        with self._locks[artifact.group]:
            if artifact not in self._built:
                self._built |= self._build(artifact)
            outcome = self._built[artifact]
        if isinstance(outcome, ProvenanceError):
            raise outcome
        return outcome

    def _build(self, artifact: Artifact) -> Mapping[Artifact, Built | ProvenanceError]:
        members = [
            a for a in self.artifacts.values() if a.group == artifact.group and (a == artifact or a.id in self.selected)
        ]
        try:
            return self._builders[artifact.builder].build(artifact.group, members)
        except ProvenanceError as error:
            return dict.fromkeys(members, error)

    def _claim(self) -> None:
        """Let other runs over this workspace wait: what the tool left must stay until the flow has taken it."""
        if not self._claimed:
            store.lock(self.workspace.state, waiting=_say_that_we_wait)
            self._claimed = True

    @cached_property
    def _signing(self) -> Signing:
        """The key, asked for before anything is built: a missing one must not cost a build."""
        settings = self.workspace.config.signing
        path = settings.key or default_key_path(os.environ)
        known = os.path.lexists(path)
        key = load_or_create(
            path, PassphraseSource.of_this_process(), workspace=self.workspace.root, environ=os.environ
        )
        if not known:
            sys.stderr.write(f"made a signing key: `{path}`; its public half, `{key.public_path}`, is for others\n")
        own = TrustedKey.from_pem(key.public_pem, origin=f"`{path}` (your own key)")
        others = trust_for(keys=(), configured=settings.public_keys, own=None).keys if settings.public_keys else ()
        trust = Trust(keys=(own, *others))
        return Signing(key=key, trust=trust, builder=BuilderId.CI if is_ci(os.environ) else BuilderId.LOCAL)


def _say_that_we_wait() -> None:
    sys.stderr.write("waiting for another run over this workspace to end\n")
