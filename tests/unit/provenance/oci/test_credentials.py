from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import ToolError, UnreadableError
from doit_provenance.provenance.oci.credentials import Credential, IdentityToken, Password, stored_credential

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HUB = "https://index.docker.io/v1/"
TEA = Password(user="tea", secret="hunter2")  # noqa: S106 - the test's own


def _auth(text: str = "tea:hunter2") -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def _asked(
    folder: Path, config: Mapping[str, Any] | str, registry: str = "ghcr.io", path: str = ""
) -> Credential | None:
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text, encoding="utf-8")
    return stored_credential(registry, {"DOCKER_CONFIG": str(folder), "PATH": path})


def _helper(folder: Path, name: str, code: str) -> str:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
    program.chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v1/", "ghcr.io"),
        ("localhost:5000", "localhost:5000"),
        (HUB, "docker.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v2/", "docker.io"),
    ],
)
def test_keys_of_the_file(tmp_path: Path, key: str, registry: str) -> None:
    found = _asked(tmp_path, {"auths": {"other.io": _auth("no:no"), key: _auth()}}, registry)
    assert found == TEA


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"auths": None},
        {"auths": {}},
        {"auths": {"ghcr.io.example.com": _auth(), "example.com/ghcr.io": _auth(), "ghcr.io:443": _auth()}},
        {"auths": {"ghcr.io": {}}},
        {"credsStore": ""},
    ],
)
def test_nothing_is_kept(tmp_path: Path, config: Mapping[str, Any]) -> None:
    assert _asked(tmp_path, config) is None


def test_there_is_no_file(tmp_path: Path) -> None:
    assert stored_credential("ghcr.io", {"DOCKER_CONFIG": str(tmp_path / "none")}) is None
    assert stored_credential("ghcr.io", {"HOME": str(tmp_path)}) is None


def test_the_users_own_file(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {"ghcr.io": _auth()}}), encoding="utf-8")
    assert stored_credential("ghcr.io", {"HOME": str(tmp_path)}) == TEA


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (_auth("tea:hun:ter2"), Password(user="tea", secret="hun:ter2")),  # noqa: S106 - the test's own
        ({"username": "tea", "password": "hunter2"}, TEA),
        ({**_auth("00000000:"), "identitytoken": "t"}, IdentityToken(secret="t")),  # noqa: S106 - the test's own
    ],
)
def test_forms_of_an_entry(tmp_path: Path, entry: Mapping[str, str], found: Credential) -> None:
    assert _asked(tmp_path, {"auths": {"ghcr.io": entry}}) == found


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "is not strict JSON"),
        ("[]", "is not a JSON object"),
        ({"auths": []}, "`auths` must be an object"),
        ({"auths": {"ghcr.io": {"auth": "hunter2!"}}}, "is not `USER:PASSWORD` in base64"),
        ({"auths": {"ghcr.io": _auth("hunter2")}}, "is not `USER:PASSWORD` in base64"),
        ({"credHelpers": {"ghcr.io": 1}}, "must be text"),
        ({"credsStore": "../evil"}, "not a credential helper's name"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, config: Mapping[str, Any] | str, said: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        _asked(tmp_path, config)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UnreadableError, match="can't read docker's configuration"):
        stored_credential("ghcr.io", {"DOCKER_CONFIG": str(tmp_path)})


def test_a_helper_is_asked(tmp_path: Path) -> None:
    path = _helper(tmp_path, "pot", 'test "$1" = get && printf \'{"Username": "%s", "Secret": "hunter2"}\' "$(cat)"')
    assert _asked(tmp_path, {"credsStore": "pot"}, path=path) == Password(user="ghcr.io", secret="hunter2")  # noqa: S106
    hub = _asked(tmp_path, {"credsStore": "pot"}, "docker.io", path=path)
    assert hub == Password(user=HUB, secret="hunter2")  # noqa: S106 - the test's own


def test_a_registrys_own_helper_goes_first(tmp_path: Path) -> None:
    path = _helper(tmp_path, "own", 'cat >/dev/null; echo \'{"Username": "<token>", "Secret": "t"}\'')
    config = {"credHelpers": {"ghcr.io": "own"}, "credsStore": "none", "auths": {"ghcr.io": _auth()}}
    assert _asked(tmp_path, config, path=path) == IdentityToken(secret="t")  # noqa: S106 - the test's own


def test_a_helper_that_knows_nothing(tmp_path: Path) -> None:
    path = _helper(tmp_path, "pot", "echo 'credentials not found in native keychain'; exit 1")
    assert _asked(tmp_path, {"credsStore": "pot"}, path=path) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("echo hunter2; exit 2", "ended with exit code 2"),
        ("echo hunter2", "is not strict JSON"),
        ('echo \'{"Username": "hunter2"}\'', "`Secret` is missing"),
    ],
)
def test_a_helper_that_fails(tmp_path: Path, code: str, said: str) -> None:
    path = _helper(tmp_path, "pot", code)
    with pytest.raises(ToolError) as caught:
        _asked(tmp_path, {"credsStore": "pot"}, path=path)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_helper_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="`docker-credential-pot` is not installed"):
        _asked(tmp_path, {"credsStore": "pot"}, path=str(tmp_path))


def test_no_secret_is_shown() -> None:
    assert "hunter2" not in repr(TEA)
    assert "t0k" not in repr(IdentityToken(secret="t0k"))  # noqa: S106 - the test's own
