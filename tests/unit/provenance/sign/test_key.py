"""The local key: made once, outside the repository, never in CI, and never shown."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from doit_provenance.provenance.attest.bundle import Bundle, KeyMaterial
from doit_provenance.provenance.attest.dsse import pae
from doit_provenance.provenance.attest.statement import PAYLOAD_TYPE
from doit_provenance.provenance.digest import digest_bytes
from doit_provenance.provenance.errors import KeyFileError, UnreadableError
from doit_provenance.provenance.record import RECORD_PAYLOAD_TYPE, Record
from doit_provenance.provenance.sign import keyfile
from doit_provenance.provenance.sign.key import LocalKey, load_key, load_or_create
from doit_provenance.provenance.sign.keyfile import default_key_path, is_ci, public_path
from doit_provenance.provenance.sign.passphrase import PassphraseSource
from doit_provenance.provenance.verify.trust import TrustedKey

NOBODY = PassphraseSource(environ={}, prompt=None)
SECRET = "correct horse battery"  # noqa: S105 - of no key but those made here


def _with(secret: str) -> PassphraseSource:
    return PassphraseSource(environ={"DOIT_PROVENANCE_PASSPHRASE": secret}, prompt=None)


def _create(path: Path, passphrase: PassphraseSource = NOBODY) -> LocalKey:
    return load_or_create(path, passphrase, workspace=None, environ={})


def _private(path: Path, pem: bytes) -> Path:
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_made_at_first_use_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "config" / "key.pem"
    key = _create(path)
    assert (_mode(path), _mode(path.parent)) == (0o600, 0o700)
    assert sorted(p.name for p in path.parent.iterdir()) == ["key.pem", "key.pub"]
    assert (path.parent / "key.pub").read_bytes() == key.public_pem
    before = path.read_bytes()
    assert _create(path) == key
    assert path.read_bytes() == before


def test_the_public_key_says_what_the_hint_says(tmp_path: Path) -> None:
    key = _create(tmp_path / "key.pem")
    public = load_pem_public_key(key.public_pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"


def test_signs_exactly_these_bytes(tmp_path: Path) -> None:
    key = _create(tmp_path / "key.pem")
    statement = b'{"any": "bytes"}\n'
    bundle = Bundle.from_json(key.sign_statement(statement))
    assert bundle.envelope.payload == statement
    assert bundle.envelope.payload_type == PAYLOAD_TYPE
    assert bundle.material == KeyMaterial(hint=key.hint)


def test_seals_the_record_and_nothing_else_with_that(tmp_path: Path) -> None:
    """Its payload type is its own, so no seal is a statement's signature, and no statement's is a seal."""
    key = _create(tmp_path / "key.pem")
    record = Record(
        artifact="cargo:wash@any",
        file="wash",
        digest=digest_bytes(b"wash"),
        inputs="0" * 64,
        evidence={},
        generator="0.1.0",
    )
    sealed = key.sign_record(record)
    assert sealed.seal is not None
    assert sealed.seal.hint == key.hint
    assert sealed.payload() == record.payload()
    assert Record.from_json(sealed.to_json()) == sealed
    trusted = TrustedKey.from_pem(key.public_pem, origin="")
    assert trusted.verifies(sealed.seal.signature, pae(RECORD_PAYLOAD_TYPE, record.payload()))
    assert not trusted.verifies(sealed.seal.signature, pae(PAYLOAD_TYPE, record.payload()))
    assert not trusted.verifies(sealed.seal.signature, record.payload())


def test_never_made_in_ci_but_used_there(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(KeyFileError, match="none is created in CI") as caught:
        load_or_create(path, NOBODY, workspace=None, environ={"CI": "true"})
    assert "DOIT_PROVENANCE_KEY" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
    key = _create(path)
    assert load_or_create(path, NOBODY, workspace=None, environ={"CI": "true"}) == key


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"CI": ""}, False),
        ({"CI": "false"}, False),
        ({"CI": "0"}, False),
        ({"CI": "1"}, True),
        ({"CI": "True"}, True),
        ({"CI": "woodpecker"}, True),
        ({"GITHUB_ACTIONS": "true"}, True),
        ({"JENKINS_URL": "https://example.com"}, True),
    ],
)
def test_recognises_ci(environ: dict[str, str], *, expected: bool) -> None:
    assert is_ci(environ) is expected


@pytest.mark.parametrize("where", ["key.pem", "deep/in/it/key.pem", "link/key.pem"])
def test_never_made_inside_the_repository(tmp_path: Path, where: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "link").symlink_to(workspace)
    path = tmp_path / where if where.startswith("link") else workspace / where
    with pytest.raises(KeyFileError, match="inside the repository"):
        load_or_create(path, NOBODY, workspace=workspace, environ={})
    assert list(workspace.iterdir()) == []


def test_never_made_where_everybody_may_replace_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(KeyFileError, match="world-writable"):
        _create(tmp_path / "key.pem")
    tmp_path.chmod(0o1777)
    assert _create(tmp_path / "key.pem").path.exists()


def test_many_at_once_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "config" / "key.pem"
    start, keys, errors = threading.Barrier(8), [], []

    def run() -> None:
        start.wait()
        try:
            keys.append(_create(path))
        except KeyFileError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(keys) == 8
    assert {key.hint for key in keys} == {load_key(path, NOBODY).hint}
    assert sorted(p.name for p in path.parent.iterdir()) == ["key.pem", "key.pub"]


def test_creation_never_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    assert keyfile.create_private(path, b"first")
    assert not keyfile.create_private(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]


def test_a_failed_creation_is_our_error_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="No space left"):
        _create(tmp_path / "key.pem")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFileError, match="can't create"):
        _create(tmp_path / "file" / "key.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601, 0o644, 0o666])
def test_refuses_a_key_that_others_can_use(tmp_path: Path, mode: int) -> None:
    path = _create(tmp_path / "key.pem").path
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"mode {mode:04o}") as caught:
        load_key(path, NOBODY)
    assert caught.value.hint == f"chmod 600 '{path}'"


def test_a_link_of_ones_own_is_followed_and_what_it_leads_to_is_judged(tmp_path: Path) -> None:
    key = _create(tmp_path / "key.pem")
    link = tmp_path / "link.pem"
    link.symlink_to(key.path)
    assert load_key(link, NOBODY).hint == key.hint
    key.path.chmod(0o644)
    with pytest.raises(KeyFileError, match="mode 0644"):
        load_key(link, NOBODY)


def test_refuses_what_belongs_to_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own files seem to be another's once the process claims to be somebody else."""
    if os.geteuid() == 0:
        path = _create(tmp_path / "key.pem").path
        os.chown(path, 12345, -1)
        (tmp_path / "link.pem").symlink_to(path)
        os.chown(tmp_path / "link.pem", 12345, -1, follow_symlinks=False)
    else:
        path = _create(tmp_path / "key.pem").path
        (tmp_path / "link.pem").symlink_to(path)
        uid = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(KeyFileError, match="owned by another user"):
        load_key(path, NOBODY)
    with pytest.raises(KeyFileError, match="symbolic link of another user"):
        load_key(tmp_path / "link.pem", NOBODY)


