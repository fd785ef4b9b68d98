"""What a key of `provenance.toml` is: how a dataclass declares it, the kinds of values, and the texts it accepts.

A kind is data alone: `reader` and `errors` read by it, `docs` describes it. Patterns are written in the subset that
Python, ECMA 262 and Rust's `regex` share (no look-around, no `.`), since editors check by the same patterns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import DataclassInstance

    _D = TypeVar("_D", bound=DataclassInstance)

_T = TypeVar("_T")

ANY = "NAME"
"""Stands in a key's path for a name that the user gives."""

Value = str | bool | tuple[str, ...] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Must:
    """A text must contain a match of `pattern`; `expected` completes "expected …"."""

    pattern: str
    expected: str

    def holds(self, text: str) -> bool:
        """Return whether `text` meets this clause."""
        return re.search(self.pattern, text) is not None


@dataclass(frozen=True, slots=True)
class MustNot:
    """A text must not contain a match of `pattern`; `expected` completes "expected …"."""

    pattern: str
    expected: str

    def holds(self, text: str) -> bool:
        """Return whether `text` meets this clause."""
        return re.search(self.pattern, text) is None


Clause = Must | MustNot

_NOTHING = r"[^\s\S]"

PRINTABLE = (
    Must(r"\S", "text that is not empty"),
    MustNot(r"[\x00-\x1f\x7f]", "text without control characters"),
)
"""What every text has to meet before its own clauses, unless its kind says otherwise."""


