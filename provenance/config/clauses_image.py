"""The texts that tables of images take in `provenance.toml`."""

from __future__ import annotations

from .clauses import INSIDE
from .kinds import Must, MustNot, Text

IMAGE_NAME = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
            expected="an image's name (letters, digits, `.`, `_`, `-`; no `.` or `-` first)",
        ),
    )
)

IMAGE_PLATFORM = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_-]+([(][A-Za-z0-9_.-]+[)])?/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$",
            expected="a platform such as `linux/amd64` or `linux/arm/v7`",
        ),
    )
)

ANNOTATION = Text(own=(MustNot(pattern=r"[\s=]", expected="an annotation's key without spaces and `=`"),))

# It parts two names in the key of an input.
_ONE_NAME = MustNot(pattern=r" !", expected="a path without a space before `!`")

CONTEXT_FOLDER = Text(own=(*INSIDE, _ONE_NAME))

DOCKERFILE_PATH = Text(own=(*INSIDE, _ONE_NAME, MustNot(pattern=r"/$", expected="a file, not a folder")))

BUILD_ARGUMENT = Text(
    own=(
        Must(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", expected="a build argument's name"),
        MustNot(
            pattern=r"^SOURCE_DATE_EPOCH$",
            expected="another name; SOURCE_DATE_EPOCH is the environment's, or the time of the sources",
        ),
    )
)

BUILD_VALUE = Text(common=(), own=(MustNot(pattern=r"\x00", expected="text without NUL characters"),))

STAGE = Text(
    own=(Must(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", expected="a stage's name or number, as the Dockerfile has it"),)
)

SECRET = Text(
    own=(
        Must(
            pattern=r'^([a-z]+=[^,"]+,)*id=[A-Za-z0-9_.-]+(,[a-z]+=[^,"]+)*$',
            expected="a secret in the words of `docker buildx build --secret`, such as `id=token,env=TOKEN`",
        ),
    )
)

CONTEXT_NAME = Text(
    own=(
        Must(
            pattern=r"^[a-z0-9][A-Za-z0-9._:/@-]*$",
            expected="the name of a context, as `FROM` or `COPY --from=` of the Dockerfile has it",
        ),
    )
)

CONTEXT_SOURCE = Text(
    own=(
        Must(
            pattern=r"^docker-image://[^\s]+$|^[^:]+$",
            expected="a folder of the workspace, or `docker-image://REFERENCE`",
        ),
        *INSIDE,
        _ONE_NAME,
    )
)
