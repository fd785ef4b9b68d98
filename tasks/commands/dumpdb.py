"""`doit dumpdb`: what doit's database holds, also where it is ours; doit's own reads no SQLite."""

from __future__ import annotations

import json
import sys
from typing import Any

from doit.cmd_base import DoitCmdBase
from doit.cmd_dumpdb import DumpDB as DoitDumpDB

from ..database import BACKEND, Database


class DumpDB(DoitCmdBase):  # type: ignore[misc] # doit has no types
    """Prints a line of JSON for each task of which anything is kept."""

    name = "dumpdb"
    doc_purpose = DoitDumpDB.doc_purpose
    doc_usage = DoitDumpDB.doc_usage
    doc_description = "What is kept of artifacts is only that they are ignored."

    def execute(self, params: Any, args: list[str]) -> Any:
        """Print what is in the file."""
        self.loader.setup(params)
        params.update_defaults(self.loader.load_doit_config())
        if params["backend"] != BACKEND:
            return DoitDumpDB(config=self.config, bin_name=self.bin_name).execute(params, args)
        database = Database(params["dep_file"], self.get_codec_cls(params["codec_cls"])())
        for name, row in database.tasks().items():
            sys.stdout.write(f"{json.dumps({name: row})}\n")
        return 0
