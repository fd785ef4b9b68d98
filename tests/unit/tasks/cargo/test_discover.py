"""Which binaries a repository ships, and which of them one call of cargo builds."""

from __future__ import annotations

from typing import Any

import pytest

from doit_provenance.provenance.errors import ConfigError, ToolError
from doit_provenance.tasks.cargo.discover import FeatureChoice, Group, discover, enabled

HOST = "x86_64-unknown-linux-gnu"


def _ids(groups: tuple[Group, ...]) -> list[str]:
    return [b.artifact.id for g in groups for b in g.binaries]


def _names(groups: tuple[Group, ...]) -> list[str]:
    return [b.artifact.name for g in groups for b in g.binaries]


def test_every_binary_of_the_workspace_in_one_group(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries=["tea", "pot"])
    cargo.package("mug")
    (group,) = discover(configured())
    assert _ids((group,)) == [f"cargo:mug@{HOST}", f"cargo:pot@{HOST}", f"cargo:tea@{HOST}"]
    assert (group.id, group.triple, group.platform, group.profile) == (f"cargo@{HOST}/release", None, HOST, "release")
    assert [p.name for p in group.packages] == ["mug", "tea"]
    assert {b.artifact.file for b in group.binaries} == {"mug", "pot", "tea"}


def test_selection_names_packages_beyond_doubt_and_no_binary(cargo: Any, configured: Any) -> None:
    """What is stale never decides which packages and features are built together."""
    cargo.package("tea", features={"fips": []})
    cargo.package("mug")
    (group,) = discover(configured('[cargo]\nfeatures = ["tea/fips"]\nprofile = "dist"\n'))
    ids = [p.id for p in group.packages]
    assert group.selection() == [
        *("--manifest-path", str(cargo.root / "Cargo.toml"), "--locked", "--profile", "dist"),
        *("--package", ids[0], "--package", ids[1], "--features", "tea/fips"),
    ]


def test_no_manifest_at_all_is_nothing_to_build(cargo: Any, configured: Any) -> None:
    assert discover(configured()) == ()
    assert cargo.calls == []


def test_workspace_without_binaries(cargo: Any, configured: Any) -> None:
    cargo.package("leaf", binaries={})
    assert discover(configured()) == ()


def test_include_and_exclude(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries=["tea", "tea-bench", "pot-provider", "pot"])
    found = discover(configured('[cargo]\ninclude = ["tea*", "*-provider"]\nexclude = ["*-bench"]\n'))
    assert _names(found) == ["pot-provider", "tea"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[cargo]\ninclude = ["tae"]\n', "cargo.include: `tae` matches no binary; did you mean `tea`?"),
        ('[cargo]\ninclude = ["*", "xyz-*"]\n', "cargo.include: `xyz-*` matches no binary"),
        (
            '[cargo.feature-sets.fips]\ninclude = ["tae"]\n',
            "cargo.feature-sets.fips.include: `tae` matches no binary; did you mean `tea`?",
        ),
        ('[cargo.rename]\n"tea/tae" = "x"\n', "cargo.rename: `tea/tae` is no binary; did you mean `tea/tea`?"),
        ('[cargo.rename]\n"te/Cargo.toml#tea" = "x"\n', "did you mean `tea/Cargo.toml#tea`?"),
        ('[cargo]\nmanifests = ["x/Cargo.toml"]\n', "cargo.manifests: `x/Cargo.toml` matches no file"),
    ],
)
def test_each_pattern_must_match(cargo: Any, configured: Any, text: str, message: str) -> None:
    cargo.package("tea")
    with pytest.raises(ConfigError) as caught:
        discover(configured(text))
    assert message in caught.value.message


def test_pattern_without_a_manifest_matches_nothing(cargo: Any, configured: Any) -> None:
    with pytest.raises(ConfigError, match="`tea` matches no binary"):
        discover(configured('[cargo]\ninclude = ["tea"]\n'))
    assert cargo.calls == []


def test_renames(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries=["tea", "pot"], folder="crates/tea")
    text = '[cargo.rename]\n"tea/tea" = "green"\n"crates/tea/Cargo.toml#pot" = "brown"\n'
    found = discover(configured(text))
    assert {(b.artifact.name, b.target, b.artifact.file) for g in found for b in g.binaries} == {
        ("green", "tea", "tea"),
        ("brown", "pot", "pot"),
    }


