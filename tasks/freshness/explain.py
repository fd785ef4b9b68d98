"""Why an artifact is fresh or stale: the answer, and the inputs that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from .answer import Answer
    from .inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What is known of one artifact.

    Attributes:
        answer: what would be done with it.
        recorded: inputs of the last build; empty: not known.
        now: the same inputs and those that are new, with their values now; an upstream artifact whose digest nobody
            knows before it was built is missing.
        built: when the run ended that built the bytes, as its signed provenance says; `None`: nothing proves itself.
        invocation: that run's id.
        confirmed: when the artifact was last built or attested in this workspace, as RFC 3339; empty: not remembered.
    """

    answer: Answer
    recorded: Inputs
    now: Inputs
    built: datetime | None = None
    invocation: str = ""
    confirmed: str = ""
