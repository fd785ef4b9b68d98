"""The files of an image as a container sees them: its layers put on top of each other (image-spec v1.1, layer.md).

Engines differ where a layer puts a file below what is a symbolic link in a lower layer: some follow it, others hide it.
Here both are there then, so that no file is passed over, whichever engine runs the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .layer import File, Folder, Layer, Link, Special

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOPS = 40
"""Symbolic links that Linux follows for one path (path_resolution(7))."""


@dataclass(slots=True)
class _Node:
    """What stands at one path; a folder has `below`."""

    here: File | Link | None = None
    below: dict[str, _Node] | None = None


@dataclass(slots=True)
class Rootfs:
    """A tree of files that grows by one layer after another."""

    _root: _Node = field(default_factory=lambda: _Node(below={}))
    _folders: dict[str, str | None] = field(default_factory=dict)
    _doubled: bool = False
    """Somewhere a folder and a symbolic link stand at one path."""

    def apply(self, layer: Layer, digest: str) -> None:
        """Put a layer on top; `digest` names it in messages.

        Whiteouts act on what lies below the layer alone, wherever they stand in its archive.

        Raises:
            UnreadableError: a hard link in it leads to no file.
        """
        for path in layer.opaque:
            if (node := self._literal(path)) is not None and node.below is not None:
                node.below = {}
        for path in layer.whiteouts:
            self._remove(path)
        for path, entry in layer.entries:
            match entry:
                case Folder():
                    self._folder(path)
                case Special():
                    self._remove(path)
                case Link(hard=True):
                    self._put(path, self._linked(path, entry.target, digest))
                case File() | Link():
                    self._put(path, entry)
        self._folders.clear()

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every regular file with its path."""
        yield from ((path, node.here) for path, node in self._nodes() if isinstance(node.here, File))

    def links(self) -> Iterator[tuple[str, str]]:
        """Yield the path of every symbolic link, and where it leads."""
        yield from ((path, node.here.target) for path, node in self._nodes() if isinstance(node.here, Link))

    def find(self, path: str) -> tuple[str, File] | None:
        """Return the regular file that a container opens at `path`, and where it really lies; `None`: none."""
        real = self.real(path)
        node = self._literal(real) if real is not None else None
        return (real, node.here) if real is not None and node is not None and isinstance(node.here, File) else None

    def real(self, path: str) -> str | None:
        """Return `path` without symbolic links, which never lead out of the root; `None`: it leads nowhere."""
        folder, _, name = path.strip("/").rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._resolved(folder)
        base = self._folders[folder]
        if base is None:
            return None
        whole = f"{base}/{name}" if base else name
        node = self._literal(whole)
        if (node is not None and isinstance(node.here, Link) and node.below is None) or (
            node is None and self._doubled
        ):
            return self._resolved(path)
        return whole if node is not None else None

    def _resolved(self, path: str) -> str | None:
        waiting, real, hops = path.split("/")[::-1], list[str](), 0
        while waiting:
            part = waiting.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                real = real[:-1]
                continue
            node = self._literal("/".join([*real, part]))
            if node is None:
                return None
            if isinstance(node.here, Link) and (node.below is None or not _leads_on(node.below, waiting)):
                hops += 1
                if hops > _HOPS:
                    return None
                real = [] if node.here.target.startswith("/") else real
                waiting += node.here.target.split("/")[::-1]
            else:
                real.append(part)
        return "/".join(real)

    def _nodes(self) -> Iterator[tuple[str, _Node]]:
        waiting = [("", self._root)]
        while waiting:
            path, node = waiting.pop()
            yield path, node
            prefix = f"{path}/" if path else ""
            waiting += [(prefix + name, below) for name, below in (node.below or {}).items()]

    def _literal(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.below.get(part) if node is not None and node.below is not None else None
        return node

    def _linked(self, path: str, target: str, digest: str) -> File | Link:
        clean = "/".join(part for part in target.split("/") if part not in {"", "."})
        node = self._literal(clean)
        if node is not None and node.here is not None:
            return node.here  # of a symbolic link it is another name too
        self._folders.clear()
        found = self.find(clean)
        if found is None:
            raise UnreadableError(
                f"layer `{digest}` has a hard link {quoted(path)} to {quoted(target)}, which is no file of the image",
                hint="get the image again from where it came",
            )
        return found[1]

    def _parent(self, path: str) -> tuple[dict[str, _Node], str]:
        """Return the content of the folder that `path` stands in, which is made where there is none, and its name."""
        *folders, name = path.split("/")
        node = self._root
        for part in folders:
            if node.below is None:
                node.below = {}
            node = node.below.setdefault(part, _Node())
            if isinstance(node.here, File):
                node.here = None
            self._doubled = self._doubled or node.here is not None
        if node.below is None:
            node.below = {}
        return node.below, name

    def _put(self, path: str, entry: File | Link) -> None:
        siblings, name = self._parent(path)
        siblings[name] = _Node(here=entry)

    def _folder(self, path: str) -> None:
        siblings, name = self._parent(path)
        node = siblings.setdefault(name, _Node())
        node.here = None
        if node.below is None:
            node.below = {}

    def _remove(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        node = self._literal(folder)
        if node is not None and node.below is not None:
            node.below.pop(name, None)


def _leads_on(below: dict[str, _Node], waiting: list[str]) -> bool:
    """Tell whether what is next stands in a folder, beside which there is a link of the same name."""
    following = next((part for part in reversed(waiting) if part not in {"", "."}), None)
    return following is None or following in below
