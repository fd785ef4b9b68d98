"""What a forger does to an artifact's folder: all of it is refused, and the message names the file and the reason."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.attest.statement import CYCLONEDX, PROVENANCE, SPDX
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import UnreadableError, VerificationError
from doit_provenance.provenance.verify import evidence
from doit_provenance.provenance.verify.evidence import Measured
from doit_provenance.provenance.verify.verifier import verify_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from doit_provenance.provenance.sign.key import LocalKey
    from doit_provenance.provenance.verify.trust import Trust

ALL = (
    "wash",
    "wash.inventory.json",
    "wash.spdx.json",
    "wash.cdx.json",
    "wash.provenance.sigstore.json",
    "wash.spdx.sigstore.json",
    "wash.cdx.sigstore.json",
    "wash.record.json",
)


def _refused(path: Path, trust: Trust) -> list[str]:
    """Return the lines of the refusal after the first."""
    with pytest.raises(VerificationError, match="is not verified") as caught:
        verify_folder(path, trust=trust)
    return caught.value.message.splitlines()[1:]


def test_the_genuine_folder_verifies(folder: Any, trust: Trust, key: LocalKey) -> None:
    found = verify_folder(folder.write(), trust=trust)
    assert sorted(p.name for p in folder.path.iterdir()) == sorted(ALL)
    assert found.record == folder.record()
    assert found.digest == folder.digest
    assert found.build.build_definition.external_parameters == {"bin": "wash"}
    assert [signer.hint for signer in found.signers] == [key.hint]
    assert [v.statement.predicate_type for v in (found.provenance, found.spdx, found.cyclonedx)] == [
        PROVENANCE,
        SPDX,
        CYCLONEDX,
    ]


def test_a_digest_that_the_caller_computed_spares_hashing_and_nothing_else(folder: Any, trust: Trust) -> None:
    path = folder.write()
    assert verify_folder(path, trust=trust, artifact=Measured.of_file("wash", folder.digest)).digest == folder.digest
    with pytest.raises(VerificationError, match="the statement is about"):
        verify_folder(path, trust=trust, artifact=Measured.of_file("wash", digest_bytes(b"X" * len(folder.artifact))))
    (path / "wash").write_bytes(folder.artifact + b"more")
    with pytest.raises(VerificationError, match="bytes long"):
        verify_folder(path, trust=trust, artifact=Measured.of_file("wash", folder.digest))


@pytest.mark.parametrize("name", ALL)
def test_each_file_is_needed(folder: Any, trust: Trust, name: str) -> None:
    path = folder.write()
    (path / name).unlink()
    if name == "wash.record.json":
        with pytest.raises(UnreadableError, match="not an artifact's folder"):
            verify_folder(path, trust=trust)
    else:
        assert _refused(path, trust) == [f"  `{name}`: missing"]


@pytest.mark.parametrize("name", ALL)
def test_each_flipped_byte_of_each_file_is_refused(folder: Any, trust: Trust, name: str) -> None:
    path = folder.write()
    data = (path / name).read_bytes()
    for index in range(0, len(data), 1 if len(data) < 100 else 13):
        flipped = bytearray(data)
        flipped[index] ^= 0x01
        (path / name).write_bytes(flipped)
        # Three fields of the record are the workspace's own memory and signed nowhere.
        if name == "wash.record.json" and _same_but_for_memory(bytes(flipped), data):
            continue
        with pytest.raises(VerificationError):
            verify_folder(path, trust=trust)


def _same_but_for_memory(one: bytes, two: bytes) -> bool:
    try:
        found = json.loads(one)
    except ValueError:
        return False
    expected = json.loads(two)
    return {**found, "inputs": "", "generator": ""} == {**expected, "inputs": "", "generator": ""}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_regular_files_are_read(folder: Any, trust: Trust, tmp_path: Path, name: str, kind: str) -> None:
    path = folder.write()
    (path / name).rename(tmp_path / "outside")
    match kind:
        case "link":
            (path / name).symlink_to(tmp_path / "outside")
        case "folder":
            (path / name).mkdir()
        case "pipe":
            os.mkfifo(path / name)
    reason = "a symbolic link" if kind == "link" else "not a regular file"
    assert _refused(path, trust) == [f"  `{name}`: {reason}"]
    if name == "wash":
        with pytest.raises(VerificationError, match=reason):
            verify_folder(path, trust=trust, artifact=Measured.of_file("wash", folder.digest))


def test_the_folder_itself_may_be_reached_by_a_link(folder: Any, trust: Trust, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.write())
    assert verify_folder(tmp_path / "link", trust=trust).digest == folder.digest


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_nothing_else_may_stand_in_the_folder(folder: Any, trust: Trust, kind: str) -> None:
    extra = folder.write() / "\x1b[2Jextra"
    match kind:
        case "file":
            extra.write_bytes(b"")
        case "folder":
            extra.mkdir()
        case "link":
            extra.symlink_to("nowhere")
    assert _refused(folder.path, trust) == ["  `\\x1b[2Jextra`: not listed in the record"]


def test_many_strangers_are_counted_not_listed(folder: Any, trust: Trust) -> None:
    path = folder.write()
    for number in range(20):
        (path / f"x{number:02}").write_bytes(b"")
    lines = _refused(path, trust)
    assert len(lines) == 6
    assert lines[-1] == "  15 more files are not listed in the record"


def test_two_records_are_one_too_many(folder: Any, trust: Trust) -> None:
    (folder.write() / "other.record.json").write_bytes(folder.record().to_json())
    with pytest.raises(VerificationError, match="2 records"):
        verify_folder(folder.path, trust=trust)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("wash.spdx.sigstore.json", "wash.cdx.sigstore.json"),
        ("wash.spdx.sigstore.json", "wash.provenance.sigstore.json"),
        ("wash.cdx.sigstore.json", "wash.provenance.sigstore.json"),
    ],
)
def test_a_bundle_never_stands_for_one_of_another_kind(folder: Any, trust: Trust, one: str, two: str) -> None:
    folder.files[one], folder.files[two] = folder.files[two], folder.files[one]
    lines = _refused(folder.write(), trust)
    assert len(lines) == 2
    assert all("the statement is of type" in line for line in lines)
    folder.path.rename(folder.path.with_name("swapped"))
    folder.files[one] = folder.files[two]  # one bundle twice: right in its own place, wrong in the other
    assert any(two in line and "the statement is of type" in line for line in _refused(folder.write(), trust))


def test_evidence_of_another_build_is_refused(folder: Any, trust: Trust) -> None:
    """All files are genuine and the record goes with them; only the artifact is another."""
    folder.artifact = b"another binary"
    lines = _refused(folder.write(), trust)
    assert [line.split("`")[1] for line in lines] == [
        "wash.provenance.sigstore.json",
        "wash.spdx.sigstore.json",
        "wash.cdx.sigstore.json",
    ]
    assert all("the statement is about" in line for line in lines)


def test_a_genuine_artifact_is_not_passed_off_under_another_name(folder: Any, trust: Trust) -> None:
    """The record's id is bound to what is signed; the file's name, which people see and run, is too."""
    path = folder.write()
    for file in list(path.iterdir()):
        file.rename(path / file.name.replace("wash", "sudo"))
    record = path / "sudo.record.json"
    record.write_bytes(record.read_bytes().replace(b'"wash', b'"sudo'))
    lines = _refused(path, trust)
    assert len(lines) == 3
    assert all("the statement is about a file named `wash`" in line for line in lines)


@pytest.mark.parametrize("name", ["wash.spdx.json", "wash.cdx.json"])
def test_an_sbom_is_what_was_signed_to_the_byte(folder: Any, trust: Trust, name: str) -> None:
    folder.files[name] = json.dumps(json.loads(folder.files[name]), indent=8).encode()
    assert _refused(folder.write(), trust) == [f"  `{name}`: it differs from the signed document"]


def test_an_sbom_signed_by_a_stranger_is_refused(folder: Any, trust: Trust, stranger: LocalKey) -> None:
    folder.key = stranger
    folder.tie()
    lines = _refused(folder.write(), trust)
    assert len(lines) == 2
    assert all("not trusted" in line for line in lines)


@pytest.mark.parametrize(
    "properties",
    [
        [{"name": "other", "value": "1"}],
        [{"name": "doit-provenance:inventory-sha256", "value": "0" * 64}],
    ],
)
def test_the_inventory_is_tied_to_what_is_signed(folder: Any, trust: Trust, properties: list[dict[str, str]]) -> None:
    folder.tie(*properties)
    (line,) = _refused(folder.write(), trust)
    assert line.startswith("  `wash.inventory.json`: its sha256 differs from the one")


def test_an_inventory_that_is_named_twice_is_tied_to_nothing(folder: Any, trust: Trust) -> None:
    sha256 = hashlib.sha256(folder.files["wash.inventory.json"]).hexdigest()
    right = {"name": "doit-provenance:inventory-sha256", "value": sha256}
    folder.tie(right)
    verify_folder(folder.write(), trust=trust)
    folder.path.rename(folder.path.with_name("right"))
    folder.tie(right, {"name": "doit-provenance:inventory-sha256", "value": "0" * 64})
    assert "its sha256 differs from the one" in _refused(folder.write(), trust)[0]


def test_another_inventory_is_refused(folder: Any, trust: Trust) -> None:
    folder.files["wash.inventory.json"] += b"\n"
    (line,) = _refused(folder.write(), trust)
    assert line.startswith("  `wash.inventory.json`: its sha256 differs from the one")


@pytest.mark.parametrize(
    ("inventory", "reason"),
    [
        ({"artifact": "cargo:other@x", "digest": {"sha256": "0" * 64}}, "it describes `cargo:other@x`"),
        ({"digest": {}}, "`artifact` is missing"),
        ([], "not a JSON object"),
    ],
)
def test_the_inventory_is_this_artifacts(folder: Any, trust: Trust, inventory: object, reason: str) -> None:
    folder.files["wash.inventory.json"] = json.dumps(inventory).encode()
    folder.tie()
    (line,) = _refused(folder.write(), trust)
    assert reason in line


def test_the_inventory_is_of_these_bytes(folder: Any, trust: Trust) -> None:
    inventory = {"artifact": folder.record().artifact, "digest": {"sha256": "0" * 64}}
    folder.files["wash.inventory.json"] = json.dumps(inventory).encode()
    folder.tie()
    assert _refused(folder.write(), trust) == ["  `wash.inventory.json`: it describes an artifact with another digest"]


def test_the_records_id_is_bound_to_what_is_signed(folder: Any, trust: Trust) -> None:
    (line,) = _refused(folder.write(folder.record(artifact="cargo:wasmcloud@x86_64-unknown-linux-gnu")), trust)
    assert "the record `cargo:wasmcloud@x86_64-unknown-linux-gnu`" in line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: {"file": "other"}, "it is the record of `other`"),
        (lambda _: {"digest": digest_bytes(b"other")}, "the record says sha256:"),
        (lambda record: {"digest": dataclasses.replace(record.digest, size=1)}, "the record says sha256:"),
        (lambda _: {"evidence": {}}, "it does not list exactly the expected evidence"),
        (
            lambda record: {"evidence": record.evidence | {"x": "0" * 64}},
            "it does not list exactly the expected evidence",
        ),
        (
            lambda record: {"evidence": record.evidence | {"wash.spdx.json": "0" * 64}},
            "differs from the one in the record",
        ),
    ],
)
def test_the_record_is_compared_and_not_believed(
    folder: Any, trust: Trust, change: Callable[[Any], dict[str, object]], reason: str
) -> None:
    lines = _refused(folder.write(folder.record(**change(folder.record()))), trust)
    assert any(reason in line for line in lines)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"a":' * 100_000, b" " * (1 << 21)])
def test_a_damaged_record_is_refused(folder: Any, trust: Trust, data: bytes) -> None:
    (folder.write() / "wash.record.json").write_bytes(data)
    (line,) = _refused(folder.path, trust)
    assert line.startswith("  `wash.record.json`:")


def test_provenance_that_slsa_does_not_allow_is_refused(folder: Any, trust: Trust) -> None:
    folder.files["wash.provenance.sigstore.json"] = folder.signed(PROVENANCE, b'{"buildDefinition":{}}')
    (line,) = _refused(folder.write(), trust)
    assert line.startswith("  `wash.provenance.sigstore.json`: the provenance:")


def test_all_that_is_wrong_is_said_at_once(folder: Any, trust: Trust) -> None:
    path = folder.write()
    (path / "wash.spdx.json").unlink()
    (path / "wash.cdx.sigstore.json").write_bytes(b"{}")
    (path / "stray").write_bytes(b"")
    lines = _refused(path, trust)
    for name in ("wash.spdx.json", "wash.cdx.sigstore.json", "stray"):
        assert any(f"`{name}`:" in line for line in lines)


def test_no_file_is_read_beyond_its_limit(folder: Any, trust: Trust) -> None:
    """A sparse file of a terabyte costs nothing to make; reading it would never end."""
    path = folder.write()
    for name in ALL[1:-1]:
        with (path / name).open("r+b") as stream:
            stream.truncate(1 << 40)
    lines = _refused(path, trust)
    assert len([line for line in lines if "larger than the" in line]) == 6


@pytest.mark.parametrize("make", [lambda _: None, lambda path: path.write_bytes(b""), lambda path: path.mkdir()])
def test_what_is_no_artifacts_folder_is_unreadable(
    tmp_path: Path, trust: Trust, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "there")
    with pytest.raises(UnreadableError, match=r"can't read the folder|not an artifact's folder"):
        verify_folder(tmp_path / "there", trust=trust)


def test_no_descriptor_stays_open(folder: Any, trust: Trust) -> None:
    path = folder.write()
    (path / "wash.spdx.json").unlink()
    (path / "wash.spdx.json").mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        _refused(path, trust)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_failure_is_never_swallowed() -> None:
    findings = evidence.Findings()
    for name in ("file", "other"):
        with findings.of(name, evidence.FindingCode.INVALID):
            raise VerificationError("reason", hint="what to do")
    assert str(findings.error("x")) == "`x` is not verified:\n  `file`: reason\n  `other`: reason\nhint: what to do"
