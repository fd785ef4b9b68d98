"""The platforms that provenance.toml names for an image, and what can be wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provenance.errors import did_you_mean, quoted
from ...provenance.platform import ARCHITECTURES, SYSTEMS, Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def wrong_platforms(texts: Sequence[str], at: str) -> Iterator[str]:
    """Yield a line for each mistake in an array of platforms.

    What Go has no name for is one: BuildKit builds for `linux/amd65`, and nothing would run it.

    Args:
        texts: as they are written.
        at: the path of the array, for the messages.
    """
    seen: dict[Platform, str] = {}
    for index, text in enumerate(texts):
        try:
            platform = Platform.parse(text)
        except ValueError as error:
            yield f"{at}[{index}]: {error}"
            continue
        for word, known, what in (
            (platform.os, SYSTEMS, "operating system"),
            (platform.architecture, ARCHITECTURES, "architecture"),
        ):
            if word not in known:
                yield f"{at}[{index}]: {quoted(word)} is no {what} that is known{did_you_mean(word, sorted(known))}"
        if platform in seen:
            yield f"{at}[{index}]: {quoted(text)} is the same platform as {quoted(seen[platform])}"
        seen[platform] = text


def read_platforms(texts: Sequence[str]) -> list[Platform]:
    """Return the platforms that are right, each once; where there are none, the machine's own."""
    found: dict[Platform, None] = {}
    for text in texts:
        try:
            found[Platform.parse(text)] = None
        except ValueError:  # `wrong_platforms` tells it
            continue
    return list(found) or [Platform.of_host()]
