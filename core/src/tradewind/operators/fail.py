"""Fail on purpose: the end of a branch that must not be reached, or a task to try alerts with."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from tradewind.authoring.operator import ActionOperator
from tradewind.authoring.options import TaskOptions
from tradewind.errors import Fail


class FailOperator(ActionOperator):
    """Fail with ``message``, without a retry."""

    template_fields: ClassVar[tuple[str, ...]] = ("message",)

    def __init__(self, *, message: str = "this task always fails", **kwargs: Unpack[TaskOptions]) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Any) -> None:
        """Raise Fail."""
        raise Fail(self.message)
