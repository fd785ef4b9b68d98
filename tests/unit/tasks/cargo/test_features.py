from __future__ import annotations

import pytest

from doit_provenance.tasks.cargo.discover import FeatureChoice, enabled

FEATURES = {
    "default": ("std",),
    "std": ("alloc", "dep:leaf"),
    "alloc": (),
    "fips": ("tls", "leaf?/fips"),
    "tls": ("fips", "leaf/tls"),
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (FeatureChoice(), {"default", "std", "alloc"}),
        (FeatureChoice(no_default_features=True), set()),
        (FeatureChoice(no_default_features=True, features=("std",)), {"std", "alloc"}),
        (FeatureChoice(features=("fips",)), {"default", "std", "alloc", "fips", "tls"}),
        (FeatureChoice(all_features=True), set(FEATURES)),
        (FeatureChoice(all_features=True, no_default_features=True), set(FEATURES)),
        (FeatureChoice(no_default_features=True, features=("tea/alloc",)), {"alloc"}),
        (FeatureChoice(no_default_features=True, features=("pot/alloc", "pot?/alloc")), set()),
        (FeatureChoice(no_default_features=True, features=("unknown", "dep:leaf")), set()),
    ],
)
def test_enabled(choice: FeatureChoice, expected: set[str]) -> None:
    assert enabled(choice, "tea", FEATURES) == expected


def test_package_without_features_enables_none() -> None:
    assert enabled(FeatureChoice(features=("fips",)), "tea", {}) == frozenset()


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (FeatureChoice(), []),
        (FeatureChoice(features=("a", "b")), ["--features", "a,b"]),
        (FeatureChoice(all_features=True), ["--all-features"]),
        (FeatureChoice(no_default_features=True, features=("a",)), ["--features", "a", "--no-default-features"]),
    ],
)
def test_arguments(choice: FeatureChoice, expected: list[str]) -> None:
    assert choice.arguments() == expected


def test_optional_dependency_is_enabled_by_its_features() -> None:
    """`leaf/rolled` enables the feature `leaf` of an optional dependency, `leaf?/rolled` does not (The Cargo Book)."""
    features = {"leaf": ("dep:leaf",), "strong": ("leaf/rolled",), "weak": ("leaf?/rolled",)}
    assert enabled(FeatureChoice(features=("strong",)), "tea", features) == {"strong", "leaf"}
    assert enabled(FeatureChoice(features=("weak",)), "tea", features) == {"weak"}


def test_suffix_is_the_sets_name() -> None:
    assert (FeatureChoice().suffix, FeatureChoice(name="fips").suffix) == ("", "+fips")
