"""The images that a docker engine holds: what they are, and saving one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ....provenance.errors import ToolError, quoted
from ....provenance.fs.store import writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

_CHUNK = 1 << 20
_TIMEOUT = 300
"""Seconds that the engine may say nothing: it puts an archive together before it sends it."""


def image_id(name: str) -> str:
    """Return an engine's id of an image, `sha256:…`.

    Raises:
        ToolError: there is no engine, or no such image in it.
    """
    with opened_engine() as client:
        return str(client.images.get(name).id)


def save(name: str, target: Path) -> str:
    """Save an image into an archive, and return the engine's id of it.

    It is the very image of that id that is saved, whatever the name comes to stand for meanwhile.

    Raises:
        ToolError: there is no engine, no such image in it, or the engine ends before the archive does.
        StoreError: the archive can't be written.
    """
    with opened_engine() as client:
        found = str(client.images.get(name).id)
        with writing(target):
            archive = target.open("wb", buffering=0)
        with archive:
            for chunk in client.api.get_image(found, chunk_size=_CHUNK):
                with writing(target):  # and not around the loop: what breaks there is the engine
                    archive.write(chunk)
    return found


@contextmanager
def opened_engine() -> Iterator[DockerClient]:
    """Yield a client of the engine that the environment names, as the docker command has it."""
    import docker
    from docker.errors import DockerException, ImageNotFound
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        client = docker.from_env(timeout=_TIMEOUT)
    except (DockerException, ValueError) as error:  # the latter for an address in DOCKER_HOST that is none
        raise ToolError(
            f"no docker engine can be reached: {_reason(error)}",
            hint="start it, or set DOCKER_HOST to where it listens",
        ) from error
    try:
        yield client
    except ImageNotFound as error:
        raise ToolError(f"the docker engine has no such image: {error.explanation}", hint="build or pull it") from error
    except (DockerException, RequestException, HTTPError) as error:  # streams are read past `requests`
        raise ToolError(f"the docker engine failed: {quoted(str(error))}") from error
    finally:
        client.close()


def _reason(error: BaseException) -> str:
    """Say in few words why there is no connection; docker's library wraps the reason, and what it says shows that."""
    inner = error
    while (cause := inner.__cause__ or inner.__context__) is not None:
        inner = cause
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else str(error)
