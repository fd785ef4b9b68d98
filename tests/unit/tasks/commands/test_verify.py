"""`verify` says what holds and what does not; 0, 1 and 2 are what scripts rely on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from doit_provenance.provenance.errors import ToolError
from doit_provenance.provenance.sign.key import load_or_create
from doit_provenance.provenance.sign.passphrase import PassphraseSource

if TYPE_CHECKING:
    from pathlib import Path

Run = Any  # what the fixture `run` returns
TEA = "kettle:tea@linux/amd64"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Return the public key of somebody else."""
    nobody = PassphraseSource(environ={}, prompt=None)
    return load_or_create(tmp_path / "stranger" / "key.pem", nobody, workspace=None, environ={}).public_path


@pytest.mark.parametrize(
    "what",
    [[], [TEA], ["kettle:tea"], ["kettle"], ["*tea*"], ["dist"], ["dist/kettle/tea/linux-amd64"],
     ["dist/kettle/tea/linux-amd64/tea"], ["."]],
)  # fmt: skip
def test_what_holds(run: Run, built: Path, key: Any, what: list[str]) -> None:
    ended = run("verify", *what)
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    assert first.startswith(f"verified  {TEA}  sha256:")
    assert second.startswith(f"          signed by {key.hint}, from `{key.public_path}`")
    assert built.is_dir()


def test_each_is_verified_once(run: Run, built: Path) -> None:
    assert built.is_dir()
    assert run("verify", "kettle", "kettle:tea", TEA).out.count("verified") == 1


def test_what_to_do_is_said_once(run: Run, built: Path, stranger: Path) -> None:
    ended = run("verify", str(built), "--key", str(stranger))
    assert (ended.code, ended.out.count("signed with a key that is not trusted"), ended.out.count("hint: ")) == (
        1,
        3,
        1,
    )
    assert ended.out.endswith("pass another public key with `--key`\n")


def test_bundle_for_a_file_that_is_not_there(run: Run, built: Path) -> None:
    ended = run("verify", "tea", "--bundle", str(built / "tea.spdx.sigstore.json"))
    assert (ended.code, ended.err.splitlines()[0]) == (2, "error: there is no file `tea`")


def test_configured_key_that_is_missing(run: Run, built: Path, root: Path) -> None:
    assert built.is_dir()
    (root / "provenance.toml").write_text('[signing]\npublic-keys = ["keys/team.pem"]\n')
    ended = run("verify")
    assert ended.code == 2
    assert ended.err.startswith(f"error: trusted key `{root / 'keys/team.pem'}` ([signing] public-keys): can't")


@pytest.mark.parametrize("name", ["tea", "tea.spdx.json", "tea.cdx.json", "tea.inventory.json", "tea.record.json",
                                  "tea.provenance.sigstore.json", "tea.spdx.sigstore.json"])  # fmt: skip
