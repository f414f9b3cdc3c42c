"""Wait for a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from tradewind.authoring.options import as_timedelta
from tradewind.errors import ArgumentError, Reschedule, TradewindError
from tradewind.sensors.waiting import SensorOperator


class _MomentSensor(SensorOperator):
    """A sensor that knows when it will be so: with mode "reschedule" it comes back once, at that moment."""

    def moment(self, context: Any) -> datetime:
        """Return the moment to wait for."""
        raise NotImplementedError

    def poke(self, context: Any) -> bool:
        """Whether the moment has come."""
        moment = self.moment(context)
        if context.now() >= moment:
            return True
        if self.mode == "reschedule" and self.timeout is None:
            raise Reschedule(f"waiting until {moment.isoformat()}", at=moment)
        return False

    def _next_wait(self, pokes: int, began: datetime, context: Any) -> timedelta:
        left: timedelta = self.moment(context) - context.now()
        return min(super()._next_wait(pokes, began, context), max(left, timedelta(0)))


class DateTimeSensor(_MomentSensor):
    """Wait until ``target``: an aware datetime, or ISO text, which may be a template.

    ``DateTimeSensor(task_id="wait", target="{{ data_interval_end + macros.timedelta(hours=2) }}")``
    """

    template_fields: ClassVar[tuple[str, ...]] = ("target",)

    def __init__(self, *, target: datetime | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target

    def moment(self, context: Any) -> datetime:
        """Return the target."""
        return _aware(self.target, self.task_id)

    def describe(self) -> str:
        """Name the target."""
        return f"waiting until {self.target}"


class TimeDeltaSensor(_MomentSensor):
    """Wait until ``delta`` after the end of the run's data interval."""

    def __init__(self, *, delta: timedelta | float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delta: timedelta = as_timedelta(delta)
        if not isinstance(self.delta, timedelta):
            raise ArgumentError(f'Sensor "{self.task_id}" has delta={delta!r}; give seconds or a timedelta.')

    def moment(self, context: Any) -> datetime:
        """Return the moment after the run's interval."""
        end: datetime = context.run.data_interval_end
        return end + self.delta

    def describe(self) -> str:
        """Name the delta."""
        return f"waiting until {self.delta} after the data interval"


def _aware(value: datetime | str, task_id: str) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise TradewindError(
            f'the target of sensor "{task_id}" is {value!r}, which is no ISO date and time'
        ) from None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise TradewindError(
            f'the target of sensor "{task_id}" is {value!r}, which has no time zone; add one: +00:00'
        )
    return found
