"""Checks every committed change of an instance's row against what may follow what, and against the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tradewind.domain.leases import LOSSES_MAX
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.records import AttemptRow, EventRow, InstanceRow, RunRow
from tradewind.domain.states import SLOT_STATES, TERMINAL_TASK_STATES, RunState, TaskState
from tradewind.ports.metastore import Metastore
from tradewind.testing.memory.edges import COMMITTED_EDGES, FIRST_STATES
from tradewind.testing.simulation.auditor import oracle
from tradewind.testing.simulation.auditor.ledger import Ledger
from tradewind.testing.simulation.auditor.shape import Shape
from tradewind.testing.simulation.timeline import Violation

_STARTED = frozenset({TaskState.SCHEDULED, TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCESS})
_WAITED = frozenset({TaskState.NONE, TaskState.UP_FOR_RETRY})
_PASSED = frozenset({TaskState.SUCCESS, TaskState.SKIPPED, TaskState.REMOVED})
_BY_THE_API = frozenset({TaskState.RUNNING, TaskState.SCHEDULED, *TERMINAL_TASK_STATES}) | {
    TaskState.UP_FOR_RETRY,
    TaskState.UP_FOR_RESCHEDULE,
}


@dataclass(slots=True)
class Commit:
    """One committed batch as the auditor sees it."""

    who: str
    events: list[EventRow]
    acted: set[int] = field(default_factory=set)  # runs on which a person acted
    retried: set[int] = field(default_factory=set)  # runs that were tried again, in part or as a whole
    told: set[tuple[int, str]] = field(default_factory=set)  # (instance, event kind)

    def __post_init__(self) -> None:
        for event in self.events:
            if event.run_pk is None:
                continue
            if event.actor not in {"scheduler", "runtime-api"}:
                self.acted.add(event.run_pk)
            if event.kind == "run.retried":
                self.retried.add(event.run_pk)
            if event.instance_id is not None:
                self.told.add((event.instance_id, event.kind))


class RowAudit:
    """What one run's rows may become."""

    def __init__(self, store: Metastore, ledger: Ledger, leases: dict[tuple[int, int], datetime]) -> None:
        self._store = store
        self._ledger = ledger
        self._leases = leases

    def archived(self, instance_id: int, token: int) -> AttemptRow | None:
        """Return the archive of an attempt."""
        for attempt in self._store.attempts(instance_id):
            if attempt.token == token:
                return attempt
        return None

    def inserted(self, row: InstanceRow) -> None:
        """Check a new row."""
        if row.state not in FIRST_STATES:
            raise Violation(f"S15: {_name(row)} was inserted as {row.state}")

    def changed(self, old: InstanceRow, new: InstanceRow, commit: Commit) -> None:
        """Check a changed row."""
        if new.token < old.token:
            raise Violation(f"S4: the token of {_name(new)} fell from {old.token} to {new.token}")
        moved = (old.state, old.token) != (new.state, new.token)
        if not moved:
            return
        by_hand = new.run_pk in commit.acted
        if new.state not in COMMITTED_EDGES[old.state]:
            raise Violation(f"S15: {_name(new)} went from {old.state} to {new.state}")
        if new.state is TaskState.QUEUED and new.token == old.token:
            raise Violation(f"S2: {_name(new)} was queued again under its old token {new.token}")
        if new.state is TaskState.RUNNING and (old.state is not TaskState.QUEUED or new.token != old.token):
            raise Violation(f"S4: {_name(new)} was claimed as {old.state} with token {old.token}")
        if new.state is not old.state and (new.id, f"task.{new.state}") not in commit.told:
            raise Violation(f"law 2: {_name(new)} became {new.state} without an event")
        if commit.who == "runtime-api" and new.state not in _BY_THE_API:
            raise Violation(f"law 4: the runtime API made {_name(new)} {new.state}")
        if old.state is TaskState.SUCCESS:
            self._left_success(new, commit)
        if old.state is TaskState.RUNNING:
            self._ended(old, new, by_hand=by_hand, again=new.run_pk in commit.retried)
        self._tries(old, new, again=by_hand or new.run_pk in commit.retried)

    def _left_success(self, new: InstanceRow, commit: Commit) -> None:
        if new.state is TaskState.REMOVED or new.run_pk in commit.acted or new.run_pk in commit.retried:
            return
        raise Violation(f"S5: the success of {_name(new)} became {new.state}, and nobody had asked for it")

    def _ended(self, old: InstanceRow, new: InstanceRow, *, by_hand: bool, again: bool) -> None:
        key = (old.id, old.token)
        attempt = self.archived(*key)
        if attempt is None:
            raise Violation(f"attempt {key} of {_name(old)} left running for {new.state} without an archive")
        outcome = attempt.outcome
        if outcome == "lost":
            lease = self._leases.get(key)
            if not self._ledger.was_interrupted(key) and lease is not None and lease >= self._store.now():
                raise Violation(f"S10: attempt {key} of {_name(old)} was taken for lost with a valid lease")
            if new.state is TaskState.FAILED and new.losses <= LOSSES_MAX:
                raise Violation(f"S9: {_name(old)} failed after {new.losses} losses")
            return
        told = self._ledger.spooled.get(key)
        if outcome == "cancelled":
            return  # the worker said so, or the scheduler or a person stopped it
        if outcome in set(OutcomeKind):
            if told is None or told.kind != outcome:
                raise Violation(
                    f"S6: attempt {key} is archived as {outcome}, but reported {told and told.kind}"
                )
            if outcome == "error" and not (by_hand or again) and told.retry is not False:
                self._check_retry(old, new)
            if new.state is TaskState.SUCCESS:
                self._check_xcom(old, told.xcoms.get("proof"))
        elif not by_hand:
            raise Violation(f"attempt {key} of {_name(old)} ended as {outcome} by nobody's hand")

    def _check_retry(self, old: InstanceRow, new: InstanceRow) -> None:
        """Every try that is left is taken, and no more."""
        left = old.try_number < old.tries_max
        if (new.state is TaskState.FAILED) is left:
            raise Violation(
                f"S9: {_name(old)} became {new.state} after try {old.try_number} of {old.tries_max}"
            )

    def _check_xcom(self, row: InstanceRow, proof: str | None) -> None:
        kept = self._store.xcoms(row.run_pk, row.task_id, "proof", row.map_index)
        values = [value for _index, _key, value, _ref in kept]
        if values != ([] if proof is None else [proof]):
            raise Violation(f"S6: {_name(row)} succeeded with {proof}, but its XCom is {values}")

    def _tries(self, old: InstanceRow, new: InstanceRow, *, again: bool) -> None:
        more = new.try_number - old.try_number
        if again and more > 0:
            return  # what is cleared may end and begin again within one decision
        if more not in {0, 1}:
            raise Violation(f"S9: the try of {_name(new)} went from {old.try_number} to {new.try_number}")
        started = new.state in {TaskState.SCHEDULED, TaskState.QUEUED}
        if old.state in _WAITED and started and not more:
            raise Violation(f"S9: {_name(new)} starts a new try under the number {new.try_number}")
        if old.state not in SLOT_STATES or not more or again:
            return
        attempt = self.archived(old.id, old.token)
        if attempt is None or attempt.outcome not in {"error", "failed", "success", "skipped"}:
            raise Violation(
                f"S9: a loss of {_name(new)} used up a try: {old.state} to {new.state}, try {new.try_number}"
            )

    # ---- why it starts ----------------------------------------------------------------------------------

    def starts(
        self, old: InstanceRow | None, new: InstanceRow, shape: Shape, rows: oracle.RowsByTask
    ) -> None:
        """Check that an instance which begins does so for a reason that holds in the rows."""
        if old is not None and old.state is not TaskState.NONE:
            return
        if new.state in _STARTED:
            why = oracle.why_not_run(shape, new, rows)
            if why is not None:
                raise Violation(f"S6: {_name(new)} is {new.state}, but {why}")
            decider = oracle.skipped_by(shape, new, rows)
            if decider is not None:
                raise Violation(f"S6: {_name(new)} is {new.state}, but {_name(decider)} decided to skip it")

    def never_starts(
        self, old: InstanceRow | None, new: InstanceRow, shape: Shape, rows: oracle.RowsByTask
    ) -> None:
        """Check that an instance which is skipped, or ends as upstream_failed, could not have run."""
        if (old is not None and old.state is not TaskState.NONE) or new.state not in {
            TaskState.SKIPPED,
            TaskState.UPSTREAM_FAILED,
        }:
            return
        spared = shape.spec.fail_fast or shape.spec.run_timeout_seconds is not None
        if not spared and oracle.plainly_may_run(shape, new, rows):
            raise Violation(f"S6: {_name(new)} is {new.state}, but its rule lets it run")

    def past(self, new: InstanceRow, shape: Shape, previous: list[InstanceRow]) -> None:
        """Check depends_on_past of an instance that begins."""
        task = shape.tasks[new.task_id]
        names = {new.task_id} if task.depends_on_past or task.wait_for_downstream else set()
        if task.wait_for_downstream:
            names |= shape.below[new.task_id]
        for row in previous:
            if row.task_id in names and row.state not in _PASSED:
                raise Violation(f"{_name(new)} starts while {_name(row)} of the run before is {row.state}")

    def run_ended(self, run: RunRow, rows: list[InstanceRow], shape: Shape) -> None:
        """Check how the scheduler ended a run."""
        if run.state in {RunState.SUCCESS, RunState.FAILED} and not run.reason:
            failed = oracle.end_of(shape, rows)
            if failed is not (run.state is RunState.FAILED):
                states = {_name(row): row.state.value for row in rows}
                raise Violation(f"S13: run {run.run_id} ended as {run.state} with {states}")


def _name(row: InstanceRow) -> str:
    index = ".".join(map(str, row.map_index))
    return f"{row.task_id}[{index}] (instance {row.id})" if index else f"{row.task_id} (instance {row.id})"