def test_changed_file_does_not_hold(run: Run, built: Path, name: str) -> None:
    data = bytearray((built / name).read_bytes())
    data[len(data) // 2] ^= 1
    (built / name).write_bytes(data)
    for what in ([], ["dist"], [TEA]):
        ended = run("verify", *what)
        assert (ended.code, ended.err) == (1, "")
        assert ended.out.startswith("not verified  ")
        assert name in ended.out or name == "tea.record.json", "the record says of the others that they differ"


def test_artifact_that_is_not_built(run: Run, built: Path) -> None:
    shutil.rmtree(built)
    ended = run("verify")
    assert ended.code == 1
    assert ended.out == f"not verified  `{TEA}`: it is not in the output folder\nhint: build it first\n"


def test_folder_of_another_artifact(run: Run, kettle: Any, root: Path) -> None:
    """Evidence that holds, in the wrong place: the task's name promises another artifact."""
    kettle.names = ["tea", "mug"]
    assert run("run").code == 0
    place = root / "dist" / "kettle"
    shutil.rmtree(place / "tea")
    shutil.copytree(place / "mug", place / "tea")
    ended = run("verify", "kettle:tea")
    assert ended.code == 1
    assert f"`{TEA}`: its folder holds `kettle:mug@linux/amd64`" in ended.out


def test_one_that_does_not_hold_hides_no_other(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea", "mug"]
    assert run("run").code == 0
    (root / "dist" / "kettle" / "tea" / "linux-amd64" / "tea").write_bytes(b"poison")
    ended = run("verify")
    assert ended.code == 1
    assert "not verified  " in ended.out
    assert "\nverified  kettle:mug@linux/amd64" in ended.out


def test_artifact_that_lost_its_record_is_not_passed_over(run: Run, kettle: Any, root: Path) -> None:
    kettle.names = ["tea", "mug"]
    assert run("run").code == 0
    folder = root / "dist" / "kettle" / "tea" / "linux-amd64"
    (folder / "tea").write_bytes(b"poison")
    (folder / "tea.record.json").unlink()
    for what in ("verify", "show"):
        ended = run(what, "dist")
        assert ended.code == 2
        assert (
            "not verified  `dist/kettle/tea/linux-amd64` is not an artifact's folder: it contains no record"
            in ended.out
        )
        assert "kettle:mug@linux/amd64" in ended.out


def test_key_of_somebody_else(run: Run, built: Path, stranger: Path, key: Any) -> None:
    ended = run("verify", "--key", str(stranger))
    assert ended.code == 1
    assert "signed with a key that is not trusted" in ended.out
    assert run("verify", "--key", str(stranger), "--key", str(key.public_path)).code == 0
    assert built.is_dir()


@pytest.fixture
def lone(built: Path, tmp_path: Path) -> Path:
    """Copy the artifact and its three bundles, as somebody downloads them, and return the file."""
    folder = tmp_path / "down loads"
    folder.mkdir()
    for path in (built / "tea", *built.glob("*.sigstore.json")):
        shutil.copy(path, folder)
    return folder / "tea"


def test_lone_file_by_the_bundles_beside_it(run: Run, lone: Path) -> None:
    ended = run("verify", str(lone))
    assert (ended.code, ended.err) == (0, "")
    kinds = [line.split()[-1] for line in ended.out.splitlines() if line.startswith("verified")]
    assert kinds == ["https://slsa.dev/provenance/v1", "https://spdx.dev/Document/v2.3", "https://cyclonedx.org/bom"]


@pytest.mark.parametrize(("broken", "code"), [("", 0), ("file", 2), ("bundle", 2), ("bundles", 2), ("record", 1)])
def test_name_of_a_file_is_no_line_of_its_own(run: Run, lone: Path, broken: str, code: int) -> None:
    """Strangers name files; `verify *` must not print what they would like to see."""
    evil = lone.with_name("tea\x1b[2J\nverified  kettle:tea@linux\u2028amd64")
    for path in list(lone.parent.iterdir()):
        path.rename(path.with_name(path.name.replace("tea", evil.name, 1)))
    if broken == "file":
        evil.unlink()
        evil.symlink_to("nowhere")
    for bundle in lone.parent.glob("*.sigstore.json"):
        if broken == "bundles":
            bundle.unlink()
        elif broken == "bundle":
            bundle.write_bytes(b"{}")
    if broken == "record":
        evil.with_name(f"{evil.name}.record.json").write_bytes(b"{}")
    ended = run("verify", str(evil))
    assert ended.code == code
    assert not [c for c in (ended.out + ended.err).replace("\n", "") if not c.isprintable()]
    assert [line for line in ended.out.split("\n") if line.startswith("verified  kettle")] == []


def test_lone_file_by_a_named_bundle(run: Run, lone: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "any.json"
    shutil.copy(lone.with_name("tea.spdx.sigstore.json"), bundle)
    ended = run("verify", str(lone), "--bundle", str(bundle))
    assert ended.code == 0
    assert next(line.split()[-1] for line in ended.out.splitlines()) == "https://spdx.dev/Document/v2.3"


def test_lone_file_that_was_changed(run: Run, lone: Path) -> None:
    lone.write_bytes(b"poison")
    ended = run("verify", str(lone))
    assert ended.code == 1
    assert "the statement is about `tea`" in ended.out


def test_lone_file_by_a_bundle_under_a_wrong_name(run: Run, lone: Path) -> None:
    """The name promises provenance; that an SBOM was signed must not pass for it."""
    shutil.copy(lone.with_name("tea.spdx.sigstore.json"), lone.with_name("tea.provenance.sigstore.json"))
    ended = run("verify", str(lone))
    assert ended.code == 1
    assert "not verified" in ended.out


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000])
def test_lone_file_by_what_is_no_bundle(run: Run, lone: Path, tmp_path: Path, content: bytes) -> None:
    bundle = tmp_path / "any.json"
    bundle.write_bytes(content)
    ended = run("verify", str(lone), "--bundle", str(bundle))
    assert ended.code == 2
    assert f"`{bundle}`" in ended.out + ended.err
    assert "Traceback" not in ended.out + ended.err


def test_lone_file_without_bundles(run: Run, lone: Path) -> None:
    for bundle in lone.parent.glob("*.sigstore.json"):
        bundle.unlink()
    ended = run("verify", str(lone))
    assert ended.code == 2
    assert f"no bundle lies beside `{lone}`" in ended.out + ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bundle", "x.json"],
        ["--bundle", "x.json", "dist"],
        ["--bundle", "x.json", "kettle:tea"],
        ["--bundle", "x.json", "dist/kettle/tea/linux-amd64/tea", "provenance.toml"],
        ["--bundel", "x.json"],
        ["--key"],
        ["--key", "missing.pub"],
        ["--key", "provenance.toml"],
        ["kettle:toa"],
        ["*toa*"],
        ["--bundle", "missing.json", "dist/kettle/tea/linux-amd64/tea"],
        ["dist", "--bundle", "x.json"],
        ["dist", "--kye", "x.pub"],
        ["dist", "--key"],
        ["--key="],
        ["--", "--key"],
    ],
)
def test_wrong_usage(run: Run, built: Path, root: Path, arguments: list[str]) -> None:
    (root / "provenance.toml").touch()
    ended = run("verify", *arguments)
    assert ended.code == 2
    assert "error: " in ended.err or "not verified" in ended.out
    assert "Traceback" not in ended.err
    assert "\nverified" not in f"\n{ended.out}"
    assert built.is_dir()


