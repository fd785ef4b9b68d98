"""The files of an image as a container sees them: its layers put on top of each other (image-spec v1.1, layer.md).

Engines differ where a layer puts a file below what is a symbolic link in a lower layer: some follow it, others hide it.
Here both are there then, and what those have that follow it (`followed`), so that no file is passed over, whichever
engine runs the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .followed import Followed
from .layer import File, Folder, Layer, Link, Special
from .limits import Limits, exceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .followed import Tree
    from .layer import Entry

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

    limits: Limits = field(default_factory=Limits)
    _root: _Node = field(default_factory=lambda: _Node(below={}))
    _folders: dict[str, str | None] = field(default_factory=dict)
    _doubled: bool = False
    """Somewhere a folder and a symbolic link stand at one path."""
    _followed: Followed | None = None
    """From then on, what engines have that follow the link."""
    _made: int = 0
    """Folders and files that were put into the tree, those that are gone again among them."""

    def apply(self, layer: Layer, digest: str) -> None:
        """Put a layer on top; `digest` names it in messages.

        Whiteouts act on what lies below the layer alone, wherever they stand in its archive.

        Raises:
            UnreadableError: a hard link in it leads to no file, or there are more folders than are read.
        """
        for path in layer.opaque:
            self._empty(path)
        for path in layer.whiteouts:
            self._remove(path)
            if self._followed is not None:
                self._followed.remove(path)
        for path, entry in layer.entries:
            there = self._linked(path, entry.target, digest) if isinstance(entry, Link) and entry.hard else entry
            self._add(path, there)
            if self._doubled:
                self._followed = self._followed or Followed(_without_doubles(self._root))
                named = self._followed.named(entry.target) if isinstance(entry, Link) and entry.hard else None
                self._followed.put(path, named or there)
            self._refuse_too_much(digest)
        self._folders.clear()

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every regular file with its path."""
        found: dict[str, File] = {}
        for path, node in self._nodes():
            if isinstance(node.here, File):
                found[path] = node.here
                yield path, node.here
        if self._followed is not None:
            known = {id(file) for file in found.values()}
            for path, file in self._followed.files():
                if id(file) not in known:
                    yield path if path not in found else f"{path} (where links are followed)", file

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

    def _refuse_too_much(self, digest: str) -> None:
        made, steps = (self._followed.made, self._followed.steps) if self._followed is not None else (0, 0)
        if self._made + made > self.limits.nodes:
            exceeded(digest, f"and those below it have more than {self.limits.nodes:,} files and folders")
        if steps > self.limits.steps:
            exceeded(digest, f"and those below it lead through more than {self.limits.steps:,} folders and links")

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
            self._made += part not in node.below
            node = node.below.setdefault(part, _Node())
            if isinstance(node.here, File):
                node.here = None
            self._doubled = self._doubled or node.here is not None
        if node.below is None:
            node.below = {}
        self._made += name not in node.below
        return node.below, name

    def _add(self, path: str, entry: Entry) -> None:
        match entry:
            case Folder():
                self._folder(path)
            case Special():
                self._remove(path)
            case File() | Link():
                self._put(path, entry)

    def _empty(self, path: str) -> None:
        if (node := self._literal(path)) is not None and node.below is not None:
            node.below = {}
        if self._followed is not None:
            self._followed.empty(path)

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


def _without_doubles(root: _Node) -> Tree:
    """Return the tree with each link alone, without what stands beside it."""
    top: Tree = {}
    waiting = [(root, top)]
    while waiting:
        node, folder = waiting.pop()
        for name, below in (node.below or {}).items():
            if below.here is not None:
                folder[name] = below.here
            elif below.below is not None:
                inner: Tree = {}
                folder[name] = inner
                waiting.append((below, inner))
    return top


def _leads_on(below: dict[str, _Node], waiting: list[str]) -> bool:
    """Tell whether what is next stands in a folder, beside which there is a link of the same name."""
    following = next((part for part in reversed(waiting) if part not in {"", "."}), None)
    return following is None or following in below
