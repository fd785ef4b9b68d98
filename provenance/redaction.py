"""Secrets out of all that is logged or shown, whoever wrote it."""

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
"""What stands in a secret's place."""


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces secrets in texts; `secrets` are sorted, longest first, so that none hides a part of another."""

    secrets: tuple[str, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Redactor:
        """Return what replaces `secrets`; each line of one that has several counts for itself."""
        lines = {line for secret in secrets for line in secret.splitlines() if line.strip()}
        return cls(tuple(sorted(lines, key=lambda line: (-len(line), line))))

    def __call__(self, text: str) -> str:
        """Return `text` without any of the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, MARK)
        return text

    def __repr__(self) -> str:
        """Say how many secrets there are, and none of them."""
        return f"Redactor of {len(self.secrets)}"

    @property
    def longest(self) -> int:
        """The length of the longest secret."""
        return max(map(len, self.secrets), default=0)


def passphrases(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passphrase that the environment gives or points to, if it does."""
    try:
        given = PassphraseSource(environ=environ, prompt=None).given()
    except ProvenanceError:
        return ()  # whoever needs it says so
    return () if given is None else (os.fsdecode(given),)


def leading_to_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what no tool should know, and should not print if it does: values of our variables, and passphrases."""
    return (*(environ.get(name, "") for name in sorted(SECRET_VARIABLES)), *passphrases(environ))
