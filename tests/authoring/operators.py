"""Small operators that the authoring tests make tasks of."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from tradewind.authoring.operator import ActionOperator, SensorOperator, TransferOperator
from tradewind.authoring.options import TaskOptions


class Say(ActionOperator):
    """Has one required argument and one templated."""

    template_fields: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(self, *, text: Any = "", loud: bool = False, **kwargs: Unpack[TaskOptions]) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.loud = loud

    def execute(self, context: Any) -> Any:
        return self.text


class Move(TransferOperator):
    """Has required arguments."""

    template_fields: ClassVar[tuple[str, ...]] = ("source", "target")

    def __init__(self, *, source: Any, target: Any, **kwargs: Unpack[TaskOptions]) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.target = target


class MoveTwice(Move):
    """Gives an argument of its parent itself."""

    retries = 2

    def __init__(self, *, again: int = 1, **kwargs: Any) -> None:
        super().__init__(target="fixed", **kwargs)
        self.again = again


class Nothing(ActionOperator):
    """Is ended by the scheduler."""

    does_nothing: ClassVar[bool] = True


class Wait(SensorOperator):
    """Waits."""
