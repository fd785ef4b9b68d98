"""Private key files: default paths, safety checks when reading, and atomic creation."""

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
    """Return the path of the user's key: `$DOIT_PROVENANCE_KEY`, else `key.pem` in the user's configuration folder.

    Raises:
        KeyFileError: the variable starts with `~USER` and that user has no home folder.
    """
    if given := environ.get(KEY_VARIABLE, ""):
        try:
            return Path(given).expanduser()
        except RuntimeError as error:
            raise KeyFileError(f"`{KEY_VARIABLE}` names an unknown home folder: `{given}`") from error
    import platformdirs

    return platformdirs.user_config_path("doit-provenance") / "key.pem"


def public_path(path: Path) -> Path:
    """Return the path of the public key of the private key at `path`: beside it, with the extension `pub`."""
    return path.parent / f"{path.stem}.pub"


def is_ci(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a CI job, by the environment variables of common CI systems."""
    return any(environ.get(name, "").lower() not in {"", "0", "false"} for name in _CI_VARIABLES)


_LIMIT = 64 << 10
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path) -> bytes:
    """Return the bytes of the private key file at `path`.

    The checks are made on the open file, so it can't be replaced between check and read.

    Raises:
        KeyFileError: it is missing, not a regular file, too large, accessible to others, or owned by another user.
    """
    try:
        link = path.lstat()
        if stat.S_ISLNK(link.st_mode) and not _ours(link):
            raise KeyFileError(
                f"the key `{path}` is a symbolic link of another user", hint="use the path of the key itself"
            )
        # Without O_NONBLOCK, opening a named pipe would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _refuse_unsafe(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                data = stream.read(_LIMIT + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise KeyFileError(f"no key at `{path}`") from error
    except OSError as error:
        raise KeyFileError(f"can't read the key `{path}`: {error.strerror}") from error
    if len(data) > _LIMIT:
        raise KeyFileError(f"`{path}` is too large to be a private key")
    return data


def create_private(path: Path, data: bytes) -> bool:
    """Create the file at `path` atomically with mode 0600; return False if it exists already.

    Of several concurrent processes exactly one creates it. A missing folder is created with mode 0700.

    Raises:
        KeyFileError: it can't be created, or its folder is world-writable.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise KeyFileError(
                f"`{folder}` is world-writable, so no key is created there", hint=f"chmod o-w '{folder}'"
            )
        with _written_beside(path, data, 0o600) as temporary:
            try:
                # Unlike rename, link fails if another process has just created the file.
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
        _sync(folder)
    except OSError as error:
        raise KeyFileError(f"can't create the key `{path}`: {error.strerror}") from error
    return True


def replace_public(path: Path, data: bytes) -> None:
    """Write the public key file at `path` atomically with mode 0644.

    Raises:
        OSError: it can't be written; the caller decides whether that is an error.
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


def _ours(status: os.stat_result) -> bool:
    return status.st_uid in {0, os.geteuid()}


def _refuse_unsafe(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"the key `{path}` is not a regular file")
    if not _ours(status):
        raise KeyFileError(f"the key `{path}` is owned by another user (uid {status.st_uid})")
    if status.st_mode & _OTHERS:
        raise KeyFileError(
            f"the key `{path}` is accessible to others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"chmod 600 '{path}'",
        )
