"""`provenance.toml` is read strictly: all mistakes at once, never a traceback, and every setting knows its origin."""

from __future__ import annotations

import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from doit_provenance.provenance.config import FILE, CargoTool, Command, Config, SigningMode, load, parse
from doit_provenance.provenance.config.errors import mistakes as found_mistakes
from doit_provenance.provenance.config.reader import LIMIT
from doit_provenance.provenance.errors import ConfigError
from doit_provenance.provenance.sbom.party import Party

COMPLETE = """
[project]
name = "wäsche"
source = "ssh://git@example.com:2222/owner/repository.git"
output = "./out/dist"
supplier = { name = "A. Person", email = "a@example.com", url = "https://example.com/a?b#c", person = true }

[cargo]
manifests = ["rust/Cargo.toml", "**/Cargo.toml"]
include = ["wash"]
exclude = ["wash-*"]
targets = ["x86_64-unknown-linux-gnu.2.17", "thumbv8m.main-none-eabi", "wasm32-wasip1"]
profile = "release-lto"
tool = "cargo-zigbuild"
features = ["tls", "wash/otel"]
all-features = true
no-default-features = true
rename = { "wash-cli/wash" = "wash-2", "tools/Cargo.toml#wash" = "wash.tool", "Cargo.toml#x" = "y" }

[cargo.feature-sets.fips]
features = ["fips"]
all-features = false
no-default-features = true
include = ["wash"]

[cargo.feature-sets.all]
all-features = true

[command.wheel]
run = ["python", "-c", "print(1)\\nprint(2)\\n", "-I", "-I"]
inputs = ["pyproject.toml", "src/**", "[a-z]?/*.py"]
exclude = ["src/gen/**"]
outputs = ["dist/*.whl", "dist/name.tar.gz"]
artifacts = ["cargo:wash", "cargo:wash+fips@x86_64-unknown-linux-musl", "command:other/part"]
environment = ["SOURCE_DATE_EPOCH", "_x1"]
platform = "linux/arm/v7"

[command.other]
run = ["make"]
inputs = []
outputs = ["part"]

[signing]
mode = "key"
key = "/keys/release.pem"
public-keys = ["keys/team.pem", "/keys/other.pem"]

[plan.runners]
"linux/arm*" = "ubuntu-24.04-arm"
any = "my runner"
"""