def test_did_you_mean(run: Run, built: Path) -> None:
    assert "did you mean `kettle:tea`?" in run("verify", "kettle:toa").err
    assert built.is_dir()


def test_empty_folder(run: Run, root: Path) -> None:
    (root / "empty" / ".hidden").mkdir(parents=True)
    (root / "empty" / ".hidden" / "x.record.json").touch()
    ended = run("verify", "empty")
    assert ended.code == 2
    assert "no artifact lies in `empty`" in ended.out + ended.err


def test_nobody_is_trusted(run: Run, built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(tmp_path / "none" / "key.pem"))
    ended = run("verify")
    assert (ended.code, ended.out) == (2, "")
    assert "no public key to verify with" in ended.err
    assert not (tmp_path / "none").exists(), "verifying makes no key"
    assert built.is_dir()


def test_keys_of_the_workspace(run: Run, built: Path, root: Path, key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "team.pub").write_bytes(key.public_pem)
    (root / "provenance.toml").write_text('[signing]\npublic-keys = ["team.pub"]\n')
    monkeypatch.setenv("DOIT_PROVENANCE_KEY", str(root.parent / "none" / "key.pem"))
    ended = run("verify")
    assert ended.code == 0
    assert "([signing] public-keys)" in ended.out
    assert built.is_dir()


def test_wrong_configuration(run: Run, built: Path, root: Path) -> None:
    (root / "provenance.toml").write_text("[cargo]\nprofil = 'x'\n")
    ended = run("verify")
    assert (ended.code, ended.out) == (2, "")
    assert "profil" in ended.err
    assert built.is_dir()


def test_folder_needs_no_builder(run: Run, built: Path, kettle: Any) -> None:
    """Whoever verifies has no use for the build tool."""
    kettle.discovery = ToolError("there is no kettle", hint="buy one")
    assert run("verify", str(built)).code == 0
    for what in ([], [TEA]):
        ended = run("verify", *what)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "error: there is no kettle\nhint: buy one\n"


def test_workspace_without_artifacts(run: Run, kettle: Any) -> None:
    kettle.names = []
    assert run("key").code == 0
    ended = run("verify")
    assert ended.code == 2
    assert ended.err.startswith("error: this workspace has no artifacts\nhint: ")


def test_nobody_reads_the_output(built: Path) -> None:
    """As with `doit verify | head -0`: no traceback, and not the code of success."""
    code = "import sys; from doit_provenance.tasks.main import main; sys.exit(main())"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code, "verify", str(built)],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": ""},  # buffered, what was written fails only in the end
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")
