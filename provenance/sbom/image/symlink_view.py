"""The files of an image for an engine that follows symbolic links when it unpacks a layer (containerd, docker).

A file that a layer puts below a link is written to the link's target, and stays there if the link is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from .layer import File, Folder, Link, Special

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layer import Entry

_HOPS = 255
"""Links that engines follow for one path (containerd's `fs.RootPath`)."""

Tree: TypeAlias = "dict[str, Tree | File | Link]"
"""A folder: names to entries."""


class SymlinkView:
    """A tree of files to which the members of layers are added in order.

    Attributes:
        created: folders created because a path or a link leads through them.
        steps: parts of paths and links that were followed.
    """

    def __init__(self, root: Tree) -> None:
        self._root = root
        self.created = 0
        self.steps = 0

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every regular file with its path."""
        waiting = [("", self._root)]
        while waiting:
            prefix, folder = waiting.pop()
            for name, entry in folder.items():
                if isinstance(entry, File):
                    yield prefix + name, entry
                elif isinstance(entry, dict):
                    waiting.append((f"{prefix}{name}/", entry))

    def put(self, path: str, entry: Entry) -> None:
        """Add a member where an engine would; a hard link must be resolved first (`hard_link_target`)."""
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        if folder is None:
            return  # a loop of links: no engine unpacks this
        match entry:
            case Folder():
                if not isinstance(folder.get(name), dict):
                    folder[name] = {}
            case Special():
                folder.pop(name, None)
            case File() | Link():
                folder[name] = entry

    def hard_link_target(self, path: str) -> File | Link | None:
        """Return the file or link that a hard link to `path` is another name of."""
        parent, _, name = "/".join(part for part in path.split("/") if part not in {"", "."}).rpartition("/")
        entry = (self._folder(parent) or {}).get(name)
        return None if isinstance(entry, dict) else entry

    def clear(self, path: str) -> None:
        """Remove the contents of a folder (an opaque whiteout)."""
        folder = self._literal_folder(path)
        if folder is not None:
            folder.clear()

    def remove(self, path: str) -> None:
        """Remove the entry at a path (a whiteout), but nothing below a link, which this layer may change."""
        parent, _, name = path.rpartition("/")
        folder = self._literal_folder(parent)
        if folder is not None:
            folder.pop(name, None)

    def _literal_folder(self, path: str) -> Tree | None:
        """Return the folder at a path without following links."""
        folder = self._root
        for part in path.split("/") if path else ():
            entry = folder.get(part)
            if not isinstance(entry, dict):
                return None
            folder = entry
        return folder

    def _folder(self, path: str) -> Tree | None:
        """Return the folder that a path resolves to, created if it is missing; `None`: the path loops."""
        waiting, ancestors, hops = path.split("/")[::-1], [self._root], 0
        while waiting:
            part = waiting.pop()
            self.steps += 1
            if part in {"", "."}:
                continue
            if part == "..":
                ancestors = ancestors[:-1] or ancestors
                continue
            entry = ancestors[-1].get(part)
            if isinstance(entry, Link):
                hops += 1
                if hops > _HOPS:
                    return None
                ancestors = ancestors[:1] if entry.target.startswith("/") else ancestors
                waiting += entry.target.split("/")[::-1]
                continue
            if not isinstance(entry, dict):
                entry = ancestors[-1][part] = {}
                self.created += 1
            ancestors.append(entry)
        return ancestors[-1]