def test_rename_to_what_can_be_no_name(cargo: Any, configured: Any) -> None:
    cargo.package("tea")
    with pytest.raises(ConfigError):
        discover(configured('[cargo.rename]\n"tea/tea" = "a b"\n'))


def test_two_of_one_name_are_refused_with_the_way_out(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries=["serve"])
    cargo.package("mug", binaries=["serve"])
    with pytest.raises(ConfigError) as caught:
        discover(configured())
    assert f"two binaries would be `cargo:serve@{HOST}`: `mug/serve` and `tea/serve`" in caught.value.message
    assert caught.value.hint is not None
    found = discover(configured('[cargo.rename]\n"tea/serve" = "tea-serve"\n'))
    assert sorted(_names(found)) == ["serve", "tea-serve"]


def test_packages_with_a_binary_of_one_name_are_never_in_one_call(cargo: Any, configured: Any) -> None:
    """One call would write both to one file. It is so even where only one of the two is shipped from each."""
    cargo.package("tea", binaries=["serve", "tea"])
    cargo.package("mug", binaries=["serve"])
    cargo.package("pot")
    groups = discover(configured('[cargo.rename]\n"tea/serve" = "tea-serve"\n'))
    assert [g.id for g in groups] == [f"cargo@{HOST}/release", f"cargo@{HOST}/release#1"]
    for group in groups:
        targets = [b.target for b in group.binaries]
        assert len(set(targets)) == len(targets)
        assert {b.artifact.group for b in group.binaries} == {group.id}
    assert sorted(_names(groups)) == ["pot", "serve", "tea", "tea-serve"]
    assert not any({"tea", "mug"} <= {p.name for p in g.packages} for g in groups)


def test_required_features_decide(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries={"tea": [], "sealed": ["fips"]}, features={"fips": [], "all": ["fips"]})
    assert _names(discover(configured())) == ["tea"]
    assert _names(discover(configured('[cargo]\nfeatures = ["all"]\n'))) == ["sealed", "tea"]


def test_binary_that_is_named_must_be_buildable(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries={"tea": [], "sealed": ["fips", "tls"]}, features={"fips": [], "tls": []})
    with pytest.raises(ConfigError, match="`sealed` of package `tea` requires features that are off: fips, tls"):
        discover(configured('[cargo]\ninclude = ["tea", "sealed"]\n'))
    assert _names(discover(configured('[cargo]\ninclude = ["*"]\n'))) == ["tea"]


def test_binary_that_is_named_may_be_built_by_a_feature_set_alone(cargo: Any, configured: Any) -> None:
    """As the hint of the error above says."""
    cargo.package("tea", binaries={"tea": [], "sealed": ["fips"]}, features={"fips": []})
    text = '[cargo]\ninclude = ["tea", "sealed"]\n[cargo.feature-sets.fips]\nfeatures = ["fips"]\n'
    assert _names(discover(configured(text + 'include = ["sealed"]\n'))) == ["tea", "sealed+fips"]
    with pytest.raises(ConfigError, match="`sealed` of package `tea` requires"):
        discover(configured(text.replace('features = ["fips"]', "features = []") + 'include = ["sealed"]\n'))


def test_feature_sets_are_groups_of_their_own(cargo: Any, configured: Any) -> None:
    cargo.package("tea", binaries=["tea", "pot"], features={"fips": []})
    plain, fips = discover(configured('[cargo.feature-sets.fips]\nfeatures = ["fips"]\ninclude = ["tea"]\n'))
    assert (_names((plain,)), _names((fips,))) == (["pot", "tea"], ["tea+fips"])
    assert fips.id == f"cargo@{HOST}/release+fips"
    assert fips.selection()[-2:] == ["--features", "fips"]
    assert "--features" not in plain.selection()


