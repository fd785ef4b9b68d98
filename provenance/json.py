"""JSON as this project reads it: strictly, with limits, and with the path to the offending key in every error."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from .errors import UnreadableError, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

E = TypeVar("E", bound=StrEnum)

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_DIGITS = len("-9223372036854775808")


def read_json(data: bytes) -> JSONValue:
    """Parse UTF-8 JSON that every reader understands the same way.

    Two readers of a document with a doubled key may see two different documents: that is how forgeries start. So no
    object has a key twice, no number is NaN, infinite or longer than 64 bits need, no text holds half a surrogate pair.

    Raises:
        ValueError: the bytes are something else, or nested too deeply.
    """
    text = data.decode()
    try:
        value: JSONValue = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short,
        )
        if _SURROGATE_ESCAPE.search(text):
            # Encoding fails exactly where an escape left half of a pair.
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _unique(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"an object has the key {quoted(twice)} twice")
    return found


def _refuse_constant(name: str) -> JSONValue:
    raise ValueError(f"`{name}` is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {quoted(text)} is too large")
    return number


def _short(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"the number {quoted(text)} is too large")
    return int(text)


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

    def optional_text(self, key: str) -> str | None:
        """Return the text at `key`; `None`: the key is missing.

        Raises:
            UnreadableError: it is no text.
        """
        return self.text(key) if key in self.found else None

    def optional_child(self, key: str) -> JSONObject:
        """Return the object at `key`, an empty one where the key is missing.

        Raises:
            UnreadableError: it is no object.
        """
        return self.child(key) if key in self.found else JSONObject(what=self.what, path=self._way(key), found={})

    def name(self, key: str) -> str:
        """Return the text at `key`, which is not blank.

        Raises:
            UnreadableError: it is missing, no text, or blank.
        """
        text = self.text(key)
        if not text.strip():
            raise self.error(key, "is blank")
        return text

    def matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str:
        """Return the text at `key`, all of which `pattern` matches; `expected` describes it in the error.

        Raises:
            UnreadableError: it is missing, no text, or does not match.
        """
        text = self.text(key)
        if not pattern.fullmatch(text):
            raise self._wrong(key, expected)
        return text

    def member(self, key: str, kind: type[E]) -> E:
        """Return the text at `key` as a member of an enumeration.

        Raises:
            UnreadableError: it is missing, no text, or none of the enumeration's values.
        """
        try:
            return kind(self.text(key))
        except ValueError as error:
            raise self._wrong(key, f"one of {', '.join(f'`{member}`' for member in kind)}") from error

    def flag(self, key: str) -> bool:
        """Return true or false.

        Raises:
            UnreadableError: it is missing or neither.
        """
        value = self._present(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def count(self, key: str) -> int:
        """Return the whole number at `key`, from 0.

        Raises:
            UnreadableError: it is missing, no whole number, or negative.
        """
        if (count := _as_count(self._present(key))) is None:
            raise self._wrong(key, "a whole number from 0")
        return count

    def counts(self, key: str) -> tuple[int, ...]:
        """Return the list of whole numbers from 0 at `key`.

        Raises:
            UnreadableError: it is missing, no list, or holds something else.
        """
        value = self._present(key)
        counts = tuple(map(_as_count, value)) if isinstance(value, list) else (None,)
        if None in counts:
            raise self._wrong(key, "a list of whole numbers from 0")
        return tuple(count for count in counts if count is not None)

    def strings(self, key: str) -> tuple[str, ...]:
        """Return the list of texts at `key`.

        Raises:
            UnreadableError: it is missing, no list, or holds something that is no text.
        """
        value = self._present(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of texts")
        return tuple(str(item) for item in value)

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


def _as_count(value: JSONValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
