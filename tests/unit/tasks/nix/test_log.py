"""What Nix tells while it builds, for people and for provenance."""

from __future__ import annotations

import json

import pytest

from doit_provenance.tasks.nix.log import BuildLog, hint_for, is_waiting, message_of

DRV = "/nix/store/bi58isx2z448fkyxq6jg69i1r2g99bmn-wash-0.1.0.drv"
PATH = "/nix/store/lmalp6qnzyzxzv3blhip834r9c6ldja2-wash-0.1.0"


def heard(*events: object, pieces: int | None = None) -> tuple[BuildLog, str]:
    said: list[bytes] = []
    log = BuildLog(sink=said.append)
    for event in events:
        line = event if isinstance(event, bytes) else b"@nix " + json.dumps(event).encode() + b"\n"
        size = pieces or len(line)
        for start in range(0, len(line), size):
            log(line[start : start + size])
    return log, b"".join(said).decode()


START = {
    "action": "start",
    "id": 1,
    "level": 3,
    "type": 105,
    "text": f"building '{DRV}'",
    "fields": [DRV, "ssh://b", 1, 1],
}


@pytest.mark.parametrize("pieces", [None, 7])
def test_builds_are_noted(pieces: int | None) -> None:
    """Which derivations were built, where, and what their builders wrote; a line may come in pieces."""
    line = {"action": "result", "id": 1, "type": 101, "fields": ["compiling"]}
    log, said = heard(START, line, {"action": "stop", "id": 1}, line, pieces=pieces)
    assert log.built == {DRV: "ssh://b"}
    assert said == f"building '{DRV}'\nwash-0.1.0> compiling\nnix> compiling\n"


def test_substitutes_are_noted() -> None:
    """Which paths were copied, and from where; the address holds neither a password nor the way to a key."""
    event = {
        "action": "start",
        "id": 2,
        "level": 0,
        "type": 108,
        "text": "",
        "fields": [PATH, "https://u:p@c.example/x?secret-key=/k"],
    }
    log, said = heard(event)
    assert log.substituted == {PATH: "https://c.example/x"}
    assert said == ""


@pytest.mark.parametrize(
    ("machine", "named"),
    [
        ("", ""),
        ("ssh-ng://u:p@b?ssh-key=/k", "ssh-ng://b"),
        ("b.example.com", "b.example.com"),
        ("ssh://[", "unreadable"),
    ],
)
def test_a_machine_is_named_without_what_leads_to_it(machine: str, named: str) -> None:
    """Provenance is public; and what can't be read is no build of this machine."""
    log, _ = heard({**START, "fields": [DRV, machine, 1, 1]})
    assert log.built == {DRV: named}


def test_a_remote_build_is_no_build_of_this_machine() -> None:
    """The machine that builds tells of the same build, where its store passes on what it does."""
    own = {**START, "id": 2, "fields": [DRV, "", 1, 1]}
    assert heard(START, own)[0].built == {DRV: "ssh://b"}
    assert heard(own, START)[0].built == {DRV: "ssh://b"}


def test_passwords_are_hidden() -> None:
    """A cache or an input whose address has one is named in many messages; logs are kept."""
    text = "warning: unable to download 'https://user:secret@cache.example.com/x': refused"
    log, said = heard(
        {"action": "msg", "level": 1, "msg": text},
        f"{text}\n".encode(),
        b"@nix " + text.encode() + b"\n",
        {"action": "start", "id": 2, "level": 3, "type": 100, "text": text, "fields": []},
    )
    assert said.count("https://***@cache.example.com/x") == 4
    assert "secret" not in said + message_of("".join(log.errors))
    assert "https://***@cache.example.com/x" in message_of(text)


def test_errors_are_kept() -> None:
    """What went wrong is said, and kept for the message; what only explains is said."""
    log, said = heard(
        {"action": "msg", "level": 0, "msg": "error: it breaks"},
        {"action": "msg", "level": 0, "msg": "error: it breaks"},
        {"action": "msg", "level": 1, "msg": "warning: dirty"},
        {"action": "msg", "level": 5, "msg": "much more"},
        b"plain words\n",
    )
    assert log.errors == ["error: it breaks", "plain words\n"]
    assert said == "error: it breaks\nerror: it breaks\nwarning: dirty\nplain words\n"


@pytest.mark.parametrize(
    "line",
    [
        b"@nix {\n",
        b"@nix 3\n",
        b"@nix []\n",
        b'@nix {"action":"start"}\n',
        b'@nix {"action":"start","id":1,"type":105,"fields":[1]}\n',
    ],
)
def test_what_is_malformed_is_no_failure(line: bytes) -> None:
    """A later Nix may tell other things: they are passed over, or said as they are."""
    log, _ = heard(line)
    assert (log.built, log.substituted) == ({}, {})


def test_an_endless_line_is_dropped() -> None:
    """Memory does not grow with what a builder writes."""
    log, said = heard(b"x" * 5_000_000, b"\n", START, pieces=1 << 16)
    assert len(said) < 2_000_000
    assert log.built == {DRV: "ssh://b"}


HINTS = {
    "experimental Nix feature 'flakes' is disabled; use '--extra-…'": "experimental-features = true",
    "flake 'git+file:///w' requires lock file changes but they're not allowed": "nix flake lock",
    "writing to file: No space left on device": "make room",
    "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused": "daemon does not answer",
    "opening lock file '/nix/var/nix/db/big-lock': Permission denied": "may not write to the Nix store",
    "a 'aarch64-linux' with features {} is required to build 'x', but I am a 'x86_64-linux'": "remote builder",
    "cannot add path '/nix/store/x' because it lacks a signature by a trusted key": "trusted-public-keys",
    "derivation '/x.drv' may not be deterministic: output '/o' differs": "not reproducible",
    "getting status of '/nix/store/x-source/flake.nix': No such file or directory": "git add",
    "\x1b[31mhash mismatch\x1b[0m in fixed-output derivation '/x.drv'": "correct the hash",
}


@pytest.mark.parametrize("said", HINTS)
def test_hints(said: str) -> None:
    """What Nix says of a cause that is known here has a hint."""
    assert HINTS[said] in (hint_for(said) or "")


def test_messages_are_safe_and_short() -> None:
    """Nix's words without colours and noise; what steers a terminal is escaped, what is long is cut in the middle."""
    noise = "\n(use '--show-trace' to show detailed location information)\n"
    text = "warning: Git tree '/w' is dirty\n\x1b[31merror:\x1b[0m no \x07 way\n"
    assert message_of(text + noise) == "error: no \\x07 way"
    assert len(message_of("x\n" * 100_000)) < 5_000
    assert hint_for("error: something new") is None
    assert is_waiting("waiting for lock on '/nix/store/x'")