def test_targets_are_groups_of_their_own(cargo: Any, configured: Any) -> None:
    cargo.package("tea")
    found = discover(configured('[cargo]\ntargets = ["x86_64-pc-windows-gnu", "aarch64-unknown-linux-musl"]\n'))
    assert [(g.triple, g.platform) for g in found] == [(g.platform, g.platform) for g in found]
    assert [g.binaries[0].artifact.file for g in found] == ["tea.exe", "tea"]
    assert _ids(found)[1] == "cargo:tea@aarch64-unknown-linux-musl"


@pytest.mark.parametrize(
    ("triple", "platform"),
    [
        ("x86_64-unknown-linux-gnu.2.17", "x86_64-unknown-linux-gnu"),
        ("armv7-unknown-linux-gnueabihf.2.31", "armv7-unknown-linux-gnueabihf"),
        ("x86_64-unknown-linux-gnux32.2.17", "x86_64-unknown-linux-gnux32"),
        ("aarch64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
        ("thumbv8m.main-none-eabi", "thumbv8m.main-none-eabi"),
    ],
)
def test_glibc_version_of_zigbuild_is_no_part_of_the_platform(
    cargo: Any, configured: Any, triple: str, platform: str
) -> None:
    cargo.package("tea")
    (group,) = discover(configured(f'[cargo]\ntool = "cargo-zigbuild"\ntargets = ["{triple}"]\n'))
    assert (group.triple, group.platform) == (triple, platform)
    assert _ids((group,)) == [f"cargo:tea@{platform}"]


@pytest.mark.parametrize(
    ("build", "triples"),
    [
        ({}, [None]),
        ({"target": "aarch64-unknown-linux-musl"}, ["aarch64-unknown-linux-musl"]),
        ({"target": ["aarch64-unknown-linux-musl"]}, ["aarch64-unknown-linux-musl"]),
        ({"target": ["a-b-c", "d-e-f"]}, ["a-b-c", "d-e-f"]),
    ],
)
def test_target_of_cargos_configuration(cargo: Any, configured: Any, build: object, triples: list[str | None]) -> None:
    cargo.package("tea")
    cargo.config = {"build": build}
    assert [group.triple for group in discover(configured())] == triples


def test_several_workspaces(cargo: Any, configured: Any) -> None:
    cargo.package("tea")
    cargo.package("mug", workspace="mugs")
    cargo.package("lid", workspace="mugs")
    found = discover(configured('[cargo]\nmanifests = ["Cargo.toml", "mugs/**/Cargo.toml"]\n'))
    assert [g.id for g in found] == [f"cargo@{HOST}/release", f"cargo/mugs@{HOST}/release"]
    assert [g.root for g in found] == [cargo.root, cargo.root / "mugs"]
    assert _names(found) == ["tea", "lid", "mug"]
    asked = [argv for argv, _ in cargo.calls if argv[:2] == ["cargo", "metadata"]]
    assert len(asked) == 2, "members are known from their workspace"


def test_member_before_its_workspace_is_the_same_workspace(cargo: Any, configured: Any) -> None:
    cargo.package("tea")
    cargo.package("mug")
    found = discover(configured('[cargo]\nmanifests = ["tea/Cargo.toml", "mug/Cargo.toml", "Cargo.toml"]\n'))
    assert _names(found) == ["mug", "tea"]


def test_environment_is_what_cargo_gives_to_a_packages_code(cargo: Any, configured: Any) -> None:
    place = cargo.package("tea", version="1.2.3-rc.1+up")
    (group,) = discover(configured())
    environment = group.packages[0].environment
    numbers = [environment[f"CARGO_PKG_VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH", "PRE")]
    assert numbers == ["1", "2", "3", "rc.1"]
    assert environment["CARGO_PKG_AUTHORS"] == "Ada <ada@tea.example>:Bob"
    assert environment["CARGO_MANIFEST_DIR"] == str(place)
    assert (environment["CARGO_PKG_LICENSE"], environment["CARGO_PKG_DESCRIPTION"]) == ("MIT", "")


@pytest.mark.parametrize("damage", ["id", "name", "version", "manifest_path", "features", "targets"])
def test_metadata_of_another_shape(cargo: Any, configured: Any, damage: str) -> None:
    cargo.package("tea")
    for packages in cargo.members.values():
        del packages[0][damage]
    with pytest.raises(ToolError, match="`cargo metadata` answered in a shape that is not known"):
        discover(configured())


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
