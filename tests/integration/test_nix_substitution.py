"""How an output came into the store: built by the run, copied from a cache, or there before; and what is claimed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .pots import CONFIGURATION, SYSTEM, WASH, Pot, pot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

TABLE = 'packages = ["wash"]'
REBUILD = f"{TABLE}\nrebuild = true"
CLOCK = 'sh "wash" "mkdir -p $out/bin; date +%N > $out/bin/wash" { }'


def cache(made: Pot, folder: Path, *, key: Path | None = None) -> str:
    """Fill a binary cache with what the flake builds now, and empty the store; return the cache's address."""
    made.nix("build", "--no-link", ".#wash")
    secret = f"?secret-key={key}" if key else ""
    made.nix("copy", "--to", f"file://{folder}{secret}", ".#wash")
    made.forget_store()
    made.calls()
    return f"file://{folder}"


def key_pair(made: Pot, folder: Path) -> tuple[Path, str]:
    secret = folder / "cache.key"
    secret.write_text(made.nix("key", "generate-secret", "--key-name", "cache-1"), encoding="utf-8")
    public = made.made.run("sh", "-c", f"nix key convert-secret-to-public < '{secret}'").ok().out.strip()
    made.calls()
    return secret, public


def config(*lines: str) -> dict[str, str | None]:
    return {"NIX_CONFIG": CONFIGURATION.replace("substituters =\n", "") + "".join(f"{line}\n" for line in lines)}


def test_what_is_built_says_so(tmp_path: Path) -> None:
    """The run that built it says when, and where."""
    made = pot(tmp_path, table=TABLE)
    made.doit("run").ok()
    origin = made.origin("wash")
    assert (origin["origin"], origin["remoteBuilder"], origin["compared"]) == ("built", None, False)
    assert made.claims_build("wash")
    assert origin["narSha256"] == nar_hash(made)
    assert origin["derivation"] == made.nix("eval", "--raw", ".#wash.drvPath")


def nar_hash(made: Pot) -> str:
    (info,) = json.loads(made.nix("path-info", "--json", ".#wash"))
    return made.nix("hash", "to-base16", info["narHash"])


def test_a_signed_substitute_claims_no_build(tmp_path: Path) -> None:
    """Of a path from a binary cache, the cache and its signatures are named, and no build is claimed."""
    made = pot(tmp_path, table=TABLE)
    secret, public = key_pair(made, tmp_path)
    address = cache(made, tmp_path / "cache", key=secret)
    made.doit("run", env=config(f"substituters = {address}", f"trusted-public-keys = {public}")).ok()
    origin = made.origin("wash")
    assert origin["origin"] == "substituted"
    assert origin["substituter"] == address
    assert [one.partition(":")[0] for one in origin["signatures"]] == ["cache-1"]
    assert not made.claims_build("wash")
    made.doit("verify").ok()
    assert "was copied from a binary cache" in (made.folder("wash") / "wash.inventory.json").read_text("utf-8")


def test_an_unsigned_substitute_is_refused_by_nix(tmp_path: Path) -> None:
    """Nix asks for signatures unless it is told not to: what has none is built here."""
    made = pot(tmp_path, table=TABLE)
    address = cache(made, tmp_path / "cache")
    made.doit("run", env=config(f"substituters = {address}")).ok()
    assert made.origin("wash")["origin"] == "built"


def test_an_unsigned_substitute_that_nix_takes_is_told(tmp_path: Path) -> None:
    """Where the user's configuration takes it, that nobody signed it can be seen."""
    made = pot(tmp_path, table=TABLE)
    address = cache(made, tmp_path / "cache")
    made.doit("run", env=config(f"substituters = {address}", "require-sigs = false")).ok()
    origin = made.origin("wash")
    assert (origin["origin"], origin["substituter"], origin["signatures"]) == ("substituted", address, [])


def test_what_was_in_the_store_claims_no_build(tmp_path: Path) -> None:
    """Somebody has built it, but not this run."""
    made = pot(tmp_path, table=TABLE)
    made.nix("build", "--no-link", ".#wash")
    made.doit("run").ok()
    assert made.origin("wash")["origin"] == "present"
    assert not made.claims_build("wash")
    assert "was in the store already" in (made.folder("wash") / "wash.inventory.json").read_text("utf-8")


def test_rebuilding_supersedes_what_claims_no_build(tmp_path: Path) -> None:
    """With `rebuild`, what was taken on trust is built here, compared, and stated anew, though its bytes are equal."""
    made = pot(tmp_path, table=TABLE)
    made.nix("build", "--no-link", ".#wash")
    made.doit("run").ok()
    before = (made.folder("wash") / "wash").read_bytes()
    made.configure(REBUILD)
    assert made.actions() == {f"nix:wash@{SYSTEM}": ("build", ["setting-changed"])}
    made.doit("run").ok()
    origin = made.origin("wash")
    assert (origin["origin"], origin["compared"]) == ("built", True)
    assert made.claims_build("wash")
    assert (made.folder("wash") / "wash").read_bytes() == before
    made.calls()
    made.doit("run").ok()
    assert made.calls() == []


def test_provenance_of_a_build_outlives_a_look_into_the_store(tmp_path: Path) -> None:
    """What was built stays stated as built, when it is taken from the store once more."""
    made = pot(tmp_path, table=TABLE)
    made.doit("run").ok()
    made.doit("run", "-a").ok()
    assert made.origin("wash")["origin"] == "built"


def test_rebuilding_finds_what_is_not_reproducible(tmp_path: Path) -> None:
    """What comes out different is no artifact, and what was there stays."""
    made = pot(tmp_path, {"wash": CLOCK}, TABLE)
    made.nix("build", "--no-link", ".#wash")
    made.doit("run").ok()
    before = made.made.state()
    made.configure(REBUILD)
    made.doit("run").failed(1, "may not be deterministic", "hint: built again here, it came out different")
    assert made.made.state() == before


def test_rebuilding_does_not_build_twice_what_it_has_just_built(tmp_path: Path) -> None:
    """A build of this run needs no other one beside it."""
    made = pot(tmp_path, {"wash": WASH}, REBUILD)
    made.doit("run").ok()
    assert made.calls().count("build") == 1
    assert made.origin("wash")["compared"] is False
