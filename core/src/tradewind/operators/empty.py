"""Do nothing: a point where edges meet."""

from __future__ import annotations

from typing import Any, ClassVar

from tradewind.authoring.operator import ActionOperator


class EmptyOperator(ActionOperator):
    """A task without work: the scheduler ends it at once, no worker is asked, unless it has callbacks or outlets."""

    does_nothing: ClassVar[bool] = True

    def execute(self, context: Any) -> None:
        """Do nothing."""
