"""What can be wrong with `[oci.NAME]` beyond the words of provenance.toml: a line for each mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ....provenance.errors import UsageError, quoted
from ...artifacts import unknown
from ...builder import Form
from ..platforms import wrong_platforms
from . import BUILDER
from .units import Place, source_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from ....provenance.config import Oci
    from ...artifacts import Ids
    from ...builder import Artifact


def mistakes(
    ocis: Sequence[Oci], ids: Ids, artifacts: Mapping[str, Artifact], untold: Container[str] = ()
) -> Iterator[str]:
    """Yield what is wrong, as `oci.wash.platforms[0]: …`.

    Args:
        ocis: the tables.
        ids: of all artifacts that were discovered so far; an image of this builder is made of none of its own.
        artifacts: the same, by their ids.
        untold: the builders that could not tell what they build.
    """
    for oci in ocis:
        at = f"oci.{oci.name}"
        yield from wrong_platforms(oci.platforms, f"{at}.platforms")
        if oci.source is None and oci.artifact is None:
            yield f"{at}: missing; `source` or `artifact` has to say where the image is"
        elif oci.source is not None and oci.artifact is not None:
            yield f"{at}: `source` and `artifact` both say where the image is; leave one out"
        elif oci.artifact is not None:
            yield from _artifact(oci.artifact, f"{at}.artifact", ids, artifacts, untold)
        elif (source := source_of(oci)).place is Place.REGISTRY:
            yield from _reference(source.name, f"{at}.source")


def _reference(text: str, at: str) -> Iterator[str]:
    from ....provenance.oci.reference import Reference

    try:
        Reference.parse(text)
    except UsageError as error:
        yield f"{at}: {error.message}"


def _artifact(
    reference: str, at: str, ids: Ids, artifacts: Mapping[str, Artifact], untold: Container[str]
) -> Iterator[str]:
    meant = ids.standing_for(reference)
    if not meant:
        for line in unknown(at, [reference], ids, untold):
            yield line.replace(f"{at}[0]", at, 1)
    elif len(meant) > 1:
        several = ", ".join(f"`{id_}`" for id_ in meant)
        yield f"{at}: {quoted(reference)} stands for {len(meant)} artifacts; write one of {several}"
    elif artifacts[meant[0]].form is not Form.FILE:
        yield f"{at}: {quoted(reference)} is an image already, not an archive; `{BUILDER}` takes archives"
