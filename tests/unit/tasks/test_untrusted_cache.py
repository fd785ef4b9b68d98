"""What a cache that is not trusted brings makes a run neither write elsewhere nor sign what is made of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.attest.bundle import Bundle
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import VerificationError
from doit_provenance.provenance.process import SECRET_VARIABLES
from doit_provenance.provenance.record import Record
from doit_provenance.tasks.artifacts import Artifact
from doit_provenance.tasks.freshness.answer import Code, Stale
from doit_provenance.tasks.freshness.inputs import UNSET, digest_of, to_json, variable
from doit_provenance.tasks.pipeline.outcome import Done
from doit_provenance.tasks.progress.logs import Logs

if TYPE_CHECKING:
    from pathlib import Path

    from doit_provenance.provenance.sign.key import LocalKey


@pytest.fixture
def chain(kitchen: Any) -> Any:
    """Return a kitchen where leaf goes into pot, both made."""
    kitchen.kettle.names = ["leaf", "pot"]
    kitchen.kettle.upstream = {"pot": ("leaf",)}
    kitchen.kettle.measured = {name: (f"file:src/{name}",) for name in kitchen.kettle.names}
    (kitchen.root / "src").mkdir()
    kitchen.run()
    return kitchen


def _forge(place: Path) -> None:
    """Put other bytes there, with a record that names them."""
    (place / "leaf").write_bytes(b"poison")
    path = place / "leaf.record.json"
    digest = digest_bytes(b"poison")
    record = json.loads(path.read_bytes())
    record["digest"] = {"sha256": digest.sha256, "sha512": digest.sha512, "size": digest.size}
    path.write_text(json.dumps(record, sort_keys=True, indent=2) + "\n")


@pytest.mark.parametrize("edited", [False, True])
def test_single_run_makes_nothing_of_forged_upstream(chain: Any, *, edited: bool) -> None:
    """`doit run --single` builds nothing upstream, and what it finds there has to hold."""
    _forge(chain.place("leaf"))
    if edited:
        (chain.root / "src" / "pot").write_text("large\n")
    session = chain.session(runs=True)
    session.selected = [chain.id("pot")]
    pot = session.artifacts[chain.id("pot")]
    called = len(chain.called)
    assert session.is_fresh(pot) is False
    with pytest.raises(VerificationError, match="`kettle:leaf@linux/amd64`, which goes into it, does not hold: record"):
        session.make(pot)
    session.close()
    assert chain.called == chain.called[:called], "nothing was built of it"


def test_single_run_builds_of_upstream_that_holds(chain: Any) -> None:
    (chain.root / "src" / "pot").write_text("large\n")
    session = chain.session(runs=True)
    session.selected = [chain.id("pot")]
    pot = session.artifacts[chain.id("pot")]
    assert session.is_fresh(pot) is False
    session.make(pot)
    session.close()
    assert chain.called[-1] == "pot"


@pytest.mark.parametrize("forged", [False, True])
def test_single_run_joins_what_came_from_another_machine(chain: Any, *, forged: bool) -> None:
    """Its folder alone came, with evidence that holds: nobody here knows what it was built from, and need not."""
    shutil.rmtree(chain.root / ".provenance")
    (chain.root / "src" / "pot").write_text("large\n")
    if forged:
        _forge(chain.place("leaf"))
    session = chain.session(runs=True)
    session.selected = [chain.id("pot")]
    pot = session.artifacts[chain.id("pot")]
    assert session.is_fresh(pot) is False
    chain.kettle.calls.clear()
    if forged:
        with pytest.raises(VerificationError, match="`kettle:leaf@linux/amd64`, which goes into it, does not hold"):
            session.make(pot)
    else:
        session.make(pot)
    session.close()
    assert chain.called == ([] if forged else ["pot"])


def test_run_removes_links_to_folders_from_its_state(chain: Any) -> None:
    victim = chain.root.parent / "victim"
    victim.mkdir()
    state = chain.root / ".provenance"
    (state / "kettle").mkdir()
    for link in (state / "cargo", state / "kettle" / "pot"):
        link.symlink_to(victim)
    chain.plan()
    assert (state / "cargo").is_symlink(), "a plan changes nothing"
    chain.run()
    assert not (state / "cargo").is_symlink()
    assert not (state / "kettle" / "pot").is_symlink()
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("link", ["logs", "logs/kettle", "logs/kettle/tea"])
def test_no_log_is_written_or_removed_through_a_link(tmp_path: Path, link: str) -> None:
    state, victim = tmp_path / "state", tmp_path / "victim"
    tea = Artifact(builder="kettle", name="tea", platform="any", group="kettle", file="tea")
    path = victim / Logs(state / "logs", print).path(tea).relative_to(state / link)
    path.parent.mkdir(parents=True)
    path.write_text("precious")
    (state / link).parent.mkdir(parents=True)
    (state / link).symlink_to(victim)
    told: list[OSError] = []
    log = Logs(state / "logs", told.append).open([tea])
    log.write("hot\n")
    log.close()
    assert path.read_text() == "precious"
    assert [(error.strerror, error.filename) for error in told] == [
        ("Too many levels of symbolic links", str(state / link))
    ]


@pytest.mark.parametrize("record", ["there", "gone", "of another"])
def test_provenance_of_another_artifact_with_the_same_bytes_is_not_kept(chain: Any, key: LocalKey, record: str) -> None:
    """A statement names bytes and a file, which two artifacts may have alike, and not the artifact."""
    place = chain.place("leaf")
    path = place / "leaf.provenance.sigstore.json"
    payload = Bundle.from_json(path.read_bytes()).envelope.payload
    statement = json.loads(payload)
    parameters = dict(statement["predicate"]["buildDefinition"]["externalParameters"])
    statement["predicate"]["buildDefinition"]["externalParameters"] = {"another": True}
    foreign = json.dumps(statement, separators=(",", ":")).encode()
    bundle = key.sign_statement(foreign)
    path.write_bytes(bundle)
    found = Record.from_json((place / "leaf.record.json").read_bytes())
    evidence = dict(found.evidence) | {path.name: digest_bytes(bundle).sha256}
    if record == "gone":
        (place / "leaf.record.json").unlink()
    elif record == "of another":
        other = replace(found, artifact="kettle:other@linux/amd64", evidence=evidence, seal=None)
        (place / "leaf.record.json").write_bytes(key.sign_record(other).to_json())
    assert chain.run()["leaf"].done is Done.BUILT
    told = json.loads(Bundle.from_json(path.read_bytes()).envelope.payload)
    assert told["predicate"]["buildDefinition"]["externalParameters"] == parameters


def test_inputs_of_a_kind_that_only_a_later_version_knows(chain: Any) -> None:
    later = {"image:base": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for module in ("freshness.inputs", "pipeline.produce"):
            patch.setattr(f"doit_provenance.tasks.{module}.digest_of", lambda inputs: digest_of({**inputs, **later}))
        patch.setattr("doit_provenance.tasks.freshness.inputs.to_json", lambda inputs: to_json({**inputs, **later}))
        patch.setattr("doit_provenance.tasks.freshness.freshness.VERSION", "99")
        chain.run(always=True)
    answer = chain.plan()["leaf"]
    assert isinstance(answer, Stale)
    assert Code.INPUTS_UNKNOWN in {reason.code for reason in answer.reasons}
    assert chain.run()["leaf"].done is Done.REBUILT


@pytest.mark.parametrize("name", sorted(SECRET_VARIABLES))
def test_no_digest_of_what_leads_to_a_signing_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build script may ask for any variable to be watched; this one it never sees, and digests can be guessed."""
    monkeypatch.setenv(name, "hunter2")
    assert variable(name) == UNSET