class Echo(StrEnum):
    """Whether an error message may repeat a wrong text."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    """It may contain a secret, as a URL may."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text that meets all of `common` and all of `own`; the first clause that fails is reported.

    `convert` makes the value in the model from the text and the workspace's folder; without it the text is the value.
    """

    own: tuple[Clause, ...] = ()
    common: tuple[Clause, ...] = PRINTABLE
    echo: Echo = Echo.SHOWN
    convert: Callable[[str, Path], object] | None = None

    @cached_property
    def _must(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(clause.pattern) for clause in self.clauses if isinstance(clause, Must))

    @cached_property
    def _must_not(self) -> re.Pattern[str]:
        unwanted = [f"(?:{clause.pattern})" for clause in self.clauses if isinstance(clause, MustNot)]
        return re.compile("|".join(unwanted) or _NOTHING)

    def takes(self, value: object) -> bool:
        """Return whether `value` meets all clauses; `errors` then words the one that it does not meet."""
        if not isinstance(value, str) or self._must_not.search(value):
            return False
        return all([pattern.search(value) for pattern in self._must])  # noqa: C419 - a list is faster, for two patterns

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """All clauses, in the order in which they are checked."""
        return (*self.common, *self.own)


class Repeats(StrEnum):
    """Whether an array may contain a text more than once."""

    REFUSED = "refused"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Texts:
    """An array of `least` or more texts."""

    item: Text
    least: int = 0
    repeats: Repeats = Repeats.REFUSED

    def takes(self, value: object) -> bool:
        """Return whether `value` is such an array; `errors` then words what is wrong with it."""
        if not isinstance(value, list) or len(value) < self.least or not all(map(self.item.takes, value)):
            return False
        return self.repeats is Repeats.TAKEN or len(value) == 1 or len(set(value)) == len(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values of an enumeration; `later`: values that are not accepted yet, and what to say about each."""

    options: type[StrEnum]
    later: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` or `false`."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose keys `of` declares.

    `make` makes the value in the model, by the same attributes, where that is a class of another module.
    """

    of: type[DataclassInstance]
    make: Callable[..., object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTables:
    """A table of tables: the user gives the names, as `example`; `of` declares the keys of each.

    Attributes:
        key: the name of the outer table.
        later: keys that are not accepted yet, and what to say about each.
    """

    of: type[DataclassInstance]
    key: str
    name: Text
    example: str
    later: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextMap:
    """A table of texts under names that the user gives."""

    name: Text
    value: Text


Kind = Text | Texts | Choice | Flag | Table | NamedTables | TextMap


class Presence(StrEnum):
    """Whether a key has to be in its table, once the table is there."""

    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The declaration of one key. `keys` fills in what follows from the dataclass: all but the first four.

    Attributes:
        doc: what it does, in Markdown, in whole sentences.
        absent: what a missing key means, where `default` is not enough.
        example: a value that shows what can be written.
        path: from the root, dotted; `ANY` where the user gives a name.
        attribute: the dataclass field that has its value.
        default: the value of a missing key as TOML would have it; `None`: there is no such value.
    """

    kind: Kind
    doc: str
    absent: str = ""
    example: Value | None = None
    path: str = ""
    attribute: str = ""
    default: Value | None = None
    presence: Presence = Presence.OPTIONAL

    @property
    def parent(self) -> str:
        """The path of the table that contains it; empty at the root."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]


def required(kind: Kind, doc: str, *, example: Value) -> Mapping[str, Key]:
    """Return the metadata of a dataclass field without default: a key that its table needs."""
    return {"key": Key(kind=kind, doc=doc, example=example)}


def setting(kind: Kind, doc: str, *, default: _T, absent: str = "", example: Value | None = None) -> _T:
    """Declare a key that may be missing, as a dataclass field that then has `default`."""
    return field(default=default, metadata={"key": Key(kind=kind, doc=doc, absent=absent, example=example)})


def optional(kind: Text, doc: str, *, absent: str, example: str) -> str | None:
    """Declare a text that may be missing, without a default."""
    return setting(kind, doc, default=None, absent=absent, example=example)


def array(
    item: Text, doc: str, *, default: tuple[str, ...] = (), absent: str = "", example: tuple[str, ...]
) -> tuple[str, ...]:
    """Declare an array of texts that may be missing."""
    return setting(Texts(item), doc, default=default, absent=absent, example=example)


def flag(doc: str) -> bool:
    """Declare a flag that is off by default."""
    return setting(Flag(), doc, default=False, example=True)


def text_map(name: Text, value: Text, doc: str, *, absent: str, example: Mapping[str, str]) -> Mapping[str, str]:
    """Declare a table of texts; empty by default."""
    declared = Key(kind=TextMap(name, value), doc=doc, absent=absent, example=example)
    return field(default_factory=lambda: MappingProxyType({}), metadata={"key": declared})


def table(of: type[_D], doc: str) -> _D:
    """Declare a table; the dataclass field then has the defaults of its keys."""
    return field(default_factory=of, metadata={"key": Key(kind=Table(of), doc=doc)})


@cache
def keys(of: type[DataclassInstance], path: str = "") -> Mapping[str, Key]:
    """Return the keys that a dataclass declares for the table at `path` (empty: the root), by name and in order."""
    declared: dict[str, Key] = {}
    for item in fields(of):
        key: Key | None = item.metadata.get("key")
        if key is not None:
            name = key.kind.key if isinstance(key.kind, NamedTables) else item.name.replace("_", "-")
            declared[name] = replace(
                key,
                path=f"{path}.{name}" if path else name,
                attribute=item.name,
                default=_default(key.kind, item),
                presence=Presence.REQUIRED
                if item.default is MISSING and item.default_factory is MISSING
                else Presence.OPTIONAL,
            )
    return declared


def walk(of: type[DataclassInstance], path: str = "") -> Iterator[Key]:
    """Yield all keys of a dataclass and of the tables in it, each table before its keys."""
    for key in keys(of, path).values():
        yield key
        if isinstance(key.kind, Table):
            yield from walk(key.kind.of, key.path)
        elif isinstance(key.kind, NamedTables):
            yield from walk(key.kind.of, f"{key.path}.{ANY}")


def _default(kind: Kind, item: Field[object]) -> Value | None:
    value = item.default
    if isinstance(kind, Table | NamedTables | TextMap) or value is MISSING or value is None:
        return None
    return value if isinstance(value, bool | tuple) else str(value)


def text(
    *own: Clause,
    common: tuple[Clause, ...] = PRINTABLE,
    echo: Echo = Echo.SHOWN,
    convert: Callable[[str, Path], object] | None = None,
) -> Text:
    """Return the kind of texts that meet these clauses."""
    return Text(own=own, common=common, echo=echo, convert=convert)


_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?"
_NO_CREDENTIALS = MustNot(
    # Any user but the bare one that ssh needs.
    r"^[A-Za-z][A-Za-z0-9+.-]*://([^/]*:[^/]*@|[^/]*@[^/]*@)|^(https?|git)://[^/]*@",
    "a URL without credentials",
)
REPOSITORY_URL = text(
    Must(r"^(https?|ssh|git)://", "a URL that begins with `https://`, `http://`, `ssh://` or `git://`"),
    _NO_CREDENTIALS,
    MustNot(r"[?#]", "a URL without query and fragment"),
    Must(
        rf"^((https?|git)://|ssh://([A-Za-z0-9._-]+@)?){_HOST}(/[^\s\\]*)?$",
        "a URL such as `https://example.com/owner/repository`",
    ),
    echo=Echo.HIDDEN,
)
WEB_URL = text(
    Must(r"^https?://", "a URL that begins with `https://` or `http://`"),
    _NO_CREDENTIALS,
    Must(rf"^https?://{_HOST}([/?#][^\s\\]*)?$", "a URL such as `https://example.com`"),
    echo=Echo.HIDDEN,
)
EMAIL = text(Must(r"^[^@\s<>]+@[^@\s<>]+$", "an address such as `security@example.com`"))
INSIDE = (
    MustNot(r"^/", "a path from the workspace's root"),
    MustNot(r"^~", "a path from the workspace's root"),
    MustNot(r"(^|/)\.\.(/|$)", "a path without `..`, inside the workspace"),
)
OUTPUT_FOLDER = text(
    *INSIDE,
    MustNot(r"^[./]*$", "a folder of its own, not the workspace's root"),
    MustNot(r"^(\./+)*(\.git|\.provenance)(/|$)", "a folder outside `.git` and `.provenance`"),
    convert=lambda text, _: PurePosixPath(text),
)
MANIFEST_GLOB = text(
    *INSIDE,
    Must(r"(^|/)Cargo\.toml$", "a path that ends in `Cargo.toml`"),
    MustNot(r"[^/]\*\*|\*\*[^/]", "a path with `**` only as a whole folder name"),
)
BINARY_GLOB = text(MustNot(r"/", "a glob over names of binaries, which have no `/`"))
TARGET = text(
    Must(r"^[A-Za-z0-9_][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)+$", "a target triple such as `x86_64-unknown-linux-musl`")
)
PROFILE = text(Must(r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", "a profile's name (letters, digits, `_`, `-`)"))
# A comma or space would be two features to cargo, a leading dash an option.
FEATURE = text(Must(r"^[^\s,-][^\s,]*$", "one feature, `FEATURE` or `PACKAGE/FEATURE`"))
# `:`, `@` and `+` have a meaning in an artifact's id, `/` in paths.
ARTIFACT_NAME = text(
    Must(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", "an artifact's name (letters, digits, `.`, `_`, `-`; no `.` or `-` first)")
)
FEATURE_SET_NAME = text(
    Must(r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", "a feature set's name (letters, digits, `_`, `-`; no `-` first)")
)
BINARY_SELECTOR = text(
    Must(r"^([^#]+/)?Cargo\.toml#[^#/]+$|^[^#/]+/[^#/]+$", "`PACKAGE/BINARY` or `path/to/Cargo.toml#BINARY`"),
    *INSIDE,
    MustNot(r"(^|/)\./|//", "a path without `.` and empty parts"),
)
COMMAND_NAME = text(Must(r"^[A-Za-z0-9_][A-Za-z0-9_-]*$", "a command's name (letters, digits, `_`, `-`; no `-` first)"))
ARGUMENT = text(MustNot(r"\x00", "text without NUL characters"), common=(Must(r"\S", "text that is not empty"),))
INPUT_PATTERN = text(
    *INSIDE,
    MustNot(r"(^|/)\.?(/|$)", "a path without `.` and empty parts"),
    MustNot(r"[^/]\*\*|\*\*[^/]", "a path with `**` only as a whole folder name"),
    MustNot(r"^!| !", "one pattern; `exclude` takes files away"),
)
OUTPUT_PATTERN = text(
    *INPUT_PATTERN.own, MustNot(r"\*\*$", "a path that ends in a file's name, which may have wildcards")
)
VARIABLE = text(
    Must(r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable's name"),
    MustNot(r"^DOIT_PROVENANCE_", "a variable that commands get, which those of signing are not"),
)
ARTIFACT_ID = text(
    Must(
        r"^[a-z]+:[^:@\s*?]+(@[^:@\s*?]+)?$",
        "an artifact, `BUILDER:NAME@PLATFORM`, or `BUILDER:NAME` for all its platforms",
    )
)
PLATFORM = text(
    Must(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$", "a platform such as `linux/amd64`, or `any`")
)
PLATFORM_GLOB = text(Must(r"^[A-Za-z0-9_.*?!/\[\]-]+$", "a platform, or a glob over platforms such as `*-linux-*`"))
KEY_FILE = text(
    Must(r"^(/|~/)", "a path outside the workspace, which begins with `/` or `~/`"),
    MustNot(r"/$", "a file, not a folder"),
    convert=lambda text, _: Path(text).expanduser(),
)
FILE_PATH = text(
    MustNot(r"^~", "a path from the workspace's root, or one that begins with `/`"),
    MustNot(r"/$", "a file, not a folder"),
    convert=lambda text, workspace: workspace / text,
)
IMAGE_NAME = text(
    Must(r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", "an image's name (letters, digits, `.`, `_`, `-`; no `.` or `-` first)")
)
IMAGE_PLATFORM = text(
    Must(
        r"^[A-Za-z0-9_-]+([(][A-Za-z0-9_.-]+[)])?/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$",
        "a platform such as `linux/amd64` or `linux/arm/v7`",
    )
)
ANNOTATION = text(MustNot(r"[\s=]", "an annotation's key without spaces and `=`"))
# ` !` separates two names in the key of an input.
_ONE_NAME = MustNot(r" !", "a path without a space before `!`")
CONTEXT_FOLDER = text(*INSIDE, _ONE_NAME)
DOCKERFILE_PATH = text(*INSIDE, _ONE_NAME, MustNot(r"/$", "a file, not a folder"))
BUILD_ARGUMENT = text(
    Must(r"^[A-Za-z_][A-Za-z0-9_.-]*$", "a build argument's name"),
    MustNot(r"^SOURCE_DATE_EPOCH$", "another name; SOURCE_DATE_EPOCH is the environment's, or the time of the sources"),
)
BUILD_VALUE = text(MustNot(r"\x00", "text without NUL characters"), common=())
STAGE = text(Must(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "a stage's name or number, as the Dockerfile has it"))
SECRET = text(
    Must(
        r'^([a-z]+=[^,"]+,)*id=[A-Za-z0-9_.-]+(,[a-z]+=[^,"]+)*$',
        "a secret in the words of `docker buildx build --secret`, such as `id=token,env=TOKEN`",
    )
)
CONTEXT_NAME = text(
    Must(r"^[a-z0-9][A-Za-z0-9._:/@-]*$", "the name of a context, as `FROM` or `COPY --from=` of the Dockerfile has it")
)
CONTEXT_SOURCE = text(
    Must(r"^docker-image://[^\s]+$|^[^:]+$", "a folder of the workspace, or `docker-image://REFERENCE`"),
    *INSIDE,
    _ONE_NAME,
)
_NO_WILDCARDS = MustNot(r"[*?\[]", "a path without wildcards")
NIX_FOLDER = text(*INSIDE, _NO_WILDCARDS, MustNot(r"[#]", "a folder; packages name what is in it"))
NIX_FILE = text(*INSIDE, _NO_WILDCARDS, Must(r"\.nix$", "a file that ends in `.nix`"))
PACKAGE_GLOB = text(
    Must(
        r"^[A-Za-z0-9_+'*?\[\]!.-]+$",
        "a glob over names of packages (letters, digits, `_`, `-`, `+`, `.`, `'` and wildcards)",
    )
)
ATTRIBUTE = text(
    Must(
        r"^[A-Za-z_][A-Za-z0-9_'+-]*(\.[A-Za-z_][A-Za-z0-9_'+-]*)*$",
        "the path of an attribute, as `wash` or `packages.wash`",
    )
)
PACKAGE_FILE = text(
    Must(
        r"^[^/]+/[^/]",
        "`PACKAGE/PATH`: a package, or a glob over packages, and a path in its output, as `wash/bin/wash`",
    ),
    *OUTPUT_PATTERN.own,
)
SYSTEM = text(Must(r"^[a-z0-9_]+-[a-z0-9]+$", "a system as Nix calls it, such as `x86_64-linux`"))
_OF_A_PATH = r"^(docker-archive|oci-archive|oci):"
IMAGE_SOURCE = text(
    Must(
        rf"{_OF_A_PATH}[^\s]|^docker-daemon:[A-Za-z0-9][^\s]*$|^docker://[A-Za-z0-9\[][^\s]*$",
        "`docker-archive:PATH`, `oci-archive:PATH`, `oci:PATH`, `docker-daemon:NAME` or `docker://REFERENCE`",
    ),
    MustNot(rf"{_OF_A_PATH}[/~]", "a path from the workspace's root"),
    MustNot(rf"{_OF_A_PATH}([^/]*/)*\.\.(/|$)", "a path without `..`, inside the workspace"),
    MustNot(rf"{_OF_A_PATH}[^*?\[]*[*?\[]", "a path without wildcards"),
    MustNot(rf"{_OF_A_PATH}[^:]*:", "a path without `:`; the image in it has to be the only one"),
)
