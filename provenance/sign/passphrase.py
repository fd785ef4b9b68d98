"""The passphrase of a private key: from the environment, a file, or a prompt."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..digest import read_limited
from ..errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

VARIABLE = "DOIT_PROVENANCE_PASSPHRASE"
FILE_VARIABLE = "DOIT_PROVENANCE_PASSPHRASE_FILE"

_LIMIT = 1023
"""Bytes; the maximum that cryptography supports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseSource:
    """Provides the passphrase for an encrypted key.

    Attributes:
        environ: environment variables; never shown.
        prompt: asks the user without echo; `None` if there is no terminal.
    """

    environ: Mapping[str, str] = field(repr=False)
    prompt: Callable[[str], str] | None

    @classmethod
    def of_this_process(cls) -> PassphraseSource:
        """Return the source for this process: its environment, and its terminal if there is one."""
        # Standard streams are `None` in a process without them.
        interactive = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
        return cls(environ=os.environ, prompt=getpass.getpass if interactive else None)

    def given(self) -> bytes | None:
        """Return the passphrase from the environment, directly or from a file; `None` if neither variable is set.

        An empty variable counts as unset, as CI systems set variables of missing secrets to an empty string.

        Raises:
            KeyFileError: both variables are set, or the file does not contain a passphrase.
            UnreadableError: the file can't be read.
        """
        text, file = self.environ.get(VARIABLE, ""), self.environ.get(FILE_VARIABLE, "")
        if text and file:
            raise KeyFileError(f"`{VARIABLE}` and `{FILE_VARIABLE}` are both set", hint="unset one of them")
        if text:
            if len(secret := os.fsencode(text)) > _LIMIT:
                raise KeyFileError(f"`{VARIABLE}` is longer than {_LIMIT} bytes")
            return secret
        if not file:
            return None
        line = read_limited(Path(file), _LIMIT + 2).removesuffix(b"\n").removesuffix(b"\r")
        if not line or b"\n" in line:
            raise KeyFileError(f"`{file}` must contain the passphrase on a single line", hint=f"see `{FILE_VARIABLE}`")
        return line

    def required_for(self, path: Path) -> bytes:
        """Return the passphrase of the encrypted key at `path`; prompt for it if it is not set.

        Raises:
            KeyFileError: it is not set and there is no terminal, or nothing was typed.
            UnreadableError: the passphrase file can't be read.
        """
        if (given := self.given()) is not None:
            return given
        hint = f"set `{VARIABLE}`, or `{FILE_VARIABLE}` to a file that contains it"
        if self.prompt is None:
            raise KeyFileError(
                f"the key `{path}` is encrypted and there is no terminal to ask for its passphrase", hint=hint
            )
        try:
            typed = self.prompt(f"passphrase of {path}: ")
        except EOFError as error:
            raise KeyFileError(f"no passphrase was given for the key `{path}`", hint=hint) from error
        if not typed:
            raise KeyFileError(f"no passphrase was given for the key `{path}`", hint=hint)
        return typed.encode(errors="surrogateescape")
