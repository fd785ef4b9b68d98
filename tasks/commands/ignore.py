"""`doit ignore`: doit's own, which for a group of ours means its artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doit.cmd_ignore import Ignore as DoitIgnore

from .base import with_members

if TYPE_CHECKING:
    from collections.abc import Sequence


class Ignore(DoitIgnore):  # type: ignore[misc] # doit has no types
    """Lets runs and plans pass over tasks, until `doit forget` names them."""

    name = "ignore"

    def _execute(self, pos_args: Sequence[str]) -> None:
        super()._execute(with_members(pos_args, self.task_list))