def mistakes(text: str, workspace: Path = Path("/workspace")) -> list[str]:
    """Return the lines of the error that `text` causes, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), workspace=workspace)
    lines = caught.value.message.split("\n")
    assert all(line.startswith(f"{FILE}: ") for line in lines)
    return [line.removeprefix(f"{FILE}: ") for line in lines]


def read(text: str) -> Config:
    return parse(text.encode(), workspace=Path("/workspace"))


def test_missing_file_gives_defaults(tmp_path: Path) -> None:
    """Without a file every setting has its default, and says so."""
    config = load(tmp_path)
    assert config.path == tmp_path / FILE
    assert config.workspace == tmp_path
    assert config.output == tmp_path / "dist"
    assert (config.project.name, config.project.source, config.project.supplier) == (None, None, None)
    assert config.cargo.manifests == ("Cargo.toml",)
    assert (config.cargo.include, config.cargo.exclude, config.cargo.targets) == (("*",), (), ())
    assert (config.cargo.profile, config.cargo.tool) == ("release", CargoTool.CARGO)
    assert (config.cargo.features, config.cargo.all_features, config.cargo.no_default_features) == ((), False, False)
    assert (dict(config.cargo.rename), config.cargo.feature_sets) == ({}, ())
    assert (config.signing.mode, config.signing.key, config.signing.public_keys) == (SigningMode.AUTO, None, ())
    assert (config.commands, dict(config.plan.runners)) == ((), {})


def test_everything_that_can_be_said() -> None:
    """Each key arrives, parsed, where the rest of the program looks for it."""
    config = read(COMPLETE)
    assert config.project.name == "wäsche"
    assert config.project.source == "ssh://git@example.com:2222/owner/repository.git"
    assert config.project.output == PurePosixPath("out/dist")
    assert config.project.supplier == Party(
        name="A. Person", email="a@example.com", url="https://example.com/a?b#c", person=True
    )
    cargo = config.cargo
    assert cargo.manifests == ("rust/Cargo.toml", "**/Cargo.toml")
    assert (cargo.include, cargo.exclude) == (("wash",), ("wash-*",))
    assert cargo.targets == ("x86_64-unknown-linux-gnu.2.17", "thumbv8m.main-none-eabi", "wasm32-wasip1")
    assert (cargo.profile, cargo.tool) == ("release-lto", CargoTool.CARGO_ZIGBUILD)
    assert (cargo.features, cargo.all_features, cargo.no_default_features) == (("tls", "wash/otel"), True, True)
    assert dict(cargo.rename) == {
        "wash-cli/wash": "wash-2",
        "tools/Cargo.toml#wash": "wash.tool",
        "Cargo.toml#x": "y",
    }
    fips, everything = cargo.feature_sets
    assert (fips.name, fips.features, fips.all_features) == ("fips", ("fips",), False)
    assert (fips.no_default_features, fips.include) == (True, ("wash",))
    assert (everything.name, everything.features, everything.all_features) == ("all", (), True)
    assert (everything.no_default_features, everything.include) == (False, ("*",))
    wheel, other = config.commands
    assert wheel == Command(
        name="wheel",
        run=("python", "-c", "print(1)\nprint(2)\n", "-I", "-I"),
        inputs=("pyproject.toml", "src/**", "[a-z]?/*.py"),
        exclude=("src/gen/**",),
        outputs=("dist/*.whl", "dist/name.tar.gz"),
        artifacts=("cargo:wash", "cargo:wash+fips@x86_64-unknown-linux-musl", "command:other/part"),
        environment=("SOURCE_DATE_EPOCH", "_x1"),
        platform="linux/arm/v7",
    )
    assert other == Command(name="other", run=("make",), inputs=(), outputs=("part",))
    assert dict(config.plan.runners) == {"linux/arm*": "ubuntu-24.04-arm", "any": "my runner"}
    assert config.signing.mode is SigningMode.KEY
    assert config.signing.key == Path("/keys/release.pem")
    assert config.signing.public_keys == (Path("/workspace/keys/team.pem"), Path("/keys/other.pem"))


WRONG = {
    # What is unknown, and what may have been meant: elsewhere by this name, nearly so here, nearly so elsewhere.
    "[cargo]\nprofil = 'x'": ["cargo.profil: unknown key; did you mean `profile`?"],
    "[signing]\npublic_keys = []": ["signing.public_keys: unknown key; did you mean `public-keys`?"],
    "[project]\ntargets = []": ["project.targets: unknown key; did you mean `cargo.targets`?"],
    "profile = 'x'": ["profile: unknown key; did you mean `cargo.profile`?"],
    "includes = []": ["includes: unknown key; did you mean `cargo.include`?"],
    "[par]\npackages = []": [
        "par: unknown key; taken here: `project`, `cargo`, `command`, `docker`, `oci`, `nix`, `signing`, `plan`"
    ],
    "'a b' = 1": [
        '"a b": unknown key; taken here: `project`, `cargo`, `command`, `docker`, `oci`, `nix`, `signing`, `plan`'
    ],
    "[cargo.feature-sets.fips]\nfeature = []": [
        "cargo.feature-sets.fips.feature: unknown key; did you mean `features`?",
    ],
    # What is of another type.
    "cargo = 3": ["cargo: expected a table, found 3 (integer)"],
    "[[cargo]]": ["cargo: expected a table, found an array"],
    "[cargo]\ntargets = ['a-b', 3]": ["cargo.targets[1]: expected text, found 3 (integer)"],
    "[cargo]\ntargets = 'a-b'": [
        "cargo.targets: expected an array of texts, found `a-b` (text); write it as an array, in `[` and `]`",
    ],
    "[cargo]\ntargets = 3": ["cargo.targets: expected an array of texts, found 3 (integer)"],
    "[cargo]\nprofile = 1.5": ["cargo.profile: expected text, found 1.5 (float)"],
    "[cargo]\nprofile = 1979-05-27": ["cargo.profile: expected text, found 1979-05-27 (date or time)"],
    "[cargo]\nprofile = 07:32:00": ["cargo.profile: expected text, found 07:32:00 (date or time)"],
    f"[cargo]\nprofile = 0x{'f' * 9999}": ["cargo.profile: expected text, found an integer"],
    "[cargo]\nprofile = {}": ["cargo.profile: expected text, found a table"],
    "[cargo]\nall-features = 'yes'": ["cargo.all-features: expected `true` or `false`, found `yes` (text)"],
    "[cargo]\nall-features = 1": ["cargo.all-features: expected `true` or `false`, found 1 (integer)"],
    "[cargo]\ntool = true": [
        "cargo.tool: expected `cargo` or `cargo-zigbuild` or `cross`, found true (boolean)",
    ],
    "[cargo]\nrename = []": ["cargo.rename: expected a table of texts, found an array"],
    "[cargo]\nrename = {'a/b' = 1}": ['cargo.rename."a/b": expected text, found 1 (integer)'],
    "[cargo]\nfeature-sets = []": ["cargo.feature-sets: expected a table of tables, found an array"],
    "[cargo]\nfeature-sets.a = []": ["cargo.feature-sets.a: expected a table, found an array"],
    # What is of the right type and still not taken.
    "[cargo]\ntool = 'zigbuild'": [
        (
            "cargo.tool: expected `cargo` or `cargo-zigbuild` or `cross`, found `zigbuild`; "
            "did you mean `cargo-zigbuild`?"
        )
    ],
    "[signing]\nmode = 'keyless'": ["signing.mode: keyless signing is not in this version; expected `auto` or `key`"],
    "[signing]\nmode = 'x'": ["signing.mode: expected `auto` or `key`, found `x`"],
    "[project]\nname = ''": ["project.name: expected text that is not empty, found ``"],
    '[project]\nname = "a\\u001b[2Jb"': [
        "project.name: expected text without control characters, found `a\\x1b[2Jb`",
    ],
    "[project.supplier]\nemail = 'x'": [
        "project.supplier.email: expected an address such as `security@example.com`, found `x`",
        "project.supplier.name: missing; `project.supplier` needs it",
    ],
    "[project.supplier]\nname = 'x'\nurl = 'https://example .com'": [
        (
            "project.supplier.url: expected a URL such as `https://example.com`, "
            "found text that may hold a secret and is not shown here"
        )
    ],
    "[signing]\nkey = '/keys/'": ["signing.key: expected a file, not a folder, found `/keys/`"],
    "[signing]\npublic-keys = ['~/a', 'keys/']": [
        "signing.public-keys[0]: expected a path from the workspace's root, or one that begins with `/`, found `~/a`",
        "signing.public-keys[1]: expected a file, not a folder, found `keys/`",
    ],
    "[cargo]\ninclude = ['a', 'b', 'a']": ["cargo.include[2]: `a` stands here a second time"],
    "[cargo]\ninclude = ['a/b']": [
        "cargo.include[0]: expected a glob over names of binaries, which have no `/`, found `a/b`",
    ],
    "[cargo]\ntargets = ['x86_64']": [
        "cargo.targets[0]: expected a target triple such as `x86_64-unknown-linux-musl`, found `x86_64`",
    ],
    "[cargo]\ntargets = ['--release']": [
        "cargo.targets[0]: expected a target triple such as `x86_64-unknown-linux-musl`, found `--release`",
    ],
    "[cargo]\nprofile = '-Zx'": ["cargo.profile: expected a profile's name (letters, digits, `_`, `-`), found `-Zx`"],
    "[cargo]\nfeatures = ['a,b', '-x']": [
        "cargo.features[0]: expected one feature, `FEATURE` or `PACKAGE/FEATURE`, found `a,b`",
        "cargo.features[1]: expected one feature, `FEATURE` or `PACKAGE/FEATURE`, found `-x`",
    ],
    "[cargo]\nrename = {'x' = 'y'}": [
        "cargo.rename.x: expected `PACKAGE/BINARY` or `path/to/Cargo.toml#BINARY` as the key's name",
    ],
    "[cargo]\nrename = {'../Cargo.toml#x' = 'y'}": [
        'cargo.rename."../Cargo.toml#x": expected a path without `..`, inside the workspace as the key\'s name',
    ],
    "[cargo]\nrename = {'./a/Cargo.toml#x' = 'y'}": [
        'cargo.rename."./a/Cargo.toml#x": expected a path without `.` and empty parts as the key\'s name',
    ],
    "[cargo]\nrename = {'a/b' = 'c@d'}": [
        (
            'cargo.rename."a/b": expected an artifact\'s name (letters, digits, `.`, `_`, `-`; no `.` or `-` first), '
            "found `c@d`"
        )
    ],
    "[cargo.feature-sets.'a.b']": [
        (
            'cargo.feature-sets."a.b": expected a feature set\'s name (letters, digits, `_`, `-`; no `-` first) '
            "as the key's name"
        )
    ],
    # What a command needs, and what it may not say.
    "[command.x]": [
        "command.x.run: missing; `command.x` needs it",
        "command.x.inputs: missing; `command.x` needs it",
        "command.x.outputs: missing; `command.x` needs it",
    ],
    "[command.x]\nrun = []\ninputs = []\noutputs = []": [
        "command.x.run: expected 1 or more texts, found 0",
        "command.x.outputs: expected 1 or more texts, found 0",
    ],
    "[command.x]\nrun = ['']\ninputs = ['a/', '/a', '../a', 'a**', '!a', 'a !b']\noutputs = ['a/**', './a']": [
        "command.x.run[0]: expected text that is not empty, found ``",
        "command.x.inputs[0]: expected a path without `.` and empty parts, found `a/`",
        "command.x.inputs[1]: expected a path from the workspace's root, found `/a`",
        "command.x.inputs[2]: expected a path without `..`, inside the workspace, found `../a`",
        "command.x.inputs[3]: expected a path with `**` only as a whole folder name, found `a**`",
        "command.x.inputs[4]: expected one pattern; `exclude` takes files away, found `!a`",
        "command.x.inputs[5]: expected one pattern; `exclude` takes files away, found `a !b`",
        "command.x.outputs[0]: expected a path that ends in a file's name, which may have wildcards, found `a/**`",
        "command.x.outputs[1]: expected a path without `.` and empty parts, found `./a`",
    ],
    "[command.x]\nrun = ['a']\ninputs = []\noutputs = ['a']\nenvironment = ['A-B', 'DOIT_PROVENANCE_KEY']": [
        "command.x.environment[0]: expected a variable's name, found `A-B`",
        (
            "command.x.environment[1]: expected a variable that commands get, which those of signing are not, "
            "found `DOIT_PROVENANCE_KEY`"
        ),
    ],
    "[command.x]\nrun = ['a']\ninputs = []\noutputs = ['a']\nplatform = 'a//b'\nartifacts = ['wash']": [
        "command.x.platform: expected a platform such as `linux/amd64`, or `any`, found `a//b`",
        (
            "command.x.artifacts[0]: expected an artifact, `BUILDER:NAME@PLATFORM`, or `BUILDER:NAME` for all its "
            "platforms, found `wash`"
        ),
    ],
    "[command.x]\nrun = ['a']\ninputs = []\noutputs = ['a']\ninventory = 'python'": [
        (
            "command.x.inventory: what is in an artifact of a command is not found out in this version, and its "
            "inventory says so; leave this key out"
        )
    ],
    "[command.'a.b']\nrun = ['a']\ninputs = []\noutputs = ['a']": [
        "command.\"a.b\": expected a command's name (letters, digits, `_`, `-`; no `-` first) as the key's name"
    ],
    "[plan]\nrunners = { 'a b' = 'x' }": [
        'plan.runners."a b": expected a platform, or a glob over platforms such as `*-linux-*` as the key\'s name'
    ],
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_are_told(text: str) -> None:
    """Each line has the key's path, what was found and what is taken."""
    assert mistakes(text) == WRONG[text]


