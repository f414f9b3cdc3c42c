"""What workers and executors say of attempts: claims, reports, losses."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from tradewind.domain.leases import (
    LEASE_SECONDS,
    Loss,
    ReportVerdict,
    judge_ended,
    loss_delay,
    loss_event,
)
from tradewind.domain.outcome import Outcome, OutcomeKind, judge
from tradewind.domain.records import AttemptRow, XComWrite, run_pk_of
from tradewind.domain.states import SLOT_STATES, TaskEvent, TaskState, can
from tradewind.domain.world.live import Instance
from tradewind.domain.world.moves import Ledger


class Claim(StrEnum):
    """The answer to a claim: ``granted``, or why not."""

    GRANTED = "granted"
    STALE = "stale"  # another attempt is newer, or this one has ended
    TAKEN = "taken"  # another worker or launch has it
    HELD = "held"  # its run was paused, or the task was

    @property
    def granted(self) -> bool:
        """Whether the attempt may run."""
        return self is Claim.GRANTED


class Inbox(Ledger):
    """The calls move the world at once; their answers hold if the next decision is committed."""

    def instance(self, instance_id: int) -> Instance | None:
        """Return an instance of an active run."""
        run = self.runs.get(run_pk_of(instance_id))
        return None if run is None else run.by_id.get(instance_id)

    def claim(self, instance_id: int, token: int, worker: str, claimant: str, now: datetime) -> Claim:
        """Let a worker take a queued attempt. The same launch (``claimant``) may ask again.

        A paused run or task gives nothing away: the attempt goes back into its line.
        """
        instance = self.instance(instance_id)
        if instance is None or instance.token != token:
            return Claim.STALE
        if instance.state is TaskState.RUNNING:
            same = instance.worker == worker and instance.claimant in {None, claimant}
            return Claim.GRANTED if same else Claim.TAKEN
        if instance.state is not TaskState.QUEUED:
            return Claim.STALE
        if instance.held or not instance.run.may_start:
            self._take_back(instance)
            return Claim.HELD
        instance.run.answering = True
        self.move(instance, TaskEvent.CLAIM)
        instance.worker = worker
        instance.claimant = claimant
        instance.started_at = now
        instance.ended_at = None
        instance.lease_seconds = LEASE_SECONDS
        if instance.first_started_at is None:  # a new try; not one that was resumed or rescheduled
            instance.first_started_at = now
            self.xcoms_cleared.append((instance.run.pk, instance.task_id, instance.map_index))
        return Claim.GRANTED

    def _take_back(self, instance: Instance) -> None:
        """Give the slots of an attempt back that nobody has started; that is no loss."""
        instance.run.answering = True
        self.move(instance, TaskEvent.LOSE, "its run or task was paused before it started")
        instance.queued_at = None

    def report(self, outcome: Outcome, now: datetime) -> ReportVerdict:
        """Record how an attempt ended or parked."""
        instance = self.instance(outcome.instance_id)
        if instance is None:
            return ReportVerdict.ABSENT
        if instance.state is not TaskState.RUNNING or instance.token != outcome.token:
            return judge_ended(instance.state, instance.token, outcome.token)
        instance.run.answering = True
        spec = instance.cell.node.task.spec
        ending = judge(
            outcome,
            retry=spec.retry,
            try_number=instance.try_number,
            tries_max=instance.tries_max,
            lengths_needed=instance.cell.node.task.lengths_needed,
            now=now,
        )
        if ending is None:
            self._lose(instance, outcome.reason or "the worker was stopped", now, outcome)
            return ReportVerdict.ACCEPTED
        if outcome.xcoms:
            self._keep_xcoms(instance, outcome)
        instance.lengths = outcome.lengths
        instance.branch = outcome.branch
        instance.skip_all_downstream = outcome.skip_all_downstream
        if outcome.label is not None:
            instance.label = outcome.label
        instance.ended_at = now
        instance.wake_at = ending.wake_at
        instance.resume = None
        if outcome.kind is OutcomeKind.DEFER or outcome.kind is OutcomeKind.AWAIT_INPUT:
            instance.resume = outcome.defer
        self.move(instance, ending.event, ending.reason)
        self.archive(instance, outcome.kind, now, outcome)
        if ending.wake_at is not None and ending.event in {TaskEvent.RETRY, TaskEvent.RESCHEDULE}:
            self.wakes.add(ending.wake_at, "instance", instance)
        return ReportVerdict.ACCEPTED

    def _keep_xcoms(self, instance: Instance, outcome: Outcome) -> None:
        pk, task_id, index = instance.run.pk, instance.task_id, instance.map_index
        for key, value in outcome.xcoms.items():
            self.xcoms.append(XComWrite(run_pk=pk, task_id=task_id, map_index=index, key=key, value=value))

    def lose(
        self, instance_id: int, token: int, reason: str, now: datetime, *, lease_expired: bool = False
    ) -> Loss:
        """Take an attempt for lost: its launch failed, its processes are gone, or its lease is over.

        With ``lease_expired`` the write is refused if the lease was renewed in the meantime.
        """
        instance = self.instance(instance_id)
        if instance is None or instance.token != token or instance.state not in SLOT_STATES:
            return Loss.STALE
        if lease_expired and instance.state is not TaskState.RUNNING:
            return Loss.STALE
        self.touch(instance)
        instance.run.answering = True
        instance.lease_expired = lease_expired
        return self._lose(instance, reason, now, None)

    def _lose(self, instance: Instance, reason: str, now: datetime, outcome: Outcome | None) -> Loss:
        spec = instance.cell.node.task.spec
        losses = instance.losses + 1
        event = loss_event(instance.state, losses, at_most_once=spec.at_most_once)
        started = instance.state is TaskState.RUNNING
        instance.ended_at = now
        if event is TaskEvent.LOSE:
            delay = loss_delay(losses)
            instance.wake_at = now + delay if delay else None
            self.move(instance, event, f"lost: {reason}")
            if started:
                self.archive(instance, "lost", now, outcome)
            if instance.wake_at is None:
                self.ready.append(instance)
            else:
                self.wakes.add(instance.wake_at, "instance", instance)
        else:
            why = "it may run at most once, and may have" if event is TaskEvent.LOSE_AT_MOST_ONCE else ""
            why = why or f"its worker or machine was lost {losses} times"
            self.move(instance, event, f"lost: {reason}; {why}")
            self.archive(instance, "lost", now, outcome)
        instance.token += 1  # a report that still comes must not be taken for one that was recorded
        instance.losses = losses
        return {
            TaskEvent.LOSE: Loss.AGAIN,
            TaskEvent.LOSE_AT_MOST_ONCE: Loss.UNKNOWN,
        }.get(event, Loss.FAILED)

    def archive(self, instance: Instance, outcome: str, now: datetime, report: Outcome | None = None) -> None:
        """Keep the attempt that has just ended; call it after the move."""
        row = AttemptRow(
            instance_id=instance.id,
            token=instance.token,
            try_number=instance.try_number,
            state=instance.state,
            outcome=outcome,
            reason=instance.reason,
            error=None if report is None else report.error,
            worker=instance.worker,
            queued_at=instance.queued_at,
            started_at=(report.started_at if report is not None else None) or instance.started_at,
            ended_at=(report.ended_at if report is not None else None) or now,
            pid=None if report is None else report.pid,
            exit_code=None if report is None else report.exit_code,
            signal=None if report is None else report.signal,
            memory_max_bytes=None if report is None else report.memory_max_bytes,
        )
        self.attempts.append(row)

    def resume(self, instance_id: int, token: int, payload: dict[str, Any], now: datetime) -> bool:
        """Let a parked attempt go on with what its trigger or a person said; False when it is not parked."""
        instance = self.instance(instance_id)
        if instance is None or instance.token != token or not can(instance.state, TaskEvent.RESUME):
            return False
        instance.run.answering = True
        self.move(instance, TaskEvent.RESUME)
        instance.resume = payload
        instance.wake_at = None
        self.ready.append(instance)
        return True
