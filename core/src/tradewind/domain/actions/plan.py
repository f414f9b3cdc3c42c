"""A plan: what an act of a person will write, and the same told to the person before it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from tradewind.domain.leases import LEASE_SECONDS
from tradewind.domain.records import (
    AttemptRow,
    Batch,
    EventRow,
    Guard,
    InstanceRow,
    InstanceWrite,
    MapIndex,
    RunRow,
    RunWrite,
)
from tradewind.domain.spec import INSTANCES_PER_RUN_MAX
from tradewind.domain.states import (
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    RunEvent,
    TaskEvent,
    TaskState,
    advance,
    advance_run,
    can_run,
)
from tradewind.errors import ConflictError, LimitError


class Affected(NamedTuple):
    """One task instance that the act changes."""

    task_id: str
    map_index: MapIndex
    state: TaskState  # as read
    becomes: TaskState


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """What an act does: shown by a dry run, committed otherwise.

    The batch is guarded by what was read. When the commit answers ``LostRace``, read again and plan again.
    """

    batch: Batch
    affected: tuple[Affected, ...] = ()
    notes: tuple[str, ...] = ()  # sentences for the person


@dataclass(frozen=True, slots=True)
class Act:
    """Who does what, when and why; audited with every row it changes."""

    kind: str  # "clear", "mark_success", …
    actor: str
    now: datetime
    why: str = ""


@dataclass(slots=True)
class Draft:
    """Collects the writes of one act on one run; :meth:`plan` closes it.

    The run's row is always written, also when it does not change: its guard then refuses the act if the run
    started or ended meanwhile.
    """

    act: Act
    read: RunRow
    run: RunRow = field(init=False)
    writes: dict[int, InstanceWrite] = field(default_factory=dict)
    attempts: list[AttemptRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    affected: list[Affected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)  # goes into the audit line of the act

    def __post_init__(self) -> None:
        self.run = self.read

    # -- the run ------------------------------------------------------------------------------------------------

    def set_run(self, **changes: Any) -> None:
        """Change columns of the run but its state."""
        self.run = msgspec.structs.replace(self.run, **changes)

    def move_run(self, event: RunEvent, **changes: Any) -> None:
        """Change the run's state by ``event``; ``ConflictError`` when it cannot happen to a run in its state."""
        if not can_run(self.run.state, event):
            raise ConflictError(
                f'run "{self.run.run_id}" of DAG "{self.run.dag_id}" is {self.run.state}: '
                f"it cannot {event.value.replace('_', ' ')} now"
            )
        self.run = msgspec.structs.replace(self.run, state=advance_run(self.run.state, event), **changes)

    def reopen_if_ended(self) -> None:
        """Queue the run again if it had ended, so that it goes on and its end is judged anew."""
        if self.run.state in TERMINAL_RUN_STATES:
            self.move_run(
                RunEvent.REOPEN,
                clear_number=self.run.clear_number + 1,
                queued_at=self.act.now,
                started_at=None,  # its time limit counts from its next start
                ended_at=None,
                reason="",
            )
            self.notes.append(f'run "{self.run.run_id}" had ended as {self.read.state}: it is queued again')

    # -- instances ----------------------------------------------------------------------------------------------

    def move(self, row: InstanceRow, event: TaskEvent, **changes: Any) -> None:
        """Change an instance's state by ``event``.

        If it had not ended, its token becomes stale: whatever its attempt still reports is refused. A running
        attempt is archived as ended by this act.
        """
        state = advance(row.state, event)
        stale = row.token > 0 and row.state not in TERMINAL_TASK_STATES
        self._write(
            row,
            msgspec.structs.replace(
                row, state=state, token=row.token + stale, lease_until_at=None, **changes
            ),
        )
        if row.state is TaskState.RUNNING:
            self.attempts.append(_archived(row, state, self.act))
        self._changed(row, state)

    def change(self, row: InstanceRow, **changes: Any) -> None:
        """Change columns of an instance that keeps its state."""
        self._write(row, msgspec.structs.replace(row, **changes))
        self._changed(row, row.state)

    def insert(self, row: InstanceRow) -> None:
        """Add an instance; its id must be the next one of the run (:meth:`take_ordinal`)."""
        self.writes[row.id] = InstanceWrite(row=row)
        self._changed(row, row.state)

    def take_ordinal(self) -> int:
        """Return the next free ordinal of the run; ``LimitError`` when it has used up all it can have."""
        ordinal = self.run.instances
        if ordinal > INSTANCES_PER_RUN_MAX:
            raise LimitError(
                f'run "{self.run.run_id}" of DAG "{self.run.dag_id}" has had {ordinal:,} task instances, the most a '
                "run can have; trigger a new run instead"
            )
        self.run = msgspec.structs.replace(self.run, instances=ordinal + 1)
        return ordinal

    def _write(self, read: InstanceRow, row: InstanceRow) -> None:
        # The lease in the row was read some time ago; writing it back would take beats away from the attempt.
        running = row.state is TaskState.RUNNING
        self.writes[row.id] = InstanceWrite(
            row=row, guard=Guard(read.state, read.token), lease_seconds=LEASE_SECONDS if running else None
        )

    def _changed(self, row: InstanceRow, state: TaskState) -> None:
        self.affected.append(Affected(row.task_id, row.map_index, row.state, state))
        self.events.append(
            EventRow(
                kind=f"task.{state}",
                dag_id=self.read.dag_id,
                run_pk=self.read.pk,
                run_id=self.read.run_id,
                instance_id=row.id,
                task_id=row.task_id,
                map_index=row.map_index,
                actor=self.act.actor,
                data=_without_empty({"from": row.state.value, "act": self.act.kind, "why": self.act.why}),
            )
        )

    # -- the end ------------------------------------------------------------------------------------------------

    def plan(self) -> ActionPlan:
        """Return the plan; one audit line of the act itself comes first among its events."""
        events = [self._audit(), *self.events]
        if self.run.state is not self.read.state:
            events.append(
                self._event(f"run.{self.run.state}", {"from": self.read.state.value, "act": self.act.kind})
            )
        return ActionPlan(
            batch=Batch(
                runs=(RunWrite(row=self.run, guard=self.read.state),),
                instances=tuple(self.writes[key] for key in sorted(self.writes)),
                attempts=tuple(self.attempts),
                events=tuple(events),
            ),
            affected=tuple(self.affected),
            notes=tuple(self.notes),
        )

    def nothing(self, note: str) -> ActionPlan:
        """Return the plan of an act that found nothing to do: writes nothing and says so."""
        return ActionPlan(Batch(), notes=(*self.notes, note))

    def _audit(self) -> EventRow:
        return self._event(
            f"act.{self.act.kind}", {"why": self.act.why, "instances": len(self.affected), **self.data}
        )

    def _event(self, kind: str, data: dict[str, Any]) -> EventRow:
        return EventRow(
            kind=kind,
            dag_id=self.read.dag_id,
            run_pk=self.read.pk,
            run_id=self.read.run_id,
            actor=self.act.actor,
            data=_without_empty(data),
        )


def _archived(row: InstanceRow, state: TaskState, act: Act) -> AttemptRow:
    return AttemptRow(
        instance_id=row.id,
        token=row.token,
        try_number=row.try_number,
        state=state,
        outcome=_OUTCOMES[act.kind],
        reason=reason_text(act),
        worker=row.worker,
        queued_at=row.queued_at,
        started_at=row.started_at,
        ended_at=act.now,
    )


def reason_text(act: Act) -> str:
    """Return the act as the reason of what it led to: ``cleared by anna: bad input``."""
    words = _OUTCOMES.get(act.kind, act.kind)
    return f"{words} by {act.actor}: {act.why}" if act.why else f"{words} by {act.actor}"


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value not in ("", None, [], {})}


# What the attempt archive calls an attempt that a person's act ended.
_OUTCOMES = {
    "clear": "cleared",
    "cancel": "cancelled",
    "mark_success": "marked success",
    "mark_failed": "marked failed",
}
