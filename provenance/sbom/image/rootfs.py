"""The file system of an image as a container sees it: its layers applied in order (image-spec v1.1, layer.md).

If a layer puts a file below a path that is a symbolic link in a lower layer, some engines follow the link and others
replace it by a folder. In this case both entries are kept, and the files of engines that follow the link are tracked
too (`symlink_view`), so that no file is missed, whichever engine runs the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import UnreadableError, quoted
from .layer import File, Folder, Layer, Limits, Link, Special, exceeded
from .symlink_view import SymlinkView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layer import Entry
    from .symlink_view import Tree

_HOPS = 40
"""Symbolic links that Linux follows for one path (path_resolution(7))."""


@dataclass(slots=True)
class _Node:
    """The entry at one path; a folder has `children`."""

    entry: File | Link | None = None
    children: dict[str, _Node] | None = None


@dataclass(slots=True)
class Rootfs:
    """A tree of files to which layers are applied in order."""

    limits: Limits = field(default_factory=Limits)
    _root: _Node = field(default_factory=lambda: _Node(children={}))
    _folders: dict[str, str | None] = field(default_factory=dict)
    _ambiguous: bool = False
    """Some path is both a folder and a symbolic link."""
    _symlink_view: SymlinkView | None = None
    """From then on, the files of engines that follow the link."""
    _created: int = 0
    """Folders and files added to the tree, including those removed since."""

    def apply(self, layer: Layer, digest: str) -> None:
        """Apply a layer; `digest` names it in messages.

        Whiteouts affect lower layers only, wherever they are in the archive.

        Raises:
            UnreadableError: the target of a hard link is missing, or there are too many files and folders.
        """
        for path in layer.opaque:
            self._clear(path)
        for path in layer.whiteouts:
            self._remove(path)
            if self._symlink_view is not None:
                self._symlink_view.remove(path)
        for path, entry in layer.entries:
            hard_link = entry.target if isinstance(entry, Link) and entry.hard else None
            resolved = entry if hard_link is None else self._hard_link(path, hard_link, digest)
            self._add(path, resolved)
            if self._ambiguous:
                self._symlink_view = self._symlink_view or SymlinkView(_links_only(self._root))
                target = self._symlink_view.hard_link_target(hard_link) if hard_link is not None else None
                self._symlink_view.put(path, target or resolved)
            self._check_limits(digest)
        self._folders.clear()

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every regular file with its path."""
        files: dict[str, File] = {}
        for path, node in self._nodes():
            if isinstance(node.entry, File):
                files[path] = node.entry
                yield path, node.entry
        if self._symlink_view is not None:
            known = {id(file) for file in files.values()}
            for path, file in self._symlink_view.files():
                if id(file) not in known:
                    yield path if path not in files else f"{path} (where links are followed)", file

    def links(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the target of every symbolic link."""
        yield from ((path, node.entry.target) for path, node in self._nodes() if isinstance(node.entry, Link))

    def find(self, path: str) -> tuple[str, File] | None:
        """Return the real path and the regular file that a container opens at `path`; `None` if there is none."""
        real = self.real(path)
        node = self._literal(real) if real is not None else None
        return (real, node.entry) if real is not None and node is not None and isinstance(node.entry, File) else None

    def real(self, path: str) -> str | None:
        """Return `path` with symbolic links resolved, never outside the root; `None` if it does not exist."""
        folder, _, name = path.strip("/").rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._resolved(folder)
        base = self._folders[folder]
        if base is None:
            return None
        whole = f"{base}/{name}" if base else name
        node = self._literal(whole)
        if (node is not None and isinstance(node.entry, Link) and node.children is None) or (
            node is None and self._ambiguous
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
            if isinstance(node.entry, Link) and (node.children is None or not _continues_in(node.children, waiting)):
                hops += 1
                if hops > _HOPS:
                    return None
                real = [] if node.entry.target.startswith("/") else real
                waiting += node.entry.target.split("/")[::-1]
            else:
                real.append(part)
        return "/".join(real)

    def _check_limits(self, digest: str) -> None:
        view = self._symlink_view
        created, steps = (view.created, view.steps) if view is not None else (0, 0)
        if self._created + created > self.limits.nodes:
            exceeded(digest, f"and those below it have more than {self.limits.nodes:,} files and folders")
        if steps > self.limits.steps:
            exceeded(digest, f"and those below it lead through more than {self.limits.steps:,} folders and links")

    def _nodes(self) -> Iterator[tuple[str, _Node]]:
        waiting = [("", self._root)]
        while waiting:
            path, node = waiting.pop()
            yield path, node
            prefix = f"{path}/" if path else ""
            waiting += [(prefix + name, child) for name, child in (node.children or {}).items()]

    def _literal(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for part in path.split("/") if path else ():
            node = node.children.get(part) if node is not None and node.children is not None else None
        return node

    def _hard_link(self, path: str, target: str, digest: str) -> File | Link:
        clean = "/".join(part for part in target.split("/") if part not in {"", "."})
        node = self._literal(clean)
        if node is not None and node.entry is not None:
            return node.entry  # a hard link to a symbolic link is another name of the link itself
        self._folders.clear()
        target_file = self.find(clean)
        if target_file is None:
            raise UnreadableError(
                f"layer `{digest}` has a hard link {quoted(path)} to {quoted(target)}, which is no file of the image",
                hint="get the image again from where it came",
            )
        return target_file[1]

    def _parent(self, path: str) -> tuple[dict[str, _Node], str]:
        """Return the children of the folder that contains `path`, created if it is missing, and the name in it."""
        *folders, name = path.split("/")
        node = self._root
        for part in folders:
            if node.children is None:
                node.children = {}
            self._created += part not in node.children
            node = node.children.setdefault(part, _Node())
            if isinstance(node.entry, File):
                node.entry = None
            self._ambiguous = self._ambiguous or node.entry is not None
        if node.children is None:
            node.children = {}
        self._created += name not in node.children
        return node.children, name

    def _add(self, path: str, entry: Entry) -> None:
        match entry:
            case Folder():
                self._folder(path)
            case Special():
                self._remove(path)
            case File() | Link():
                self._put(path, entry)

    def _clear(self, path: str) -> None:
        if (node := self._literal(path)) is not None and node.children is not None:
            node.children = {}
        if self._symlink_view is not None:
            self._symlink_view.clear(path)

    def _put(self, path: str, entry: File | Link) -> None:
        siblings, name = self._parent(path)
        siblings[name] = _Node(entry=entry)

    def _folder(self, path: str) -> None:
        siblings, name = self._parent(path)
        node = siblings.setdefault(name, _Node())
        node.entry = None
        if node.children is None:
            node.children = {}

    def _remove(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        node = self._literal(folder)
        if node is not None and node.children is not None:
            node.children.pop(name, None)


def _links_only(root: _Node) -> Tree:
    """Return the tree in which each ambiguous path is the link only."""
    top: Tree = {}
    waiting = [(root, top)]
    while waiting:
        node, folder = waiting.pop()
        for name, child in (node.children or {}).items():
            if child.entry is not None:
                folder[name] = child.entry
            elif child.children is not None:
                inner: Tree = {}
                folder[name] = inner
                waiting.append((child, inner))
    return top


def _continues_in(children: dict[str, _Node], waiting: list[str]) -> bool:
    """Tell whether the next part of a path is in the folder at an ambiguous path."""
    following = next((part for part in reversed(waiting) if part not in {"", "."}), None)
    return following is None or following in children
