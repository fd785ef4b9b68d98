"""A JSON document read where trust is at stake: typed access, with the way to the offending key in every error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UnreadableError, quoted
from ..json import JSONValue, read_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class JSONObject:
    """An object inside a document, with the way to it, so that an error can name the offending key.

    Attributes:
        what: the document, as `the bundle`.
        path: dotted way from the document's root; empty at the root.
        found: the keys and values.
    """

    what: str
    path: str
    found: Mapping[str, JSONValue]

    def text(self, key: str) -> str:
        """Return the text at `key`.

        Raises:
            UnreadableError: it is missing or no text.
        """
        value = self._present(key)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def child(self, key: str) -> JSONObject:
        """Return the object at `key`.

        Raises:
            UnreadableError: it is missing or no object.
        """
        value = self._present(key)
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return JSONObject(what=self.what, path=self._way(key), found=value)

    def children(self, key: str) -> tuple[JSONObject, ...]:
        """Return the objects of the list at `key`.

        Raises:
            UnreadableError: it is missing, no list, or holds something that is no object.
        """
        value = self._present(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        way = self._way(key)
        objects = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                raise UnreadableError(f"{self.what}: {quoted(f'{way}[{index}]')} must be an object")
            objects.append(JSONObject(what=self.what, path=f"{way}[{index}]", found=item))
        return tuple(objects)

    def texts(self, key: str) -> dict[str, str]:
        """Return the object at `key` whose values are all text.

        Raises:
            UnreadableError: it is missing, no object, or one of its values is no text.
        """
        child = self.child(key)
        return {name: child.text(name) for name in child.found}

    def refuse_others(self, known: Collection[str]) -> None:
        """Hold a closed format: no key but the known ones.

        Raises:
            UnreadableError: there is another key.
        """
        if others := self.found.keys() - known:
            raise self.error(min(others), "is not a field of this format")

    def refuse_lookalikes(self, known: Collection[str]) -> None:
        """Hold an open format: other keys are ignored, but not those that differ from a known one in case alone.

        Readers that ignore case (Go's encoding/json) would take them for the known ones.

        Raises:
            UnreadableError: there is such a key.
        """
        if others := self.found.keys() - known:
            folded = {name.casefold(): name for name in known}
            for key in sorted(others):
                if name := folded.get(key.casefold()):
                    raise self.error(key, f"can be mistaken for `{name}`")

    def error(self, key: str, reason: str) -> UnreadableError:
        """Return the error that says what is wrong at `key`."""
        return UnreadableError(f"{self.what}: {quoted(self._way(key))} {reason}")

    def _present(self, key: str) -> JSONValue:
        if key not in self.found:
            raise self.error(key, "is missing")
        return self.found[key]

    def _wrong(self, key: str, expected: str) -> UnreadableError:
        return self.error(key, f"must be {expected}")

    def _way(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def read_object(data: bytes, *, what: str, limit: int) -> JSONObject:
    """Read one JSON object strictly.

    Args:
        data: the document's bytes.
        what: what it should be, for messages, as `the bundle`.
        limit: in bytes; more is not read.

    Raises:
        UnreadableError: it is too large, or no JSON object with one meaning.
    """
    if len(data) > limit:
        raise UnreadableError(f"{what} is larger than the {limit:,} bytes that are read of such a document")
    try:
        document = read_json(data)
    except ValueError as error:
        raise UnreadableError(f"{what} is not strict JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableError(f"{what} is not a JSON object")
    return JSONObject(what=what, path="", found=document)