def test_all_mistakes_at_once() -> None:
    """Nobody has to run the program once for each mistake."""
    text = (
        "profile = 1\n[project]\noutput = '/x'\n[cargo]\nprofil = 'x'\ntargets = [1]\n[signing]\nkey = '/workspace/k'\n"
    )
    assert [line.split(":")[0] for line in mistakes(text)] == [
        "profile",
        "project.output",
        "cargo.profil",
        "cargo.targets[0]",
        "signing.key",
    ]


@pytest.mark.parametrize(
    "output",
    ["/dist", "../dist", "a/../../dist", "a/..", "..", ".", "./", "././", ".git", "./.git/x", ".provenance", "~/x"],
)
def test_output_stays_in_a_folder_of_its_own(output: str) -> None:
    """Artifacts are never written outside the workspace, over its root, or into what others keep."""
    (line,) = mistakes(f"project.output = '{output}'")
    assert line.startswith("project.output: expected a ")
    assert line.endswith(f"found `{output}`")


@pytest.mark.parametrize("output", ["dist", "./dist", "a/b", ".dist", "..dist", ".gitdist", "a/.git-x", "dist/", "ä ö"])
def test_output_may_be_any_folder_inside(output: str) -> None:
    assert read(f"project.output = '{output}'").output == Path("/workspace") / output


