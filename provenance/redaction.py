"""Redaction of secrets from logs and output."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ProvenanceError
from .process import SECRET_VARIABLES
from .sign.passphrase import PassphraseSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MARK = "***"
"""Replacement for secrets."""


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secrets in texts; `secrets` are sorted, longest first, so that none hides a part of another."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Redactor:
        """Return a redactor for `secrets`; the lines of a multi-line secret are redacted individually."""
        lines = {line for secret in secrets for line in secret.splitlines() if line.strip()}
        return cls(tuple(sorted(lines, key=lambda line: (-len(line), line))))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MARK)
        return text

    def __repr__(self) -> str:
        """Show the number of secrets only."""
        return f"Redactor of {len(self.secrets)}"

    @property
    def longest(self) -> int:
        """The length of the longest secret."""
        return max(map(len, self.secrets), default=0)


def passphrases(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passphrase from the environment or the file it names, if any."""
    try:
        given = PassphraseSource(environ=environ, prompt=None).given()
    except ProvenanceError:
        return ()  # reported where the passphrase is needed
    return () if given is None else (os.fsdecode(given),)


def leading_to_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the texts to redact from tool output: values of our variables, and passphrases."""
    return (*(environ.get(name, "") for name in sorted(SECRET_VARIABLES)), *passphrases(environ))
