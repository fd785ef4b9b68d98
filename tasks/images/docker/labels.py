"""Which labels an image has of its own: the others come with its base, and say something of that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ....provenance.json import JSONValue


def without_inherited(config: Mapping[str, JSONValue], dockerfile: str) -> Mapping[str, JSONValue]:
    """Return an image's configuration with the labels alone whose keys stand in its Dockerfile.

    A distribution's image says whence and which version *it* is (`org.opencontainers.image.source` and `.version`), and
    BuildKit hands that down to all that is built on it. The configuration itself stays as it is: annotations follow
    from what is returned here.
    """
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(labels, dict):
        return config
    own = {key: value for key, value in labels.items() if key in dockerfile}
    return {**config, "config": {**inner, "Labels": own}}
