"""Let only the newest scheduled run do what follows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from tradewind.authoring.operator import ActionOperator
from tradewind.domain.timetable import from_spec, parse_schedule
from tradewind.operators.branch import tasks_to_skip

_PEOPLES = frozenset({"manual", "dag", "asset"})  # runs somebody wants now, whatever their date


class LatestOnlyOperator(ActionOperator):
    """Skip the direct downstream tasks unless this is the newest run that is due.

    For catching up: old runs do their bookkeeping, only the newest one sends the mail. Runs that a person, a task or
    an asset started always go on.
    """

    decides_branch: ClassVar[bool] = True

    def execute(self, context: Any) -> bool:
        """Return whether the run is the newest; skip what follows otherwise."""
        newest = context.run.run_type in _PEOPLES or not self._has_next(context)
        if not newest:
            context.log.info("a newer run is due: what follows is skipped")
            context.ti.skip(tasks_to_skip(self, None))
        return newest

    def _has_next(self, context: Any) -> bool:
        """Whether a tick after this run's date has come."""
        dag: Any = self.dag
        if dag is None or dag.schedule is None:
            return False
        start: datetime | None = dag.start_date
        zone = _zone_name(dag.timezone) or (_zone_name(start.tzinfo) if start is not None else None) or "UTC"
        anchor = start.replace(tzinfo=UTC) if start is not None and start.tzinfo is None else start
        schedule = parse_schedule(dag.schedule, timezone=zone, anchor=anchor)
        timetable = None if schedule is None else from_spec(schedule)
        if timetable is None:
            return False
        following = timetable.next_after(context.run.logical_date)
        return following is not None and following <= context.now()


def _zone_name(zone: Any) -> str | None:
    name = getattr(zone, "key", None) or (zone if isinstance(zone, str) else None)
    return name if isinstance(name, str) else None