@pytest.mark.parametrize(
    "glob", ["/Cargo.toml", "../Cargo.toml", "a", "a/Cargo.tomls", "a**/Cargo.toml", "***/Cargo.toml"]
)
def test_manifests_outside_or_that_are_none(glob: str, tmp_path: Path) -> None:
    """What is taken never leads out of the workspace, and pathlib can glob it."""
    (line,) = mistakes(f"cargo.manifests = ['{glob}']")
    assert line.startswith("cargo.manifests[0]: expected a ")
    for taken in read("cargo.manifests = ['**/Cargo.toml', './x/*/Cargo.toml', '[/Cargo.toml']").cargo.manifests:
        assert list(tmp_path.glob(taken)) == []


HIDDEN = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{HIDDEN}@example.com/x",
        f"https://{HIDDEN}@example.com/x",
        f"https://user:{HIDDEN}/x@example.com/x",
        f"https://user:a@{HIDDEN}@example.com/x",
        f"ssh://git:{HIDDEN}@example.com/x",
        f"ftp://user:{HIDDEN}@example.com/x",
        f"user:{HIDDEN}@example.com:x",
        f"https://example.com/x?token={HIDDEN}",
        f"https://example.com/x#{HIDDEN}",
        f"https://example.com:{HIDDEN}/x",
        f" https://{HIDDEN}@example.com/x",
        f"file:///home/{HIDDEN}/x",
    ],
)
def test_credentials_in_the_source_are_refused_and_not_repeated(url: str) -> None:
    """A URL goes into published evidence, and messages into the logs of CI: neither may carry a secret."""
    (line,) = mistakes(f'project.source = "{url}"')
    assert line.startswith("project.source: expected a URL")
    assert HIDDEN not in line


