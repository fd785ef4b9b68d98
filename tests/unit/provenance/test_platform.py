from __future__ import annotations

import pytest

from doit_provenance.provenance.platform import Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/X86-64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.20348.1)/amd64", "windows(10.0.20348.1)/amd64"),
        ("wasi/wasm", "wasi/wasm"),
    ],
)
def test_parse_normalises_as_containerd_does(text: str, expected: str) -> None:
    platform = Platform.parse(text)
    assert str(platform) == expected
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    "text",
    ["", "linux", "amd64", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64", "li(nux/amd64", "linux/../x/y"],
)
def test_parse_refuses_what_is_no_full_platform(text: str) -> None:
    with pytest.raises(ValueError, match="is no platform"):
        Platform.parse(text)


def test_two_spellings_are_one_platform() -> None:
    assert Platform(os="linux", architecture="aarch64", variant="v8") == Platform(os="linux", architecture="arm64")
    assert Platform(os="linux", architecture="arm") == Platform(os="linux", architecture="arm", variant="v7")


@pytest.mark.parametrize(
    ("triple", "expected"),
    [
        ("x86_64-unknown-linux-musl", "linux/amd64"),
        ("aarch64-unknown-linux-gnu", "linux/arm64"),
        ("i686-unknown-linux-gnu", "linux/386"),
        ("armv7-unknown-linux-gnueabihf", "linux/arm/v7"),
        ("thumbv7neon-unknown-linux-gnueabihf", "linux/arm/v7"),
        ("arm-unknown-linux-gnueabihf", "linux/arm/v6"),
        ("armv5te-unknown-linux-gnueabi", "linux/arm/v5"),
        ("riscv64gc-unknown-linux-gnu", "linux/riscv64"),
        ("powerpc64le-unknown-linux-gnu", "linux/ppc64le"),
        ("s390x-unknown-linux-gnu", "linux/s390x"),
        ("loongarch64-unknown-linux-gnu", "linux/loong64"),
        ("aarch64-linux-android", "android/arm64"),
        ("armv7-linux-androideabi", "android/arm/v7"),
        ("x86_64-pc-windows-msvc", "windows/amd64"),
        ("aarch64-apple-darwin", "darwin/arm64"),
        ("x86_64-unknown-freebsd", "freebsd/amd64"),
        ("wasm32-wasip1", "wasip1/wasm"),
        ("wasm32-wasip2", "wasip2/wasm"),
    ],
)
def test_of_triple(triple: str, expected: str) -> None:
    assert str(Platform.of_triple(triple)) == expected


@pytest.mark.parametrize(
    "triple", ["x86_64-unknown-none", "wasm32-unknown-unknown", "aarch64_be-unknown-linux-gnu", "bpfel-linux-none", ""]
)
def test_triple_without_a_platform(triple: str) -> None:
    assert Platform.of_triple(triple) is None


def test_host_is_a_linux_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = type("Uname", (), {"machine": "aarch64"})
    monkeypatch.setattr("doit_provenance.provenance.platform.os.uname", machine)
    assert str(Platform.of_host()) == "linux/arm64"
