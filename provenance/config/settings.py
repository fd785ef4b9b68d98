"""Typed access to a document that `check` found right, with the defaults of what it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from .entry import ANY
from .keys import children, definition

_T = TypeVar("_T")


class Settings:
    """A checked document; settings are asked for by their path, as `cargo.feature-sets.fips.features`."""

    def __init__(self, document: Mapping[str, object], *, defined: str = "") -> None:
        self._document = document
        self._defined = defined

    def text(self, setting: str) -> str:
        """Return a text that has a default."""
        return self._typed(setting, str)

    def text_or_none(self, setting: str) -> str | None:
        """Return a text that has none."""
        return self.text(setting) if self.has(setting) else None

    def texts(self, setting: str) -> tuple[str, ...]:
        """Return an array of texts."""
        value = self.raw(setting)
        return tuple(map(str, value)) if isinstance(value, list) else self._default(setting, tuple)

    def flag(self, setting: str) -> bool:
        """Return `true` or `false`."""
        return self._typed(setting, bool)

    def text_map(self, setting: str) -> Mapping[str, str]:
        """Return a table of texts, in the order of the file."""
        return {name: str(value) for name, value in self._table(setting).items()}

    def names(self, setting: str) -> tuple[str, ...]:
        """Return the names that the user gave to the tables in `setting`, in the order of the file."""
        return tuple(self._table(setting))

    def tables(self, setting: str) -> Iterator[tuple[str, Settings]]:
        """Yield name and content of the tables that the user named in `setting`, in the order of the file."""
        for name, inner in self._table(setting).items():
            if isinstance(inner, Mapping):
                yield name, Settings(inner, defined=f"{setting}.{ANY}")

    def has(self, setting: str) -> bool:
        """Say whether the document has `setting`."""
        return self.raw(setting) is not None

    def _typed(self, setting: str, wanted: type[_T]) -> _T:
        value = self.raw(setting)
        return value if isinstance(value, wanted) else self._default(setting, wanted)

    def _table(self, setting: str) -> Mapping[str, object]:
        value = self.raw(setting)
        return value if isinstance(value, Mapping) else {}

    def raw(self, setting: str) -> object | None:
        """Return what the document has at `setting`, which need not have been checked."""
        if "." not in setting:
            return self._document.get(setting)
        value: object = self._document
        for part in setting.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _default(self, setting: str, wanted: type[_T]) -> _T:
        default = (children(self._defined)[setting] if self._defined else definition(setting)).default
        if not isinstance(default, wanted):
            raise TypeError(f"{setting} has no default of type {wanted.__name__}")
        return default