@pytest.mark.parametrize("url", ["https://u@h/x", "https://u:p@h/x", "ssh://u:p@h/x", "ssh://u@p@h/x", "git://u@h/x"])
def test_credentials_are_called_so(url: str) -> None:
    (line,) = mistakes(f"project.source = '{url}'")
    assert line.startswith("project.source: expected a URL without credentials, found")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/owner/repository",
        "https://example.com",
        "http://[::1]:3000/a@b/c.git",
        "ssh://git@example.com/x",
        "git://example.com/x",
    ],
)
def test_source_urls_that_are_taken(url: str) -> None:
    assert read(f"project.source = '{url}'").project.source == url


def test_credentials_in_the_suppliers_url_are_refused() -> None:
    (line,) = mistakes(f"project.supplier = {{ name = 'x', url = 'https://u:{HIDDEN}@example.com' }}")
    assert line.startswith("project.supplier.url: expected a URL without credentials")
    assert HIDDEN not in line


def test_key_outside_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private key inside the repository would be committed one day; links and `..` do not hide it."""
    workspace, home = tmp_path / "workspace", tmp_path / "home"
    for folder in (workspace, home):
        folder.mkdir()
    (home / "link").symlink_to(workspace)
    monkeypatch.setenv("HOME", str(home))
    for inside in (f"{workspace}/key.pem", f"{home}/../workspace/key.pem", "~/link/key.pem"):
        assert mistakes(f"signing.key = '{inside}'", workspace) == [
            "signing.key: expected a path outside the workspace, so that the key is never committed"
        ]
    for relative in ("key.pem", "../key.pem", "~other/key.pem"):
        (line,) = mistakes(f"signing.key = '{relative}'", workspace)
        assert line.startswith("signing.key: expected a path outside the workspace, which begins with")
    assert parse(b"signing.key = '~/key.pem'", workspace=workspace).signing.key == home / "key.pem"


def test_key_behind_a_loop_of_links(tmp_path: Path) -> None:
    """Where the key can't be is found out by whoever opens it; reading the configuration does not fail."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "loop").symlink_to("loop")
    config = parse(f"signing.key = '{tmp_path}/loop/key.pem'".encode(), workspace=workspace)
    assert config.signing.key == tmp_path / "loop/key.pem"


