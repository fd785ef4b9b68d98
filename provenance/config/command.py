"""The keys of `[command.NAME]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import clauses
from .entry import Key, Presence
from .kinds import NamedTables, Repeats, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = (
    Key(
        path="command",
        kind=NamedTables(name=clauses.COMMAND_NAME, example="wheel"),
        doc=(
            "Artifacts that any other program makes. One with a single output is called `command:NAME`, one of several "
            "`command:NAME/PART`, where PART is the output's file name without wildcards."
        ),
        absent="there are none",
    ),
    Key(
        path="command.NAME.run",
        kind=Texts(item=clauses.ARGUMENT, least=1, repeats=Repeats.TAKEN),
        doc=(
            "The program and its arguments, each as it stands: no shell reads them. It is started in the workspace's "
            "root. `{BUILDER:NAME}` and `{BUILDER:NAME@PLATFORM}` stand for the file of an artifact that `artifacts` "
            "names."
        ),
        absent="an error",
        example=("python", "-m", "build", "--wheel"),
        presence=Presence.REQUIRED,
    ),
    Key(
        path="command.NAME.inputs",
        kind=Texts(item=clauses.INPUT_PATTERN),
        doc=(
            "All files that can change what it makes, as globs from the root; `**` stands for any number of folders. "
            "It runs again when one of them changes, is added or is removed. Its own outputs are never among them."
        ),
        absent="an error",
        example=("pyproject.toml", "src/**"),
        presence=Presence.REQUIRED,
    ),
    Key(
        path="command.NAME.exclude",
        kind=Texts(item=clauses.INPUT_PATTERN),
        doc="Files that are no inputs, likewise; wins over `inputs`. Name here what the command itself writes there.",
        default=(),
        example=("src/*.egg-info/**",),
    ),
    Key(
        path="command.NAME.outputs",
        kind=Texts(item=clauses.OUTPUT_PATTERN, least=1),
        doc=(
            "The files that it leaves, as globs likewise: one artifact for each. A glob has to match a single file; "
            "where it matches more, those count that the run has written. The folders before the first wildcard are "
            "made before it starts."
        ),
        absent="an error",
        example=("dist/*.whl",),
        presence=Presence.REQUIRED,
    ),
    Key(
        path="command.NAME.artifacts",
        kind=Texts(item=clauses.ARTIFACT_ID),
        doc=(
            "Artifacts of this workspace that go into what it makes, by their ids; without `@PLATFORM` on all their "
            "platforms. They are built before it, and it runs again when one of them has another digest."
        ),
        default=(),
        example=("cargo:wash",),
    ),
    Key(
        path="command.NAME.environment",
        kind=Texts(item=clauses.VARIABLE),
        doc=(
            "Environment variables that can change what it makes: it runs again when one of them changes. It gets all "
            "others too, but for those of signing."
        ),
        default=(),
        example=("SOURCE_DATE_EPOCH",),
    ),
    Key(
        path="command.NAME.platform",
        kind=clauses.PLATFORM,
        doc="What its artifacts are for, in the words of OCI images; `any` for what runs everywhere.",
        absent="the machine's own, as `linux/amd64`",
        example="any",
    ),
)

LATER: Mapping[str, str] = {
    "command.NAME.inventory": (
        "what is in an artifact of a command is not found out in this version, and its inventory says so"
    ),
}
"""Keys that are not taken yet, by their path, to what is said about them."""
