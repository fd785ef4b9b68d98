"""Where signing keys lie, and whether any may be made here: told without reading one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
