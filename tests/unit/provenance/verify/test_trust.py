"""Whom to trust, and that nothing but a P-256 public key is."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from doit_provenance.provenance.errors import UnreadableError, UsageError
from doit_provenance.provenance.verify.trust import Trust, TrustedKey, trust_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.provenance.sign.key import LocalKey


def test_command_line_keys_exclude_all_others(make_key: Callable[[], LocalKey]) -> None:
    given, team, own = (make_key() for _ in range(3))
    found = trust_for(keys=[given.public_path], configured=[team.public_path], own=own.public_path)
    assert [key.hint for key in found.keys] == [given.hint]
    found = trust_for(keys=[], configured=[team.public_path], own=own.public_path)
    assert [key.hint for key in found.keys] == [team.hint, own.hint]
    assert found.find(given.hint) is None
    assert found.find(own.hint) is found.keys[1]


def test_each_key_says_where_it_came_from(key: LocalKey) -> None:
    for arguments, why in (
        ({"keys": [key.public_path], "configured": [], "own": None}, "given with --key"),
        ({"keys": [], "configured": [key.public_path], "own": key.public_path}, "[signing] public-keys"),
        ({"keys": [], "configured": [], "own": key.public_path}, "your own key"),
    ):
        (found,) = trust_for(**arguments).keys  # type: ignore[arg-type] # each has its own type
        assert found.origin == f"`{key.public_path}` ({why})"


def test_own_key_may_not_be_made_yet_but_named_ones_must_be_there(tmp_path: Path, key: LocalKey) -> None:
    missing = tmp_path / "missing.pub"
    assert len(trust_for(keys=[], configured=[key.public_path], own=missing).keys) == 1
    for keys, configured in (([missing], []), ([], [missing])):
        with pytest.raises(UnreadableError, match=r"missing\.pub"):
            trust_for(keys=keys, configured=configured, own=key.public_path)


def test_an_own_key_out_of_reach_is_not_the_same_as_none(tmp_path: Path, key: LocalKey) -> None:
    loop = tmp_path / "loop.pub"
    loop.symlink_to(loop)
    with pytest.raises(UnreadableError, match=r"loop\.pub"):
        trust_for(keys=[], configured=[key.public_path], own=loop)
    beyond_a_file = key.public_path / "key.pub"
    assert len(trust_for(keys=[], configured=[key.public_path], own=beyond_a_file).keys) == 1


def test_trusting_nobody_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no public key") as caught:
        trust_for(keys=[], configured=[], own=tmp_path / "missing.pub")
    assert "--key" in str(caught.value.hint)
    with pytest.raises(UsageError):
        Trust(keys=())


@pytest.mark.parametrize("kind", ["p384", "ed25519", "rsa"])
def test_other_kinds_of_keys_are_refused(kind: str) -> None:
    private = {
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(UnreadableError, match="not an ECDSA key on P-256"):
        TrustedKey.from_pem(pem, origin="x")


def test_one_public_key_and_nothing_else(key: LocalKey, stranger: LocalKey) -> None:
    pem = key.public_pem
    assert TrustedKey.from_pem(b"\n" + pem.replace(b"\n", b"\r\n"), origin="x").hint == key.hint
    for data, reason in (
        (b"", "not one public key"),
        (b"text\n" + pem, "not one public key"),
        (pem + stranger.public_pem, "not one public key"),
        (pem + b"x", "not one public key"),
        (key.path.read_bytes(), "is a private key"),
        (pem + key.path.read_bytes(), "is a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a readable public key"),
        (b"-----BEGIN PUBLIC KEY-----\n\x00\xff\n-----END PUBLIC KEY-----\n", "not a readable public key"),
    ):
        with pytest.raises(UnreadableError, match=reason):
            TrustedKey.from_pem(data, origin="x")


def test_a_huge_file_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "huge.pem"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UnreadableError, match="larger than"):
        trust_for(keys=[path], configured=[], own=None)


def test_a_point_off_the_curve_is_no_key(key: LocalKey) -> None:
    found = TrustedKey.from_pem(key.public_pem, origin="x")
    off = found.spki[:-1] + bytes([found.spki[-1] ^ 1])
    pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(off) + b"-----END PUBLIC KEY-----\n"
    with pytest.raises(UnreadableError, match="not a readable public key"):
        TrustedKey.from_pem(pem, origin="x")


def test_trust_keeps_the_first_of_equal_keys(tmp_path: Path, key: LocalKey) -> None:
    copies = []
    for number in range(3):
        copy = tmp_path / f"{number}.pub"
        copy.write_bytes(key.public_pem)
        copies.append(copy)
    (found,) = trust_for(keys=copies, configured=[], own=None).keys
    assert "0.pub" in found.origin
