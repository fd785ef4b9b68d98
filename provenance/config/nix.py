"""The keys of `[nix]`."""

from __future__ import annotations

from . import clauses
from .entry import Key
from .kinds import Flag, Must, MustNot, Table, Text, Texts

_NO_WILDCARDS = MustNot(pattern=r"[*?\[]", expected="a path without wildcards")
_FOLDER = Text(
    own=(*clauses.INSIDE, _NO_WILDCARDS, MustNot(pattern=r"[#]", expected="a folder; packages name what is in it"))
)
_FILE = Text(own=(*clauses.INSIDE, _NO_WILDCARDS, Must(pattern=r"\.nix$", expected="a file that ends in `.nix`")))
_PACKAGE_GLOB = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z0-9_+'*?\[\]!.-]+$",
            expected="a glob over names of packages (letters, digits, `_`, `-`, `+`, `.`, `'` and wildcards)",
        ),
    )
)
_ATTRIBUTE = Text(
    own=(
        Must(
            pattern=r"^[A-Za-z_][A-Za-z0-9_'+-]*(\.[A-Za-z_][A-Za-z0-9_'+-]*)*$",
            expected="the path of an attribute, as `wash` or `packages.wash`",
        ),
    )
)
_PACKAGE_FILE = Text(
    own=(
        Must(
            pattern=r"^[^/]+/[^/]",
            expected="`PACKAGE/PATH`: a package, or a glob over packages, and a path in its output, as `wash/bin/wash`",
        ),
        *clauses.OUTPUT_PATTERN.own,
    )
)
_SYSTEM = Text(
    own=(Must(pattern=r"^[a-z0-9_]+-[a-z0-9]+$", expected="a system as Nix calls it, such as `x86_64-linux`"),)
)

NIX = (
    Key(
        path="nix",
        kind=Table(),
        doc=(
            "Packages that Nix builds. Each is an artifact, `nix:PACKAGE@SYSTEM`; where several files of one ship, "
            "each file is one, `nix:PACKAGE/FILE@SYSTEM`."
        ),
    ),
    Key(
        path="nix.packages",
        kind=Texts(item=_PACKAGE_GLOB),
        doc="The packages of the flake that ship: globs over the names in its `packages.SYSTEM`.",
        default=(),
        absent="none",
        example=("wash", "wash-oci-*"),
    ),
    Key(
        path="nix.exclude",
        kind=Texts(item=_PACKAGE_GLOB),
        doc="Packages that do not ship, though `nix.packages` matches them.",
        default=(),
        example=("*-debug",),
    ),
    Key(
        path="nix.flake",
        kind=_FOLDER,
        doc="The folder of `flake.nix`, from the workspace's root. It has to be in a git repository.",
        default=".",
        example="nix",
    ),
    Key(
        path="nix.systems",
        kind=Texts(item=_SYSTEM),
        doc="The systems to build for. For others than the machine's own, Nix needs a remote builder or an emulator.",
        default=(),
        absent="the machine's own",
        example=("x86_64-linux", "aarch64-linux"),
    ),
    Key(
        path="nix.file",
        kind=_FILE,
        doc=(
            "An expression that is no flake, from the workspace's root; `nix.attributes` says what of it ships. It is "
            "evaluated in every run, as nobody knows what it reads."
        ),
        absent="there is none",
        example="default.nix",
    ),
    Key(
        path="nix.attributes",
        kind=Texts(item=_ATTRIBUTE),
        doc="What ships of `nix.file`: paths of attributes, each of which is a derivation.",
        default=(),
        example=("wash",),
    ),
    Key(
        path="nix.files",
        kind=Texts(item=_PACKAGE_FILE),
        doc=(
            "Which files of an output ship, as `PACKAGE/PATH`. Both may have wildcards; each entry has to match one "
            "file of each package."
        ),
        default=(),
        absent="the output itself if it is a file, else the one file in its `bin`",
        example=("wash/bin/wash", "wash/bin/wadm"),
    ),
    Key(
        path="nix.images",
        kind=Texts(item=_PACKAGE_GLOB),
        doc=(
            "The packages that are images: archives as `dockerTools.buildImage` makes them, OCI archives, or OCI "
            "image layouts. They become OCI images, as those of other builders."
        ),
        default=(),
        example=("wash-oci-*",),
    ),
    Key(
        path="nix.rebuild",
        kind=Flag(),
        doc=(
            "Take no package on trust: one that Nix would copy from a binary cache, or finds in its store, is built "
            "again here and has to come out equal, bit by bit. What packages are built from is taken as before."
        ),
        default=False,
        example=True,
    ),
    Key(
        path="nix.build-inventory",
        kind=Flag(),
        doc="List in inventories what the build used, too: the closure of the derivation, as build tools.",
        default=False,
        example=True,
    ),
    Key(
        path="nix.experimental-features",
        kind=Flag(),
        doc=(
            "Pass `--extra-experimental-features 'nix-command flakes'` to Nix, where its own configuration does not "
            "enable them."
        ),
        default=False,
        example=True,
    ),
)
