"""What has changed among an artifact's inputs since it was last built."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from .answer import Code, Reason
from .inputs import ABSENT, MEASURED, Kind, key, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .inputs import Declared, FileStamp, InputHasher, Inputs

Upstream: TypeAlias = Callable[[str], str | None]
"""Id of an upstream artifact to its digest, `sha256:…`; `None`: nobody knows before it was built."""

_CODES = {
    Kind.VARIABLE: Code.VARIABLE_CHANGED,
    Kind.TOOL: Code.TOOL_CHANGED,
    Kind.SETTING: Code.SETTING_CHANGED,
    Kind.RESOLUTION: Code.RESOLUTION_CHANGED,
    Kind.ARTIFACT: Code.UPSTREAM_CHANGED,
    Kind.FILE: Code.INPUT_CHANGED,
    Kind.FOLDER: Code.INPUT_CHANGED,
    Kind.GLOB: Code.INPUT_CHANGED,
    Kind.CONTEXT: Code.INPUT_CHANGED,
}


def changes(
    recorded: Inputs, declared: Declared, meter: InputHasher, known: Mapping[str, FileStamp], upstream: Upstream
) -> tuple[list[Reason], list[str]]:
    """Compare the inputs of the last build with what they are now.

    Args:
        recorded: all inputs of the last build.
        declared: what the builder says of them now.
        meter: measures the others.
        known: what was measured of files before, by key.
        upstream: of what goes into the artifact.

    Returns:
        Why the artifact is stale, and the ids of upstream artifacts that could make it so, once they are built.

    Raises:
        ToolError: an input can't be read.
    """
    reasons: list[Reason] = []
    open_questions: list[str] = []
    values = declared.values
    for of, before in recorded.items():
        kind, name = parts(of)
        if kind in MEASURED:
            if (now := meter.measure(of, known.get(of))) != before:
                reasons += _measured(of, (before, now), recorded, meter)
        elif kind is Kind.ARTIFACT:
            digest = upstream(name)
            if digest is None:
                open_questions.append(name)
            elif digest != before:
                reasons.append(Reason(code=Code.UPSTREAM_CHANGED, detail=name))
        elif values.get(of) != before:
            reasons.append(Reason(code=_CODES[kind], detail=name))
    for of in (*values, *declared.measured):
        if of not in recorded:
            kind, name = parts(of)
            reasons.append(Reason(code=Code.INPUT_ADDED if kind is Kind.FILE else _CODES[kind], detail=name))
    return list(dict.fromkeys(reasons)), open_questions


def _measured(of: str, values: tuple[str, str], recorded: Inputs, meter: InputHasher) -> Iterator[Reason]:
    kind, name = parts(of)
    before, now = values
    if kind is Kind.FILE:
        code = Code.INPUT_ADDED if before == ABSENT else Code.INPUT_REMOVED if now == ABSENT else Code.INPUT_CHANGED
        yield Reason(code=code, detail=name)
    elif kind is Kind.VARIABLE:
        yield Reason(code=Code.VARIABLE_CHANGED, detail=name)
    else:  # the list of a folder, a pattern or a context: what was removed says so itself, as a file
        added = [f for f in meter.files(of) if recorded.get(key(Kind.FILE, f), ABSENT) == ABSENT]
        for file in added:
            yield Reason(code=Code.INPUT_ADDED, detail=file)
        if kind is Kind.CONTEXT and now == ABSENT:
            from .build_context import folder_of

            yield Reason(code=Code.INPUT_REMOVED, detail=folder_of(name))
        elif not added and kind is not Kind.CONTEXT:
            yield Reason(code=Code.INPUT_REMOVED, detail=name)
        elif not added and not _lost_a_file(name, recorded, meter):
            from .build_context import folder_of

            yield Reason(code=Code.INPUT_CHANGED, detail=f"names, links or permissions in {folder_of(name)}")


def _lost_a_file(context: str, recorded: Inputs, meter: InputHasher) -> bool:
    """Tell whether a file in the folder of a context is gone, which says so itself."""
    from .build_context import folder_of

    folder = folder_of(context)
    before = [name for of in recorded for kind, name in [parts(of)] if kind is Kind.FILE and _lies_in(name, folder)]
    return any(recorded[key(Kind.FILE, name)] != ABSENT and meter.file(name) is None for name in before)


def _lies_in(name: str, folder: str) -> bool:
    return folder == "." or name.startswith(f"{folder}/")
