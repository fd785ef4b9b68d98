"""The keys of `[docker.NAME]`."""

from __future__ import annotations

from . import clauses, clauses_image
from .entry import Key
from .kinds import Flag, NamedTables, Text, TextMap, Texts

DOCKER = (
    Key(
        path="docker",
        kind=NamedTables(name=clauses_image.IMAGE_NAME, example="wash"),
        doc=(
            "Images that BuildKit builds from a Dockerfile. Each platform of one is an artifact, "
            "`docker:NAME@PLATFORM`; where there are several, the index over them is one more, `docker:NAME@index`."
        ),
        absent="there are none",
    ),
    Key(
        path="docker.NAME.context",
        kind=clauses_image.CONTEXT_FOLDER,
        doc=(
            "The folder whose files the Dockerfile can copy, from the workspace's root. What its `.dockerignore` "
            "excludes, the output folder, `.provenance` and cargo's target folders are never sent."
        ),
        default=".",
        example="images/wash",
    ),
    Key(
        path="docker.NAME.dockerfile",
        kind=clauses_image.DOCKERFILE_PATH,
        doc="The Dockerfile, from the workspace's root.",
        absent="`Dockerfile` in the context",
        example="images/wash/Dockerfile",
    ),
    Key(
        path="docker.NAME.platforms",
        kind=Texts(item=clauses_image.IMAGE_PLATFORM),
        doc="The platforms to build for.",
        default=(),
        absent="Linux on the machine's own processor, as `linux/amd64`",
        example=("linux/amd64", "linux/arm64"),
    ),
    Key(
        path="docker.NAME.args",
        kind=TextMap(name=clauses_image.BUILD_ARGUMENT, value=clauses_image.BUILD_VALUE),
        doc="Build arguments, for `ARG` of the Dockerfile. They are published with the image's provenance.",
        absent="the Dockerfile's own defaults",
        example={"VERSION": "1.2"},
    ),
    Key(
        path="docker.NAME.target",
        kind=clauses_image.STAGE,
        doc="The stage to build.",
        absent="the last one",
        example="runtime",
    ),
    Key(
        path="docker.NAME.secrets",
        kind=Texts(item=clauses_image.SECRET),
        doc=(
            "Secrets for `RUN --mount=type=secret`, in the words of `docker buildx build --secret`: from a variable or "
            "from a file. Their ids are published, and nothing else of them; that one changed builds nothing anew."
        ),
        default=(),
        example=("id=token,env=TOKEN", "id=npmrc,src=.npmrc"),
    ),
    Key(
        path="docker.NAME.contexts",
        kind=TextMap(name=clauses_image.CONTEXT_NAME, value=clauses_image.CONTEXT_SOURCE),
        doc=(
            "More contexts, by the names that `FROM`, `COPY --from=` and `RUN --mount=from=` call them: folders from "
            "the workspace's root, or images as `docker-image://REFERENCE`."
        ),
        absent="there are none",
        example={"assets": "web/assets"},
    ),
    Key(
        path="docker.NAME.artifacts",
        kind=Texts(item=clauses.ARTIFACT_ID),
        doc=(
            "Artifacts of this workspace to put into the context, at its root under their files' names, so that "
            "`COPY FILE /` gets them. Of one that is named without a platform, each image gets what was built for its "
            "own; what is for `any` platform goes into all. They are built before it."
        ),
        default=(),
        example=("cargo:wash",),
    ),
    Key(
        path="docker.NAME.annotations",
        kind=TextMap(name=clauses_image.ANNOTATION, value=Text()),
        doc=(
            "Annotations of the image's manifests and of its index, before those that follow from its labels and from "
            "git."
        ),
        absent="those that follow from labels and git",
        example={"org.opencontainers.image.vendor": "Example GmbH"},
    ),
    Key(
        path="docker.NAME.pull",
        kind=Flag(),
        doc=(
            "Look in every run whether a tag of a base image has moved. Else that is looked up only when something is "
            "built; until then the digests of the last build count."
        ),
        default=False,
        example=True,
    ),
)
