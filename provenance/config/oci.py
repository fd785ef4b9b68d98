"""The keys of `[oci.NAME]`."""

from __future__ import annotations

from . import clauses, clauses_image
from .entry import Key
from .kinds import Flag, Must, MustNot, NamedTables, Text, TextMap, Texts

_OF_A_PATH = r"^(docker-archive|oci-archive|oci):"

_SOURCE = Text(
    own=(
        Must(
            pattern=rf"{_OF_A_PATH}[^\s]|^docker-daemon:[A-Za-z0-9][^\s]*$|^docker://[A-Za-z0-9\[][^\s]*$",
            expected=(
                "`docker-archive:PATH`, `oci-archive:PATH`, `oci:PATH`, `docker-daemon:NAME` or `docker://REFERENCE`"
            ),
        ),
        MustNot(pattern=rf"{_OF_A_PATH}[/~]", expected="a path from the workspace's root"),
        MustNot(pattern=rf"{_OF_A_PATH}([^/]*/)*\.\.(/|$)", expected="a path without `..`, inside the workspace"),
        MustNot(pattern=rf"{_OF_A_PATH}[^*?\[]*[*?\[]", expected="a path without wildcards"),
        MustNot(pattern=rf"{_OF_A_PATH}[^:]*:", expected="a path without `:`; the image in it has to be the only one"),
    )
)

OCI = (
    Key(
        path="oci",
        kind=NamedTables(name=clauses_image.IMAGE_NAME, example="wash"),
        doc=(
            "Images that something else has made, taken over as OCI images. Each platform of one is an artifact, "
            "`oci:NAME@PLATFORM`; where there are several, the index over them is one more, `oci:NAME@index`."
        ),
        absent="there are none",
    ),
    Key(
        path="oci.NAME.source",
        kind=_SOURCE,
        doc=(
            "Where the image is: an archive (`docker-archive:PATH` or `oci-archive:PATH`, compressed or not), an image "
            "layout (`oci:PATH`), the docker engine (`docker-daemon:NAME`) or a registry (`docker://REFERENCE`). Paths "
            "are from the workspace's root; links are followed, as to what `nix build` leaves."
        ),
        absent="`artifact` says it",
        example="docker-archive:result",
    ),
    Key(
        path="oci.NAME.artifact",
        kind=clauses.ARTIFACT_ID,
        doc="An artifact of this workspace that is such an archive, instead of `source`. It is built before.",
        absent="`source` says it",
        example="command:image",
    ),
    Key(
        path="oci.NAME.platforms",
        kind=Texts(item=clauses_image.IMAGE_PLATFORM),
        doc="The platforms of the image. What the source holds beyond these, or not of them, is an error.",
        default=(),
        absent="Linux on the machine's own processor, as `linux/amd64`",
        example=("linux/amd64", "linux/arm64"),
    ),
    Key(
        path="oci.NAME.annotations",
        kind=TextMap(name=clauses_image.ANNOTATION, value=Text()),
        doc=(
            "Annotations of the image's manifests and of its index, where the source has none of that key; before "
            "those that follow from its labels and from git."
        ),
        absent="those that follow from labels and git",
        example={"org.opencontainers.image.licenses": "Apache-2.0"},
    ),
    Key(
        path="oci.NAME.pull",
        kind=Flag(),
        doc=(
            "Look in every run whether the engine or the registry has another image under that name. Else that is "
            "looked up only when something is built; until then the digest of the last build counts."
        ),
        default=False,
        example=True,
    ),
)