def test_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in (".", "pipe"):
        with pytest.raises(KeyFileError, match="not a regular file"):
            load_key(tmp_path / name, NOBODY)
    with pytest.raises(KeyFileError, match="no key at"):
        load_key(tmp_path / "nothing.pem", NOBODY)


def test_a_dangling_link_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "key.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(KeyFileError, match="no key at"):
        _create(tmp_path / "key.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


@pytest.mark.parametrize(
    "data", [b"", b"x" * 70_000, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_refuses_what_is_no_key(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(KeyFileError, match=r"not a private key in PEM|too large"):
        load_key(_private(tmp_path / "key.pem", data), NOBODY)


@pytest.mark.parametrize("kind", ["p384", "k1", "ed25519", "rsa"])
def test_refuses_other_kinds(tmp_path: Path, kind: str) -> None:
    private = {
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(KeyFileError, match="not an ECDSA key on P-256"):
        load_key(_private(tmp_path / "key.pem", pem), NOBODY)


@pytest.mark.parametrize("encrypted", [False, True])
def test_reads_the_forms_that_openssl_writes(tmp_path: Path, *, encrypted: bool) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    protection = BestAvailableEncryption(SECRET.encode()) if encrypted else NoEncryption()
    for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        path = _private(tmp_path / "key.pem", private.private_bytes(Encoding.PEM, form, protection))
        assert load_key(path, _with(SECRET)).path == path


def test_a_given_passphrase_encrypts_the_new_key(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = _create(path, _with(SECRET))
    assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert load_pem_private_key(path.read_bytes(), SECRET.encode())
    assert load_key(path, _with(SECRET)) == key
    with pytest.raises(KeyFileError, match="no terminal"):
        load_key(path, NOBODY)


def test_a_wrong_passphrase_is_said_and_not_shown(tmp_path: Path) -> None:
    path = _create(tmp_path / "key.pem", _with(SECRET)).path
    with pytest.raises(KeyFileError, match="passphrase is wrong") as caught:
        load_key(path, _with("wrong-secret-42"))
    assert "wrong-secret-42" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_no_representation_shows_a_secret(tmp_path: Path) -> None:
    key = _create(tmp_path / "key.pem", _with(SECRET))
    assert "_private" not in repr(key)
    assert SECRET not in repr(_with(SECRET))


def test_the_public_key_is_written_again_when_it_is_gone(tmp_path: Path) -> None:
    key = _create(tmp_path / "key.pem")
    key.public_path.unlink()
    _create(key.path)
    assert key.public_path.read_bytes() == key.public_pem


def test_another_public_key_beside_it_is_an_error(tmp_path: Path) -> None:
    key, other = _create(tmp_path / "key.pem"), _create(tmp_path / "other.pem")
    key.public_path.write_bytes(other.public_pem)
    with pytest.raises(KeyFileError, match="is not the public key of"):
        _create(key.path)
    assert key.public_path.read_bytes() == other.public_pem


@pytest.mark.parametrize(("code", "fine"), [(13, True), (30, True), (28, False)])
def test_only_a_folder_that_may_not_be_written_may_lack_the_public_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, fine: bool
) -> None:
    key = _create(tmp_path / "key.pem")
    key.public_path.unlink()

    def fail(path: Path, _data: bytes) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(keyfile, "replace_public", fail)
    if fine:
        assert _create(key.path) == key
    else:
        with pytest.raises(KeyFileError, match="can't write the public key"):
            _create(key.path)


def test_a_private_key_is_never_named_as_a_public_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="named as a public key"):
        _create(tmp_path / "key.pub")
    assert list(tmp_path.iterdir()) == []


def test_where_the_key_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    default = default_key_path({})
    assert (default.name, default.parent.name) == ("key.pem", "doit-provenance")
    assert default.is_relative_to(tmp_path)
    assert default_key_path({"DOIT_PROVENANCE_KEY": "~/k.pem"}) == tmp_path / "k.pem"
    assert default_key_path({"DOIT_PROVENANCE_KEY": ""}) == default
    with pytest.raises(KeyFileError, match="unknown home"):
        default_key_path({"DOIT_PROVENANCE_KEY": "~nobody-of-this-name/k.pem"})
    assert public_path(Path("a/key.pem")) == Path("a/key.pub")
    assert public_path(Path("/")) == Path("/.pub")


def test_a_passphrase_file_that_is_missing_is_our_error(tmp_path: Path) -> None:
    source = PassphraseSource(environ={"DOIT_PROVENANCE_PASSPHRASE_FILE": str(tmp_path / "none")}, prompt=None)
    with pytest.raises(UnreadableError, match="can't read"):
        _create(tmp_path / "key.pem", source)
    assert list(tmp_path.iterdir()) == []
