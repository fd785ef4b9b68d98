"""What `doit init` proposes of Nix: the packages of a flake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check import is_fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .evaluation import Evaluator

_ALIAS = "default"
"""Most often another name of a package that has one of its own."""


def propose(evaluator: Evaluator) -> Mapping[str, tuple[str, ...]]:
    """Return the packages that the flake has for this machine; nothing where there is no flake in the root.

    Their names are all that Nix is asked for, which evaluates none of them.

    Raises:
        ToolError: Nix is missing, or can't tell.
    """
    if not (evaluator.flake / "flake.nix").is_file():
        return {}
    names = [name for name in evaluator.names() if is_fit(name)]
    own = tuple(name for name in names if name != _ALIAS) or tuple(names)
    return {"nix.packages": own} if own else {}
