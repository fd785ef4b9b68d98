"""A secret that would be sent with a context is refused; one that lies elsewhere is nobody's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doit_provenance.provenance.errors import BuildError
from doit_provenance.tasks.images.docker.inputs import refuse_in_contexts, refuse_missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doit_provenance.tasks.images.docker.builder import DockerBuilder

TABLE = """
[docker.app]
context = "app"
contexts = {{ more = "more" }}
secrets = ["{}"]
"""


@pytest.fixture
def judged(images: Callable[[str], DockerBuilder], root: Path) -> Callable[[str], None]:
    """Return what judges a secret of an image."""
    for name in ("app/.npmrc", "app/ignored", "more/token", "outside"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("secret")
    (root / "app/.dockerignore").write_text("ignored\n")
    (root / "link").symlink_to("app/.npmrc")

    def judge(secret: str) -> None:
        context = images(TABLE.format(secret)).context
        (docker,) = context.workspace.config.dockers
        refuse_in_contexts(context, docker)

    return judge


@pytest.mark.parametrize(
    "secret",
    ["id=x,src=app/.npmrc", "type=file,id=x,source=./app/../app/.npmrc", "id=x,src=link", "id=x,src=more/token"],
)
def test_refused(judged: Callable[[str], None], secret: str) -> None:
    with pytest.raises(BuildError, match=r"the secret `(app/.npmrc|more/token)` of `\[docker.app\]` lies in its build"):
        judged(secret)


@pytest.mark.parametrize("secret", ["id=x,src=outside", "id=x,src=app/ignored", "id=.npmrc,env=TOKEN", "id=nothing"])
def test_taken(judged: Callable[[str], None], secret: str) -> None:
    judged(secret)


def test_an_id_alone_may_be_a_file(judged: Callable[[str], None], root: Path) -> None:
    (root / "app/link").symlink_to("../token")
    (root / "token").write_text("secret")
    judged("id=token")
    (root / "token").unlink()
    (root / "token").symlink_to("app/.npmrc")
    with pytest.raises(BuildError, match="lies in its build context"):
        judged("id=token")


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("id=x,env=NO_SUCH_TOKEN", "environment variable `NO_SUCH_TOKEN`, which is not set"),
        ("type=env,id=x,env=NO_SUCH_TOKEN", "which is not set"),
        ("id=x,src=nothing", "is no file: `nothing`"),
        ("id=x,source=app", "is no file: `app`"),
    ],
)
def test_missing_secret_is_no_empty_one(
    images: Callable[[str], DockerBuilder], root: Path, secret: str, said: str
) -> None:
    (root / "app").mkdir()
    context = images(TABLE.format(secret)).context
    (docker,) = context.workspace.config.dockers
    with pytest.raises(BuildError, match=said):
        refuse_missing(context.workspace, docker)


@pytest.mark.parametrize("secret", ["id=x,env=TOKEN", "id=x,src=outside", "id=whatever"])
def test_secret_that_is_there(
    images: Callable[[str], DockerBuilder], root: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    (root / "app").mkdir()
    (root / "outside").touch()
    monkeypatch.setenv("TOKEN", "")
    context = images(TABLE.format(secret)).context
    (docker,) = context.workspace.config.dockers
    refuse_missing(context.workspace, docker)
