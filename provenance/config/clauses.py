"""The texts that `provenance.toml` takes: what each must look like, and what is said when it does not."""

from __future__ import annotations

from .kinds import Echo, Must, MustNot, Text

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?"

_NO_CREDENTIALS = MustNot(
    # Any user but the bare one that ssh needs.
    pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://([^/]*:[^/]*@|[^/]*@[^/]*@)|^(https?|git)://[^/]*@",
    expected="a URL without credentials",
)

REPOSITORY_URL = Text(
    own=(
        Must(
            pattern=r"^(https?|ssh|git)://",
            expected="a URL that begins with `https://`, `http://`, `ssh://` or `git://`",
        ),
        _NO_CREDENTIALS,
        MustNot(pattern=r"[?#]", expected="a URL without query and fragment"),
        Must(
            pattern=rf"^((https?|git)://|ssh://([A-Za-z0-9._-]+@)?){_HOST}(/[^\s\\]*)?$",
            expected="a URL such as `https://example.com/owner/repository`",
        ),
    ),
    echo=Echo.HIDDEN,
)

WEB_URL = Text(
    own=(
        Must(pattern=r"^https?://", expected="a URL that begins with `https://` or `http://`"),
        _NO_CREDENTIALS,
        Must(pattern=rf"^https?://{_HOST}([/?#][^\s\\]*)?$", expected="a URL such as `https://example.com`"),
    ),
    echo=Echo.HIDDEN,
)

EMAIL = Text(own=(Must(pattern=r"^[^@\s<>]+@[^@\s<>]+$", expected="an address such as `security@example.com`"),))

INSIDE = (
    MustNot(pattern=r"^/", expected="a path from the workspace's root"),
    MustNot(pattern=r"^~", expected="a path from the workspace's root"),
    MustNot(pattern=r"(^|/)\.\.(/|$)", expected="a path without `..`, inside the workspace"),
)

OUTPUT_FOLDER = Text(
    own=(
        *INSIDE,
        MustNot(pattern=r"^[./]*$", expected="a folder of its own, not the workspace's root"),
        MustNot(
            pattern=r"^(\./+)*(\.git|\.provenance)(/|$)",
            expected="a folder outside `.git` and `.provenance`",
        ),
    )
)

MANIFEST_GLOB = Text(
    own=(
        *INSIDE,
        Must(pattern=r"(^|/)Cargo\.toml$", expected="a path that ends in `Cargo.toml`"),
        MustNot(pattern=r"[^/]\*\*|\*\*[^/]", expected="a path with `**` only as a whole folder name"),
    )
)

BINARY_GLOB = Text(own=(MustNot(pattern=r"/", expected="a glob over names of binaries, which have no `/`"),))

TARGET = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)+$",
            expected="a target triple such as `x86_64-unknown-linux-musl`",
        ),
    )
)

PROFILE = Text(
    own=(Must(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", expected="a profile's name (letters, digits, `_`, `-`)"),)
)

FEATURE = Text(
    own=(
        # A comma or space would be two features to cargo, a leading dash an option.
        Must(pattern=r"^[^\s,-][^\s,]*$", expected="one feature, `FEATURE` or `PACKAGE/FEATURE`"),
    )
)

ARTIFACT_NAME = Text(
    own=(
        # `:`, `@` and `+` have a meaning in an artifact's id, `/` in paths.
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
            expected="an artifact's name (letters, digits, `.`, `_`, `-`; no `.` or `-` first)",
        ),
    )
)

FEATURE_SET_NAME = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$",
            expected="a feature set's name (letters, digits, `_`, `-`; no `-` first)",
        ),
    )
)

BINARY_SELECTOR = Text(
    own=(
        Must(
            pattern=r"^([^#]+/)?Cargo\.toml#[^#/]+$|^[^#/]+/[^#/]+$",
            expected="`PACKAGE/BINARY` or `path/to/Cargo.toml#BINARY`",
        ),
        *INSIDE,
        MustNot(pattern=r"(^|/)\./|//", expected="a path without `.` and empty parts"),
    )
)

COMMAND_NAME = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$",
            expected="a command's name (letters, digits, `_`, `-`; no `-` first)",
        ),
    )
)

ARGUMENT = Text(
    common=(Must(pattern=r"\S", expected="text that is not empty"),),
    own=(MustNot(pattern=r"\x00", expected="text without NUL characters"),),
)

INPUT_PATTERN = Text(
    own=(
        *INSIDE,
        MustNot(pattern=r"(^|/)\.?(/|$)", expected="a path without `.` and empty parts"),
        MustNot(pattern=r"[^/]\*\*|\*\*[^/]", expected="a path with `**` only as a whole folder name"),
        MustNot(pattern=r"^!| !", expected="one pattern; `exclude` takes files away"),
    )
)

OUTPUT_PATTERN = Text(
    own=(
        *INPUT_PATTERN.own,
        MustNot(pattern=r"\*\*$", expected="a path that ends in a file's name, which may have wildcards"),
    )
)

VARIABLE = Text(
    own=(
        Must(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", expected="a variable's name"),
        MustNot(pattern=r"^DOIT_PROVENANCE_", expected="a variable that commands get, which those of signing are not"),
    )
)

ARTIFACT_ID = Text(
    own=(
        Must(
            pattern=r"^[a-z]+:[^:@\s*?]+(@[^:@\s*?]+)?$",
            expected="an artifact, `BUILDER:NAME@PLATFORM`, or `BUILDER:NAME` for all its platforms",
        ),
    )
)

PLATFORM = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$",
            expected="a platform such as `linux/amd64`, or `any`",
        ),
    )
)

PLATFORM_GLOB = Text(
    own=(
        Must(pattern=r"^[A-Za-z0-9_.*?!/\[\]-]+$", expected="a platform, or a glob over platforms such as `*-linux-*`"),
    )
)

KEY_FILE = Text(
    own=(
        Must(pattern=r"^(/|~/)", expected="a path outside the workspace, which begins with `/` or `~/`"),
        MustNot(pattern=r"/$", expected="a file, not a folder"),
    )
)

FILE_PATH = Text(
    own=(
        MustNot(pattern=r"^~", expected="a path from the workspace's root, or one that begins with `/`"),
        MustNot(pattern=r"/$", expected="a file, not a folder"),
    )
)
