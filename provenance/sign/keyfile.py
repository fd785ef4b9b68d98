"""Private key files: where they are, what is refused when one is read, and how one is created exactly once."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY_VARIABLE = "DOIT_PROVENANCE_KEY"

_CI_VARIABLES = (
    "CI",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BUILDKITE",
    "CIRCLECI",
    "JENKINS_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
)


def default_key_path(environ: Mapping[str, str]) -> Path:
    """Return where the user's key lies: `$DOIT_PROVENANCE_KEY`, else `key.pem` in the user's configuration folder.

    Raises:
        KeyFileError: the variable begins with the home folder of somebody who has none.
    """
    if given := environ.get(KEY_VARIABLE, ""):
        try:
            return Path(given).expanduser()
        except RuntimeError as error:
            raise KeyFileError(f"`{KEY_VARIABLE}` names an unknown home folder: `{given}`") from error
    import platformdirs

    return platformdirs.user_config_path("doit-provenance") / "key.pem"


def public_path(path: Path) -> Path:
    """Return where the public half of the private key at `path` lies: beside it, with the extension `pub`."""
    return path.parent / f"{path.stem}.pub"


def is_ci(environ: Mapping[str, str]) -> bool:
    """Return whether this is a job of a CI system, by the variables that these set."""
    return any(environ.get(name, "").lower() not in {"", "0", "false"} for name in _CI_VARIABLES)


_LIMIT = 64 << 10
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path) -> bytes:
    """Return the bytes of the private key file at `path`.

    What is checked is the opened file itself, so nothing can be put in its place between check and reading.

    Raises:
        KeyFileError: it is missing, no regular file, too large, readable by others, or somebody else's.
    """
    try:
        link = path.lstat()
        if stat.S_ISLNK(link.st_mode) and not _ours(link):
            raise KeyFileError(f"the key `{path}` is a symbolic link of another user", hint="point to the key itself")
        # Without O_NONBLOCK a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _refuse_unsafe(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                data = stream.read(_LIMIT + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise KeyFileError(f"there is no key at `{path}`") from error
    except OSError as error:
        raise KeyFileError(f"can't read the key `{path}`: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise KeyFileError(f"`{path}` is too large to be a private key")
    return data


def create_private(path: Path, data: bytes) -> bool:
    """Create the file at `path` with mode 0600, whole or not at all; return False where one is there already.

    Of several processes that do this at once, exactly one creates it. A missing folder is made, with mode 0700.

    Raises:
        KeyFileError: it can't be created, or everybody may replace files in its folder.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise KeyFileError(
                f"everybody may replace files in `{folder}`, so no key is made there", hint=f"chmod o-w '{folder}'"
            )
        with _written_beside(path, data, 0o600) as temporary:
            try:
                # Unlike a rename, a link never replaces what another process has just put there.
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
        _sync(folder)
    except OSError as error:
        raise KeyFileError(f"can't create the key `{path}`: {error.strerror}") from error
    return True


def replace_public(path: Path, data: bytes) -> None:
    """Write the public file at `path` with mode 0644, whole or not at all.

    Raises:
        OSError: it can't be written; whether that matters is known to the caller.
    """
    with _written_beside(path, data, 0o644) as temporary:
        temporary.replace(path)
    _sync(path.parent)


@contextmanager
def _written_beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _ours(found: os.stat_result) -> bool:
    return found.st_uid in {0, os.geteuid()}


def _refuse_unsafe(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileError(f"the key `{path}` is not a regular file")
    if not _ours(found):
        raise KeyFileError(f"the key `{path}` belongs to another user (uid {found.st_uid})")
    if found.st_mode & _OTHERS:
        raise KeyFileError(
            f"the key `{path}` can be used by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"chmod 600 '{path}'",
        )
