"""The files of an image as an engine has them that follows symbolic links when it unpacks a layer (containerd, docker).

A file that a layer puts below a link goes to where the link leads, and stays there when the link is gone.
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
"""A folder: names to what stands there."""


class Followed:
    """A tree of files that grows by one member after another.

    Attributes:
        made: folders that were made because a path or a link leads through them.
        steps: parts of paths and links that were followed.
    """

    def __init__(self, root: Tree) -> None:
        self._root = root
        self.made = 0
        self.steps = 0

    def files(self) -> Iterator[tuple[str, File]]:
        """Yield every regular file with its path."""
        waiting = [("", self._root)]
        while waiting:
            prefix, folder = waiting.pop()
            for name, there in folder.items():
                if isinstance(there, File):
                    yield prefix + name, there
                elif isinstance(there, dict):
                    waiting.append((f"{prefix}{name}/", there))

    def put(self, path: str, entry: Entry) -> None:
        """Put a member where it goes; a hard link has to be the file already (`named`)."""
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        if folder is None:
            return  # links in a circle: no engine unpacks this
        match entry:
            case Folder():
                if not isinstance(folder.get(name), dict):
                    folder[name] = {}
            case Special():
                folder.pop(name, None)
            case File() | Link():
                folder[name] = entry

    def named(self, path: str) -> File | Link | None:
        """Return what a hard link to `path` is another name of."""
        above, _, name = "/".join(part for part in path.split("/") if part not in {"", "."}).rpartition("/")
        there = (self._folder(above) or {}).get(name)
        return None if isinstance(there, dict) else there

    def empty(self, path: str) -> None:
        """Take away what is in a folder (an opaque whiteout)."""
        there = self._plain(path)
        if there is not None:
            there.clear()

    def remove(self, path: str) -> None:
        """Take away what stands at a path (a whiteout); below a link nothing, as the link may change in this layer."""
        above, _, name = path.rpartition("/")
        there = self._plain(above)
        if there is not None:
            there.pop(name, None)

    def _plain(self, path: str) -> Tree | None:
        """Return the folder at a path in which there is no link."""
        folder = self._root
        for part in path.split("/") if path else ():
            there = folder.get(part)
            if not isinstance(there, dict):
                return None
            folder = there
        return folder

    def _folder(self, path: str) -> Tree | None:
        """Return the folder that a path leads to, made where there is none; `None`: it leads in a circle."""
        waiting, way, hops = path.split("/")[::-1], [self._root], 0
        while waiting:
            part = waiting.pop()
            self.steps += 1
            if part in {"", "."}:
                continue
            if part == "..":
                way = way[:-1] or way
                continue
            there = way[-1].get(part)
            if isinstance(there, Link):
                hops += 1
                if hops > _HOPS:
                    return None
                way = way[:1] if there.target.startswith("/") else way
                waiting += there.target.split("/")[::-1]
                continue
            if not isinstance(there, dict):
                there = way[-1][part] = {}
                self.made += 1
            way.append(there)
        return way[-1]