def test_home_folder_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nowhere)
    assert mistakes("signing.key = '~/key.pem'") == [
        "signing.key: the home folder that `~` stands for is not known here"
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[cargo\n", "not TOML: Expected ']' at the end of a table declaration (at line 1, column 7)"),
        (b"a = 1\na = 2\n", "not TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"a = 1\n\nb = 'x\xff'\n", "not UTF-8: byte 0xff in line 3"),
        (b"\xef\xbb\xbfa = 1\n", "begins with a byte order mark, which TOML does not have"),
        (b"a = " + b"[" * 9999, "not TOML that is read here: nested too deeply"),
        (b"\n" + b"a." * 100_000 + b"a = 1", "not TOML that is read here: a key of more than 32 parts in line 2"),
        (
            b'x = {"\\"".' + b"'.'." * 32 + b"a = 1}",
            "not TOML that is read here: a key of more than 32 parts in line 1",
        ),
    ],
)
def test_what_is_no_toml(data: bytes, said: str) -> None:
    """What tomllib refuses, with its place, and what would have it use up time, stack or memory."""
    with pytest.raises(ConfigError) as caught:
        parse(data, workspace=Path("/workspace"))
    assert caught.value.message == f"{FILE}: {said}"


def test_number_that_python_does_not_convert() -> None:
    """An integer of thousands of digits is TOML, but nothing that Python reads."""
    with pytest.raises(ConfigError, match=r"not TOML: Exceeds the limit"):
        read("a = " + "9" * 9999)


def test_very_many_mistakes_end_soon() -> None:
    """A hostile file costs no more than a hundred guesses."""
    started = time.monotonic()
    lines = mistakes("\n".join(f"includ{number} = 1" for number in range(50_000)))
    assert time.monotonic() - started < 5
    assert len(lines) == 101
    assert lines[-1] == "more mistakes follow; these are the first 100"


def test_ten_thousand_commands_cost_less_than_their_toml() -> None:
    """What we add to tomllib's time is less than that, and linear."""
    text = "\n".join(
        f"[command.unit-{n}]\nrun = ['cp', 'src/{n}/in', 'out/{n}']\ninputs = ['src/{n}/**']\noutputs = ['out/{n}']"
        for n in range(10_000)
    )
    started = time.process_time()
    document = tomllib.loads(text)
    parsed = time.process_time()
    assert list(found_mistakes(document)) == []
    assert time.process_time() - parsed < parsed - started
    assert len(read(text).commands) == 10_000


def test_long_names_are_cut() -> None:
    """A message stays a line that can be read."""
    (line,) = mistakes(f"{'x' * 100_000} = 1")
    assert len(line) < 400


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder, a pipe, a link to nothing and a file of many megabytes are errors, not defaults; nothing waits."""
    path = tmp_path / FILE
    path.mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path)
    path.unlink()
    path.symlink_to("nothing")
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ConfigError, match="symbolic links"):
        load(tmp_path)
    path.unlink()
    path.write_bytes(b"#" * (LIMIT + 1))
    with pytest.raises(ConfigError, match="larger than the 8,388,608 bytes"):
        load(tmp_path)
    path.write_bytes(b"#" * LIMIT)
    assert load(tmp_path) == replace(read(""), workspace=tmp_path, path=path)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run as root, who may read everything: the refusal is played."""
    (tmp_path / FILE).touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"can't read `.*provenance\.toml`: Permission denied"):
        load(tmp_path)


def test_workspace_that_is_no_folder(tmp_path: Path) -> None:
    """Where there is no folder there is no missing file either."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory"):
        load(tmp_path / "file")


def test_relative_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in the configuration stay true when the program works in another folder."""
    (tmp_path / FILE).write_text("signing.public-keys = ['k.pem']")
    monkeypatch.chdir(tmp_path)
    config = load(Path())
    assert config.path == tmp_path / FILE
    assert config.signing.public_keys == (tmp_path / "k.pem",)


def test_error_ends_with_2_and_names_the_reference() -> None:
    with pytest.raises(ConfigError) as caught:
        read("x = 1")
    assert caught.value.exit_code == 2
    assert "docs/configuration.md" in str(caught.value.hint)
