"""The configuration of Nix packages as the rest of the program sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Nix:
    """`[nix]`.

    Attributes:
        flake: the folder of `flake.nix`, from the workspace's root; never leads out of it.
        packages: globs over the names of packages; empty: no package of the flake ships.
        exclude: likewise; wins over `packages`.
        systems: as Nix calls them; empty: the machine's own.
        file: likewise a path: an expression that is no flake; `None`: there is none.
        attributes: paths of attributes of `file`.
        files: `PACKAGE/PATH`, both of which may have wildcards.
        images: globs over the names of packages.
        rebuild: whether everything is built here, and compared with what there was.
        build_inventory: whether inventories list what the build used.
        experimental_features: whether `nix-command` and `flakes` are enabled by the command line.
    """

    flake: str = "."
    packages: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    file: str | None = None
    attributes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    rebuild: bool = False
    build_inventory: bool = False
    experimental_features: bool = False

    @property
    def is_on(self) -> bool:
        """Whether anything ships."""
        return bool(self.packages or self.file)
