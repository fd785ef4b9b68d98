"""Pages of build types, held to what builds really say: their example, and the parameters that they explain."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doit_provenance.provenance.attest.slsa import parse_provenance

_PAGES = Path(__file__).parents[2] / "docs" / "build-types"
_EXAMPLE = re.compile(r"(?<=```json\n).*?(?=```)", re.DOTALL)
_VOLATILE = (
    (r"(?<=\")[0-9a-f]{128}(?=\")", "0" * 128),
    (r"(?<=\")[0-9a-f]{64}(?=\")", "0" * 64),
    (r"(?<=\")[0-9a-f]{40}(?=\")", "0" * 40),
    (r"urn:uuid:[0-9a-f-]{36}", "urn:uuid:00000000-0000-4000-8000-000000000000"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
    (r"(?<=\"doit-provenance\": \")[^\"]+", "0.1.0"),
)
"""What differs between two machines or two moments, and values that show its form."""

Replacement = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, by the name of its builder."""

    builder: str

    @property
    def path(self) -> Path:
        return _PAGES / f"{self.builder}.v1.md"

    @property
    def example(self) -> dict[str, Any]:
        """The one example on the page."""
        (text,) = _EXAMPLE.findall(self.path.read_text(encoding="utf-8"))
        found: dict[str, Any] = json.loads(text)
        return found

    def hold(self, predicate: dict[str, Any], build_type: str, *own: Replacement) -> None:
        """Hold that the example equals a real predicate; `UPDATE_DOCS=1` in the environment writes it anew.

        Args:
            predicate: of a build.
            build_type: its URI.
            own: patterns of what else is volatile in it, to what stands on the page; before those of all pages.
        """
        text = json.dumps(predicate, indent=2)
        for pattern, value in (*own, *_VOLATILE):
            text = re.sub(pattern, value, text)
        if os.environ.get("UPDATE_DOCS"):
            page = self.path.read_text(encoding="utf-8")
            self.path.write_text(_EXAMPLE.sub(lambda _: f"{text}\n", page), encoding="utf-8")
        assert json.loads(text) == self.example
        assert parse_provenance(self.example).build_definition.build_type == build_type

    def explains_all(self, *others: str) -> None:
        """Hold that each parameter of the example stands in one of the page's tables, and none that no build writes.

        `others`: names in these tables that this one example has not.
        """
        definition = self.example["buildDefinition"]
        written = {*definition["externalParameters"], *definition["internalParameters"]}
        rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", self.path.read_text(encoding="utf-8"), re.MULTILINE)
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {*written, *others}
