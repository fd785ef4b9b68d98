"""Facts found in earlier runs, kept by whoever runs builders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..provenance.json import JSONValue


class Memory(Protocol):
    """Facts found in earlier runs, each with what proves that it still holds; losing any of them costs time only."""

    def get(self, key: str) -> JSONValue:
        """Return the remembered value of a key; `None` if there is none that can be trusted."""

    def put(self, key: str, value: JSONValue) -> None:
        """Remember a value; where nothing may be written, until the process ends."""


class ShortMemory:
    """A memory that ends with the process."""

    def __init__(self) -> None:
        self._values: dict[str, JSONValue] = {}

    def get(self, key: str) -> JSONValue:
        """Return the remembered value of a key, or `None`."""
        return self._values.get(key)

    def put(self, key: str, value: JSONValue) -> None:
        """Remember a value."""
        self._values[key] = value
