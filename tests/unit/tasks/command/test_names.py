"""Artifacts of commands have the names that a person would expect."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doit_provenance.provenance.config import Command
from doit_provenance.tasks.artifacts import Artifact, part
from doit_provenance.tasks.command.artifacts import artifact_names, host_platform


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("dist/*.whl", "whl"),
        ("dist/*.tar.gz", "tar.gz"),
        ("out/app", "app"),
        ("out/lib*.so", "lib.so"),
        ("out/wash-*-linux.tar.gz", "wash-linux.tar.gz"),
        ("out/wash-[0-9]*.tar", "wash.tar"),
        ("**/__init__.py", "__init__.py"),
        ("My App (2).dmg", "My-App-2.dmg"),
        ("a@b:c=d.txt", "a-b-c-d.txt"),
        ("größe.txt", "größe.txt"),
        ("*", ""),
        ("a/[ab]?*", ""),
    ],
)
def test_part(pattern: str, expected: str) -> None:
    assert part(pattern) == expected


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1))
def test_every_part_can_stand_in_an_id(text: str) -> None:
    """Whatever a file is called: its artifact has a name that doit and the output folder take."""
    if found := part(text):
        Artifact(builder="command", name=f"x/{found}", platform="any", group="x", file="x")


def test_one_output_has_the_commands_name() -> None:
    """Only where there are several outputs does a file's name tell them apart."""
    one = Command(name="wheel", run=("x",), inputs=(), outputs=("dist/*.whl",))
    two = Command(name="wheel", run=("x",), inputs=(), outputs=("dist/*.whl", "dist/*.tar.gz"))
    assert artifact_names(one) == ["wheel"]
    assert artifact_names(two) == ["wheel/whl", "wheel/tar.gz"]


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux/amd64"),
        ("Linux", "aarch64", "linux/arm64"),
        ("Linux", "armv7l", "linux/arm/v7"),
        ("Linux", "riscv64", "linux/riscv64"),
        ("Darwin", "arm64", "darwin/arm64"),
    ],
)
def test_host_in_the_words_of_images(monkeypatch: pytest.MonkeyPatch, system: str, machine: str, expected: str) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(sysname=system, machine=machine))
    host_platform.cache_clear()
    try:
        assert host_platform() == expected
    finally:
        host_platform.cache_clear()
