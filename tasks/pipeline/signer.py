"""The keys of one run: the user's own, which signs, and all that are trusted."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ...provenance.sign.keyfile import default_key_path, is_ci, public_path

if TYPE_CHECKING:
    from pathlib import Path

    from ...provenance.attest.slsa import BuilderId
    from ...provenance.config import Config
    from ...provenance.sign.key import LocalKey
    from ...provenance.verify.trust import Trust, TrustedKey
    from ..freshness.evidence_check import Expected
    from ..progress.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """Who signs, and whom the check of what was written trusts.

    Attributes:
        builder: the mode of this run, as provenance names it.
        invocation: of this run.
    """

    key: LocalKey
    trust: Trust
    builder: BuilderId
    invocation: str = field(default_factory=lambda: f"urn:uuid:{uuid.uuid4()}")


class Signer:
    """Asked for the least that will do: naming the keys reads their public files, and only signing the private one.

    What it needs for more than naming them takes long to import, and is imported then.
    """

    def __init__(self, root: Path, config: Config, progress: Progress) -> None:
        self._root = root
        self._settings = config.signing
        self._progress = progress

    @cached_property
    def path(self) -> Path:
        """Where the private key lies, or will."""
        return self._settings.key or default_key_path(os.environ)

    @cached_property
    def mode(self) -> BuilderId:
        """Who builds, as provenance names it."""
        from ...provenance.attest.slsa import BuilderId

        return BuilderId.CI if is_ci(os.environ) else BuilderId.LOCAL

    @property
    def identity(self) -> str:
        """Names the trusted keys and the mode: what was judged by others has to be judged again."""
        found = hashlib.sha256(b"ci" if is_ci(os.environ) else b"local")
        for path in (public_path(self.path), *self._settings.public_keys):
            try:
                found.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                found.update(b"none")
        return found.hexdigest()

    @cached_property
    def own(self) -> TrustedKey | None:
        """The public key in use; `None`: there is none yet."""
        from ...provenance.verify.trust import TrustedKey, trust_for

        public = public_path(self.path)
        if not public.exists() and os.path.lexists(self.path):
            pem = self.signing().key.public_pem  # its folder can't be written, as that of a mounted secret
        elif public.exists():
            return trust_for(keys=(), configured=(), own=public).keys[0]
        else:
            return None
        return TrustedKey.from_pem(pem, origin=f"`{self.path}` (your own key)")

    @property
    def trust(self) -> Trust | None:
        """The keys whose signatures count; `None`: there are none yet.

        Once something was signed, they are those of `signing`: the first run of all makes its key when it first signs.

        Raises:
            UnreadableError: a public key can't be read.
        """
        return self._signing.trust if "_signing" in vars(self) else self._known

    @cached_property
    def _known(self) -> Trust | None:
        from ...provenance.verify.trust import Trust, trust_for

        configured = self._settings.public_keys
        others = trust_for(keys=(), configured=configured, own=None).keys if configured else ()
        keys = (*((self.own,) if self.own else ()), *others)
        return Trust(keys=keys) if keys else None

    def expected(self, artifact: str) -> Expected:
        """Return what the folder of an artifact is judged by."""
        from ..freshness.evidence_check import Expected

        return Expected(
            artifact=artifact, trust=self.trust, signer=self.own.hint if self.own else None, builder=self.mode
        )

    def signing(self) -> Signing:
        """Return the key in use, ready to sign; it is made at first use.

        Raises:
            ProvenanceError: it is missing and may not be made, or it can't be read.
        """
        return self._signing

    @cached_property
    def _signing(self) -> Signing:
        from ...provenance.sign.key import load_or_create
        from ...provenance.sign.passphrase import PassphraseSource
        from ...provenance.verify.trust import Trust, TrustedKey, trust_for

        known = os.path.lexists(self.path)
        passphrase = PassphraseSource.of_this_process()
        if passphrase.prompt is not None:
            passphrase = replace(passphrase, prompt=self._progress.asking(passphrase.prompt))
        key = load_or_create(self.path, passphrase, workspace=self._root, environ=os.environ)
        if not known:
            text = f"made a signing key: `{self.path}`; its public half, `{key.public_path}`, is for others"
            self._progress.notice("key.made", text, key=str(self.path), public=str(key.public_path))
        own = TrustedKey.from_pem(key.public_pem, origin=f"`{self.path}` (your own key)")
        configured = self._settings.public_keys
        others = trust_for(keys=(), configured=configured, own=None).keys if configured else ()
        return Signing(key=key, trust=Trust(keys=(own, *others)), builder=self.mode)
