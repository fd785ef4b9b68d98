"""`doit key`: the public key in use, and where it lies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ...provenance import config
from ...provenance.sign.key import load_or_create
from ...provenance.sign.keyfile import default_key_path
from ...provenance.sign.passphrase import PassphraseSource
from .base import WorkspaceCommand


class Key(WorkspaceCommand):
    """Shows the public key; makes the pair where there is none yet, as the first build would."""

    name = "key"
    doc_purpose = "show the public key in use and where it lies"
    doc_usage = ""
    doc_description = "The key is made at first use, outside the repository; in CI only when `--make` asks for it."
    cmd_options = (
        {
            "name": "make",
            "long": "make",
            "type": bool,
            "default": False,
            "help": "make the key if there is none, even in CI, where it is lost with the job unless it is kept",
        },
    )

    def run(self, params: Any, args: list[str]) -> int:
        """Print where the key lies, and the public half in PEM."""
        self.refuse_arguments(args)
        root = Path.cwd()
        path = config.load(root).signing.key or default_key_path(os.environ)
        known = path.exists()
        environ = {} if params["make"] else os.environ
        key = load_or_create(path, PassphraseSource.of_this_process(), workspace=root, environ=environ)
        sys.stdout.write(f"private key: {key.path}{'' if known else ' (made just now)'}\n")
        sys.stdout.write(f"public key:  {key.public_path}\nhint:        {key.hint}\n{key.public_pem.decode()}")
        return 0
