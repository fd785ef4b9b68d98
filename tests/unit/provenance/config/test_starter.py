"""The starter file changes nothing until it is edited, and each of its lines can be taken as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.config import parse
from doit_provenance.provenance.config.model import all_keys
from doit_provenance.provenance.config.schema import ANY, NamedTables, Table
from doit_provenance.provenance.config.starter import starter
from doit_provenance.provenance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from doit_provenance.provenance.config import Config

WORKSPACE = Path("/workspace")
SETTING = re.compile(r'#([a-z][a-zA-Z0-9_."/*-]* = .*)')


def read(text: str) -> Config:
    return parse(text.encode(), workspace=WORKSPACE)


def commented(text: str) -> list[str]:
    """Return the settings of `text` that are commented out."""
    return [match[1] for match in map(SETTING.fullmatch, text.splitlines()) if match]


def test_it_reads_as_the_defaults() -> None:
    assert read(starter()) == read("")


def test_it_shows_every_key() -> None:
    """Each key that can be set stands there, commented out."""
    leaves = [key for key in all_keys().values() if not isinstance(key.kind, Table | NamedTables)]
    assert len(commented(starter())) == len(leaves)
    for key in leaves:
        assert key.path.split(".")[-1] in starter()


def test_it_says_what_a_missing_setting_means() -> None:
    """Where no value stands for the default, words do; a setting that its table needs has no default."""
    text = " ".join(starter().replace("\n# ", " ").split())
    assert "Default: the git remote, without the credentials that it may hold." in text
    assert "Default: an error" not in text
    assert "Default: ." not in text
    assert '#feature-sets.fips.features = ["fips"]\n' in starter()


def test_all_of_it_can_be_taken() -> None:
    """With every `#` before a setting taken away it is still right, and every setting is from the file."""
    text = "\n".join(SETTING.sub(r"\1", line) for line in starter().splitlines())
    text = text.replace('key = "~/', 'key = "/')
    read(text)
    assert set(_settings(tomllib.loads(text))) == ALL


ALL = {key.path for key in all_keys().values() if not isinstance(key.kind, Table | NamedTables)}


def _settings(table: Mapping[str, object], at: str = "") -> Iterator[str]:
    """Yield the settings that stand in a document, with `NAME` for the names that its author chose."""
    for name, value in table.items():
        path = re.sub(r"\.(?:fips|wheel|wash)\.", f".{ANY}.", f"{at}{name}")
        if isinstance(value, dict) and path not in ALL:
            yield from _settings(value, f"{at}{name}.")
        else:
            yield path


@pytest.mark.parametrize("line", commented(starter()))
def test_each_line_stands_for_itself(line: str) -> None:
    """One line alone, taken from its comment, sets what it says, whatever is commented out above it."""
    text = starter().replace(f"#{line}\n", f"{line}\n")
    if line.startswith("supplier.") and not line.startswith("supplier.name"):
        text = text.replace("#supplier.name", "supplier.name")
    if line.startswith("wheel."):
        for needed in ("run", "inputs", "outputs"):
            text = text.replace(f"#wheel.{needed}", f"wheel.{needed}")
    text = text.replace('key = "~/', 'key = "/')
    read(text)
    name = re.sub(r"\b(?:fips|wheel|wash)\.", f"{ANY}.", line.partition(" = ")[0].split('."')[0])
    taken = {name, name.rpartition(".")[0]}  # of a table whose names the user gives, the line has one
    assert any(setting.partition(".")[2] in taken for setting in _settings(tomllib.loads(text)))


def test_what_stands_at_its_default_is_the_default() -> None:
    """A line that shows a default, taken from its comment, changes nothing."""
    shown = [line for line in commented(starter()) if line.partition(" = ")[0] in {"output", "profile", "tool", "mode"}]
    assert len(shown) == 4
    text = starter()
    for line in shown:
        text = text.replace(f"#{line}\n", f"{line}\n")
    assert set(_settings(tomllib.loads(text))) == {"project.output", "cargo.profile", "cargo.tool", "signing.mode"}
    assert read(text) == read("")


def test_what_was_found_is_written() -> None:
    """What was found is set; what was seen is said above the setting that it is about."""
    text = starter(
        {
            "cargo.manifests": ('r"us\\t/Cargo.toml', "ü/Cargo.toml"),
            "cargo.all-features": True,
            "cargo.rename": {"a/x": "x1", "b/x": "x2"},
            "project.name": "näme",
        },
        notes={"cargo.include": ["Found: `wash`,\n[cargo]\x1b[2J."], "cargo": ["Two workspaces."]},
    )
    config = read(text)
    assert config.cargo.manifests == ('r"us\\t/Cargo.toml', "ü/Cargo.toml")
    assert config.cargo.all_features is True
    assert dict(config.cargo.rename) == {"a/x": "x1", "b/x": "x2"}
    assert config.project.name == "näme"
    assert set(_settings(tomllib.loads(text))) == {
        "cargo.manifests",
        "cargo.all-features",
        "cargo.rename",
        "project.name",
    }
    assert '# Found: `wash`, [cargo] [2J.\n#include = ["*"]\n' in text
    assert "# Two workspaces.\n[cargo]\n" in text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"project.source": "https://u:hunter2@example.com/x"}, "project.source: expected a URL without credentials"),
        ({"cargo.manifests": ("../Cargo.toml",)}, r"cargo.manifests\[0\]: expected a path without `..`"),
        ({"cargo.manifests": ("\udcff/Cargo.toml",)}, r"not UTF-8: `manifests = \[\"\\udcff/Cargo.toml\"\]`"),
    ],
)
def test_what_was_found_and_is_not_taken(found: Mapping[str, str | tuple[str, ...]], said: str) -> None:
    """`doit init` never writes a file that the next command refuses, nor a secret out of a git remote."""
    with pytest.raises(ConfigError, match=said) as caught:
        starter(found)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("setting", ["cargo.profil", "cargo", "cargo.feature-sets.NAME.features", "cargo.feature-sets"])
def test_settings_that_do_not_exist(setting: str) -> None:
    """A slip in the program is an error, never a line that is silently left out."""
    with pytest.raises(KeyError):
        starter({setting: "x"})


def test_schema_line_names_the_published_schema() -> None:
    """Editors read it in the first line; to TOML it is a comment."""
    first = starter().splitlines()[0]
    assert first == "#:schema https://github.com/doit-provenance/doit-provenance/raw/main/docs/provenance.schema.json"
    assert set(tomllib.loads(starter())) == {"project", "cargo", "command", "docker", "oci", "nix", "signing", "plan"}
