"""Wait for a run of another DAG, or for tasks of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from tradewind.authoring.options import as_timedelta, as_tuple
from tradewind.errors import ArgumentError, NotFoundError, Skip
from tradewind.sensors.waiting import ExternalFailure, SensorOperator

_ENDED_BADLY = ("failed", "upstream_failed", "cancelled", "unknown")


class ExternalTaskSensor(SensorOperator):
    """Wait until the run of ``external_dag_id`` for the same logical date is done, or ``external_task_ids`` in it.

    The other run's date is ``execution_delta`` earlier, or what ``logical_date_fn(logical_date, context)`` returns;
    or ``external_run_id`` names the run. The wait is over when everything is in ``allowed_states`` (success). One
    that is in ``failed_states`` (failed, upstream_failed, cancelled, unknown) fails this task, one in
    ``skipped_states`` skips it. A run that does not exist yet is waited for, unless ``check_existence``: then it is an
    error at the first look.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("external_dag_id", "external_task_ids", "external_run_id")

    def __init__(
        self,
        *,
        external_dag_id: str,
        external_task_ids: str | Sequence[str] | None = None,
        external_run_id: str | None = None,
        execution_delta: timedelta | float | None = None,
        logical_date_fn: Callable[..., datetime] | None = None,
        allowed_states: str | Sequence[str] = "success",
        failed_states: str | Sequence[str] = _ENDED_BADLY,
        skipped_states: str | Sequence[str] = (),
        check_existence: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if sum(one is not None for one in (external_run_id, execution_delta, logical_date_fn)) > 1:
            raise ArgumentError(
                f'Sensor "{self.task_id}" takes one of external_run_id, execution_delta and logical_date_fn, not more.'
            )
        self.external_dag_id = external_dag_id
        self.external_task_ids = list(as_tuple(external_task_ids)) or None
        self.external_run_id = external_run_id
        self.execution_delta: timedelta | None = as_timedelta(execution_delta)
        self.logical_date_fn = logical_date_fn
        self.allowed_states = as_tuple(allowed_states)
        self.failed_states = as_tuple(failed_states)
        self.skipped_states = as_tuple(skipped_states)
        self.check_existence = check_existence
        doubled = set(self.allowed_states) & {*self.failed_states, *self.skipped_states}
        if doubled and failed_states is not _ENDED_BADLY:
            raise ArgumentError(
                f'Sensor "{self.task_id}" has {", ".join(sorted(doubled))} among its allowed states and among those '
                "that fail or skip it."
            )
        self.failed_states = tuple(one for one in self.failed_states if one not in self.allowed_states)

    def poke(self, context: Any) -> bool:
        """Look at the other run once."""
        date = None if self.external_run_id else self._date(context)
        state, tasks = context.runs.state(
            self.external_dag_id, run_id=self.external_run_id or None, logical_date=date
        )
        if state is None:
            if self.check_existence:
                which = self.external_run_id or (date and date.isoformat())
                raise NotFoundError(f'DAG "{self.external_dag_id}" has no run for {which}')
            return False
        return self._judge([state] if not self.external_task_ids else self._task_states(tasks, state))

    def _date(self, context: Any) -> datetime:
        date: datetime = context.run.logical_date
        if self.logical_date_fn is not None:
            return self.logical_date_fn(date, context)
        return date if self.execution_delta is None else date - self.execution_delta

    def _task_states(self, tasks: dict[str, list[str]], run_state: str) -> list[str]:
        """Return the states of all instances asked for; ``none`` for a task whose instances are not made yet."""
        found: list[str] = []
        for task_id in self.external_task_ids or ():
            if task_id in tasks:
                found += tasks[task_id]
            elif run_state == "queued":
                found.append("none")
            else:
                known = ", ".join(list(tasks)[:20]) or "no tasks"
                raise NotFoundError(
                    f'the run of DAG "{self.external_dag_id}" has no task "{task_id}"; it has {known}'
                )
        return found

    def _judge(self, states: list[str]) -> bool:
        what = f'DAG "{self.external_dag_id}"' + (
            f": {', '.join(self.external_task_ids)}" if self.external_task_ids else ""
        )
        for state in states:
            if state in self.skipped_states:
                raise Skip(f"{what} is {state}")
            if state in self.failed_states:
                raise ExternalFailure(f"{what} is {state}")
        return all(state in self.allowed_states for state in states)

    def describe(self) -> str:
        """Name the DAG and tasks."""
        tasks = f" ({', '.join(self.external_task_ids)})" if self.external_task_ids else ""
        return f"waiting for DAG {self.external_dag_id}{tasks}"
