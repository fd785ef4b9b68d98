"""Feature sets: what the user chose, cargo's arguments for it, and which of a package's features that enables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureChoice:
    """One choice of features for a cargo call.

    Attributes:
        name: of the feature set; empty for the one without a name.
        include: globs over binary names that the set is built for.
    """

    name: str = ""
    include: tuple[str, ...] = ("*",)
    features: tuple[str, ...] = ()
    all_features: bool = False
    no_default_features: bool = False

    @property
    def suffix(self) -> str:
        """What the set adds to an artifact's name."""
        return f"+{self.name}" if self.name else ""

    def arguments(self) -> list[str]:
        """Return cargo's arguments."""
        found = ["--features", ",".join(self.features)] if self.features else []
        found += ["--all-features"] if self.all_features else []
        return found + (["--no-default-features"] if self.no_default_features else [])


def enabled(choice: FeatureChoice, package: str, features: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return which of `package`'s own features the choice enables (The Cargo Book, Features).

    `features` is what each feature of the package enables: other features, `dep:NAME`, `NAME/FEATURE`, `NAME?/FEATURE`.
    """
    if choice.all_features:
        return frozenset(features)
    pending = [] if choice.no_default_features else ["default"]
    for feature in choice.features:
        owner, slash, name = feature.partition("/")
        if not slash or owner == package:
            pending.append(name if slash else feature)
    found: set[str] = set()
    while pending:
        feature = pending.pop()
        if feature in features and feature not in found:
            found.add(feature)
            # `NAME/FEATURE` also enables the feature NAME of an optional dependency; `NAME?/FEATURE` does not.
            pending += [one.partition("/")[0] for one in features[feature]]
    return frozenset(found)
