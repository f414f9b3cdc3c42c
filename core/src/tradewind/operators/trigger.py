"""Start a run of another DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Unpack

from tradewind.authoring.operator import ActionOperator
from tradewind.authoring.options import TaskOptions, as_timedelta, as_tuple
from tradewind.errors import ConflictError, Reschedule, Skip, TradewindError

_STATE_KEY = "triggered_run"
_ENDED_BADLY = ("failed", "cancelled")


class TriggeredRunError(TradewindError):
    """The run that was started did not end as it should."""


class TriggerDagRunOperator(ActionOperator):
    """Start a run of the DAG ``trigger_dag_id``; its run_id is the output.

    ``conf``, ``run_id``, ``logical_date`` (a datetime or ISO text) and ``note`` are the new run's. A ``run_id`` that
    exists is an error, with ``skip_when_already_exists`` it skips this task. With ``wait_for_completion`` the task
    frees its slot and looks again every ``poke_interval``, until the run is in one of ``allowed_states`` (success) or
    ``failed_states`` (failure). A retry waits on for the same run, unless that has failed: then it starts another.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("trigger_dag_id", "conf", "run_id", "logical_date", "note")

    def __init__(
        self,
        *,
        trigger_dag_id: str,
        conf: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        logical_date: datetime | str | None = None,
        note: str = "",
        wait_for_completion: bool = False,
        poke_interval: timedelta | float = 60,
        allowed_states: str | Sequence[str] = "success",
        failed_states: str | Sequence[str] = _ENDED_BADLY,
        skip_when_already_exists: bool = False,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.trigger_dag_id = trigger_dag_id
        self.conf = conf
        self.run_id = run_id
        self.logical_date = logical_date
        self.note = note
        self.wait_for_completion = wait_for_completion
        self.poke_interval: timedelta = as_timedelta(poke_interval)
        self.allowed_states = as_tuple(allowed_states)
        self.failed_states = as_tuple(failed_states)
        self.skip_when_already_exists = skip_when_already_exists

    def execute(self, context: Any) -> str:
        """Start the run, or find the one an earlier try started; wait for it if asked to."""
        run_id = self._earlier(context) or self._start(context)
        if self.wait_for_completion:
            self._wait(run_id, context)
        return run_id

    def _earlier(self, context: Any) -> str | None:
        """Return the run that this task started before, when it still is of use."""
        started: dict[str, Any] | None = context.state.get(_STATE_KEY)
        if started is None:
            return None
        run_id: str = started["run_id"]
        state, _tasks = context.runs.state(self.trigger_dag_id, run_id=run_id)
        another_try = started["try_number"] != context.ti.try_number
        if state is None or (another_try and state in self.failed_states and not self.run_id):
            return None
        return run_id

    def _start(self, context: Any) -> str:
        run_id, created = context.runs.trigger(
            self.trigger_dag_id,
            conf=self.conf,
            run_id=self.run_id or None,
            logical_date=_as_instant(self.logical_date),
            note=self.note,
        )
        if not created:
            if self.skip_when_already_exists:
                raise Skip(f"run {run_id} of DAG {self.trigger_dag_id} exists already")
            raise ConflictError(
                f'DAG "{self.trigger_dag_id}" has a run "{run_id}" already. Give another run_id, none at all, or '
                "skip_when_already_exists=True"
            )
        context.log.info("started run %s of DAG %s", run_id, self.trigger_dag_id)
        context.state[_STATE_KEY] = {"run_id": run_id, "try_number": context.ti.try_number}
        return str(run_id)

    def _wait(self, run_id: str, context: Any) -> None:
        state, _tasks = context.runs.state(self.trigger_dag_id, run_id=run_id)
        if state in self.allowed_states:
            return
        if state is None or state in self.failed_states:
            raise TriggeredRunError(f'run {run_id} of DAG "{self.trigger_dag_id}" is {state or "gone"}')
        raise Reschedule(f"run {run_id} of DAG {self.trigger_dag_id} is {state}", delay=self.poke_interval)


def _as_instant(value: datetime | str | None) -> datetime | None:
    if value is None or value == "":
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if found.tzinfo is None:
        raise TradewindError(
            f"logical_date {found.isoformat()} has no time zone; add one, for example +00:00"
        )
    return found
