"""An artifact's folder is replaced as a whole or not at all, whatever goes wrong."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from doit_provenance.provenance.errors import StoreError
from doit_provenance.provenance.fs import store

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path("cargo", "tea", "linux")


def _place(output: Path, text: str, folder: Path = FOLDER) -> None:
    with store.staging_for(output, folder) as staging:
        store.write(staging / "tea", text.encode())
        store.commit(staging, output / folder)


def _fails(number: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Make an output folder that holds one artifact, whose file says `old`."""
    output = tmp_path / "dist"
    _place(output, "old")
    return output


def _content(output: Path) -> dict[str, str]:
    """All files and empty folders, staging included."""
    return {
        str(p.relative_to(output)): p.read_text() if p.is_file() else ""
        for p in sorted(output.rglob("*"))
        if p.is_file() or not any(p.iterdir())
    }


OLD = {".gitignore": "*\n", "cargo/tea/linux/tea": "old"}
NEW = OLD | {"cargo/tea/linux/tea": "new"}


def test_first_and_next(output: Path) -> None:
    assert _content(output) == OLD
    _place(output, "new")
    assert _content(output) == NEW


def test_next_without_an_atomic_exchange(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_exchange", lambda _first, _second: False)
    _place(output, "new")
    assert _content(output) == NEW


def test_files_that_are_gone_from_the_new_are_gone(output: Path) -> None:
    with store.staging_for(output, FOLDER) as staging:
        store.write(staging / "other", b"new")
        store.commit(staging, output / FOLDER)
    assert _content(output) == {".gitignore": "*\n", "cargo/tea/linux/other": "new"}


def _write_twice(path: Path) -> None:
    store.write(path, b"new")
    store.write(path, b"newer")


def test_block_that_fails_changes_nothing(output: Path) -> None:
    with pytest.raises(StoreError, match="File exists"), store.staging_for(output, FOLDER) as staging:
        _write_twice(staging / "tea")
    assert _content(output) == OLD


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "open"])
def test_failing_sync_leaves_the_old(output: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    with store.staging_for(output, FOLDER) as staging:
        store.write(staging / "tea", b"new")
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _fails(number))
            with pytest.raises(StoreError, match=os.strerror(number)):
                store.commit(staging, output / FOLDER)
    assert _content(output) == OLD


def test_failing_exchange_leaves_the_old(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_exchange", _fails(errno.EROFS))
    with pytest.raises(StoreError, match="Read-only file system") as caught:
        _place(output, "new")
    assert caught.value.hint is not None
    assert "[project] output" in caught.value.hint
    assert _content(output) == OLD


def test_failing_second_rename_puts_the_old_back(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an exchange there are two renames; when the second fails, the first is undone."""
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        if target.name == FOLDER.name and not self.name.endswith("-old"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(self, target)

    monkeypatch.setattr(store, "_exchange", lambda _first, _second: False)
    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(StoreError, match="No space left") as caught:
        _place(output, "new")
    assert caught.value.hint is not None
    assert "free some disk space" in caught.value.hint
    assert _content(output) == OLD


def test_reader_always_finds_one_whole_folder(output: Path) -> None:
    """The exchange is one step: whoever opens the file meanwhile reads the old or the new one, and never misses it."""
    done = threading.Event()
    missed: list[str] = []

    def read() -> None:
        while not done.is_set():
            try:
                text = (output / FOLDER / "tea").read_text()
            except OSError as error:
                text = str(error)
            if text not in {"old", "new"}:
                missed.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(15):
            _place(output, "new")
            _place(output, "old")
    finally:
        done.set()
        reader.join()
    assert missed == []


def test_exchange_says_whether_it_could(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "1").touch()
    assert store._exchange(first, second)
    assert [p.name for p in second.iterdir()] == ["1"]
    with pytest.raises(FileNotFoundError):
        store._exchange(first, tmp_path / "missing")
    monkeypatch.setattr(store.sys, "platform", "darwin")
    assert not store._exchange(first, second)


def test_left_by_a_killed_run_is_swept(output: Path) -> None:
    left = output / FOLDER.with_name(".staging-linux-0123456789ab")
    left.mkdir()
    (left / "tea").touch()
    left.with_name(f"{left.name}-old").mkdir()
    _place(output, "new")
    assert _content(output) == NEW


def test_staging_of_a_platform_with_a_longer_name_is_not_swept(output: Path) -> None:
    """`wasm32-wasip1` and `wasm32-wasip1-threads` are made at the same time, in the same folder."""
    longer = FOLDER.with_name("linux-threads")
    with store.staging_for(output, longer) as staging:
        store.write(staging / "tea", b"threads")
        _place(output, "new")
        store.commit(staging, output / longer)
    assert _content(output) == NEW | {"cargo/tea/linux-threads/tea": "threads"}


def test_output_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "dist").write_text("a file")
    with pytest.raises(StoreError, match=r"can't write `.*dist"), store.staging_for(tmp_path / "dist", FOLDER):
        pytest.fail("there is no folder to write to")


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "free some disk space"), (errno.EROFS, "is read-only"), (errno.EACCES, "make the folder writable")],
)
def test_staging_that_can_not_be_made(output: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    monkeypatch.setattr(Path, "mkdir", _fails(number))
    with pytest.raises(StoreError, match=os.strerror(number)) as caught, store.staging_for(output, FOLDER):
        pytest.fail("there is no folder to write to")
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    monkeypatch.undo()
    assert _content(output) == OLD


def test_full_disk_while_writing(tmp_path: Path) -> None:
    """`/dev/full` takes no byte; writing to it is what a full disk is like."""
    full = Path(os.devnull).with_name("full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StoreError, match="No space left on device"):
        _write_to(full, b"x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def _write_to(device: Path, data: bytes) -> None:
    with store.explained(device), device.open("wb") as stream:
        stream.write(data)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "tea"
    store.write(path, b"old")
    with pytest.raises(StoreError, match="File exists"):
        store.write(path, b"new")
    assert path.read_bytes() == b"old"


def test_prepared_folder_ignores_itself_and_keeps_what_is_there(tmp_path: Path) -> None:
    store.prepare(tmp_path / "a" / "b")
    ignore = tmp_path / "a" / "b" / ".gitignore"
    assert ignore.read_text() == "*\n"
    ignore.write_text("mine\n")
    store.prepare(tmp_path / "a" / "b")
    assert ignore.read_text() == "mine\n"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_the_folders_place(output: Path, tmp_path: Path, kind: str) -> None:
    place = output / "cargo" / "tea" / "mac"
    if kind == "file":
        place.write_text("not ours")
    else:
        place.symlink_to(tmp_path)
    with pytest.raises(StoreError, match="is in the way"), store.staging_for(output, Path("cargo", "tea", "mac")):
        pytest.fail("it was staged")


def test_prepared_folder_is_not_left_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", lambda self, *_, **__: (self.touch(), _fails(errno.ENOSPC)()))
        with pytest.raises(StoreError, match="No space left"):
            store.prepare(tmp_path / "dist")
    store.prepare(tmp_path / "dist")
    assert (tmp_path / "dist" / ".gitignore").read_text() == "*\n"
