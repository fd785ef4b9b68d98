"""What commands come to: their artifacts, what goes into them, and every mistake on a line of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import ConfigError
from doit_provenance.tasks.command.artifacts import host_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from doit_provenance.tasks.artifacts import Artifact
    from doit_provenance.tasks.command.builder import CommandBuilder

    Commands = Callable[[str], CommandBuilder]


def command(name: str, **keys: object) -> str:
    """Return the table of a command, with what each needs."""
    settings = {"run": ["true"], "inputs": [], "outputs": [f"out/{name}"], "platform": "any"} | keys
    return f"[command.{name}]\n" + "".join(f"{key} = {value!r}\n" for key, value in settings.items())


def test_nothing_configured(commands: Commands) -> None:
    builder = commands("")
    assert list(builder.discover()) == []
    assert builder.propose() == {}


def test_artifacts(commands: Commands) -> None:
    """One output is one artifact; several are one group, which one call makes."""
    text = command("a") + command("b", outputs=["out/*.whl", "out/x.tar"], platform="linux/arm64")
    found = commands(text).discover()
    assert [a.id for a in found] == ["command:a@any", "command:b/whl@linux/arm64", "command:b/x.tar@linux/arm64"]
    assert [a.group for a in found] == ["command:a@any", *["command:b@linux/arm64"] * 2]
    assert [a.file for a in found] == ["a", "*.whl", "x.tar"]


def test_platform_is_the_hosts_by_default(commands: Commands) -> None:
    text = command("a").replace("platform = 'any'\n", "")
    (found,) = commands(text).discover()
    assert found.platform == host_platform()


def test_upstream(commands: Commands) -> None:
    """A reference is one artifact, or those on all platforms; commands are upstream like any others."""
    text = (
        command("a", artifacts=["kettle:tea", "command:c/y"])
        + command("b", artifacts=["kettle:tea@mac", "command:a"])
        + command("c", outputs=["out/x", "out/y"])
    )
    found = {a.name: a.upstream for a in commands(text).discover()}
    assert found == {
        "a": ("kettle:tea@mac", "kettle:tea@linux", "command:c/y@any"),
        "b": ("kettle:tea@mac", "command:a@any"),
        "c/x": (),
        "c/y": (),
    }


def test_placeholders(commands: Commands) -> None:
    """They stand for files anywhere in an argument; what names no builder stays as it is."""
    run = ["x", "-i={kettle:tea@mac}:{command:b}", "{print $1}", "{nobody:x}", "{a:b c}"]
    builder = commands(command("a", run=run, artifacts=["kettle:tea", "command:b"]) + command("b"))
    builder.discover()
    argv = builder._units["command:a@any"].argv({"kettle:tea@mac": "dist/tea", "command:b@any": "dist/b"})
    assert argv == ["x", "-i=dist/tea:dist/b", "{print $1}", "{nobody:x}", "{a:b c}"]


MISTAKES = {
    "unknown artifact": (
        command("a", artifacts=["kettle:tee", "command:b@any"]),
        [
            "command.a.artifacts[0]: `kettle:tee` stands for no artifact; did you mean `kettle:tea`?",
            "command.a.artifacts[1]: `command:b@any` stands for no artifact; did you mean `command:a@any`?",
        ],
    ),
    "placeholder that is no upstream artifact": (
        command("a", run=["x", "{kettle:tea@mac}"]),
        ["command.a.run[1]: `{kettle:tea@mac}` stands for none of this command's `artifacts`"],
    ),
    "placeholder for several": (
        command("a", run=["x{kettle:tea}"], artifacts=["kettle:tea"]),
        [
            (
                "command.a.run[0]: `{kettle:tea}` stands for 2 artifacts; write one of `{kettle:tea@mac}`, "
                "`{kettle:tea@linux}`"
            )
        ],
    ),
    "outputs of one name": (
        command("a", outputs=["x/a.so", "y/a.so", "z/*"]),
        [
            (
                "command.a.outputs[1]: `x/a.so` and `y/a.so` would both be the artifact `command:a/a.so`; "
                "let the files' names differ"
            ),
            "command.a.outputs[2]: `z/*` names its artifact by wildcards alone; write a part of the file's name",
        ],
    ),
    "one output of two commands": (
        command("a", outputs=["x", "z"]) + command("b", outputs=["y", "x"]),
        ["command.b.outputs[1]: `x` is an output of `command.a` too"],
    ),
    "one folder": (
        command("a", outputs=["b", "c"]) + command("a-b"),
        [
            (
                "command.a-b: the artifacts `command:a-b` and `command:a/b` would have one folder; "
                "give this command another name"
            )
        ],
    ),
    "ring": (
        command("x", artifacts=["command:a"])
        + command("a", artifacts=["command:b"])
        + command("b", artifacts=["command:a"]),
        [("command.x.artifacts: `command:a` needs `command:b` needs `command:a`: nothing can go into itself")],
    ),
    "itself": (
        command("a", artifacts=["command:a"]),
        ["command.a.artifacts: `command:a` needs `command:a`: nothing can go into itself"],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(commands: Commands, case: str) -> None:
    text, lines = MISTAKES[case]
    with pytest.raises(ConfigError) as caught:
        commands(text).discover()
    assert caught.value.message.split("\n") == [f"provenance.toml: {line}" for line in lines]


def test_upstream_that_nobody_could_tell_is_no_mistake_of_the_name(commands: Commands) -> None:
    builder = commands(command("a", run=["x", "{cargo:tea}"], artifacts=["cargo:tea", "kettle:tee"]))
    builder.context.failed_builders.add("cargo")
    with pytest.raises(ConfigError) as caught:
        builder.discover()
    first, second = caught.value.message.split("\n")
    assert first.endswith("command.a.artifacts[0]: `cargo:tea` is not known, as `cargo` can't tell what it builds")
    assert second.endswith("`kettle:tee` stands for no artifact; did you mean `kettle:tea`?")


def test_platforms_keep_folders_apart(commands: Commands) -> None:
    text = command("a", outputs=["b", "c"]) + command("a-b", platform="linux/amd64")
    assert len(commands(text).discover()) == 3


def test_very_many_mistakes_end_soon(commands: Commands) -> None:
    """The first hundred are told, and no more guesses are made."""
    text = "".join(command(f"a{n}", artifacts=[f"kettle:x{n}"]) for n in range(1000))
    with pytest.raises(ConfigError) as caught:
        commands(text).discover()
    assert len(caught.value.message.split("\n")) == 100


def test_long_chain_is_no_ring(commands: Commands) -> None:
    """However long the way from the first command to the last: it is walked once, and not by recursion."""
    text = command("a0") + "".join(command(f"a{n}", artifacts=[f"command:a{n - 1}"]) for n in range(1, 1500))
    found: list[Artifact] = list(commands(text).discover())
    assert found[-1].upstream == ("command:a1498@any",)
