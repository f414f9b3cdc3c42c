"""The values that cross the border of the metastore: rows as read, and the batch that one commit writes.

Rows are frozen; a change is a new row beside the *guard* (the state and token it must replace). All
instants are aware UTC datetimes. A map index is a tuple of ints: ``()`` for an unmapped instance,
``(3,)`` for a mapped one, ``(3, 0)`` inside nested mapped groups. An instance whose index is shorter
than its task's mapping depth is a *placeholder*: it stands for the instances that are not known yet.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from tradewind.domain.spec import INSTANCES_PER_RUN_BITS
from tradewind.domain.states import RunState, TaskState

MapIndex = tuple[int, ...]


def instance_id(run_pk: int, ordinal: int) -> int:
    """Return the id of the ``ordinal``-th instance of a run: computed, so that no round trip is needed."""
    return run_pk << INSTANCES_PER_RUN_BITS | ordinal


def run_pk_of(instance: int) -> int:
    """Return the run an instance id belongs to."""
    return instance >> INSTANCES_PER_RUN_BITS


def format_map_index(index: MapIndex) -> str:
    """Return the stored text of a map index: ``""``, ``"3"``, ``"3.0"``."""
    return ".".join(map(str, index))


def parse_map_index(text: str) -> MapIndex:
    """Return the map index of its stored text; raises ``ValueError`` when it is not one."""
    return tuple(int(part) for part in text.split(".")) if text else ()


class RunType(StrEnum):
    """What started a run; the first part of its run_id."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    ASSET = "asset"
    DAG = "dag"  # a task of another run


class _Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row refers to plain values only, never back to itself: the collector need not look at thousands of them."""


class RunRow(_Row, frozen=True, kw_only=True):
    """One execution of a DAG version for a logical date."""

    pk: int
    dag_id: str
    run_id: str
    version_id: int
    run_type: RunType
    state: RunState
    logical_date: datetime
    run_after: datetime
    interval_start: datetime
    interval_end: datetime
    tick: datetime | None = None  # the schedule's tick; unique per DAG: one run per tick
    conf: dict[str, Any] = {}
    params: dict[str, Any] = {}  # defaults and conf, validated
    priority: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    triggered_by: str = ""  # who: "schedule", "cli:anna", "task:dag/run/task"
    note: str = ""
    reason: str = ""  # why it ended as it did, when that is not plain
    clear_number: int = 0
    instances: int = 0  # ordinals given so far
    revision: int = 0  # grows with every write of this row: whoever decided on an older one loses
    retries_used: dict[
        str, int
    ] = {}  # whole-run ("") and whole-group ("load", "load[3]") retries taken so far


class InstanceRow(_Row, frozen=True, kw_only=True):
    """A task in a run. ``token`` grows by one with every admission; only its holder may report."""

    id: int
    run_pk: int
    task_id: str
    map_index: MapIndex = ()
    state: TaskState = TaskState.NONE
    token: int = 0
    try_number: int = 0  # counts tries that used up a retry, the present one included
    tries_max: int = 1  # retries + 1, raised by a clear
    losses: int = 0  # infrastructure losses since the last clear
    wake_at: datetime | None = None  # retry or reschedule not before
    lengths: dict[str, int] = {}  # XCom key -> length, for those who map over it
    branch: tuple[str, ...] | None = None  # task ids a branch decided to skip
    skip_all_downstream: bool = False  # a short circuit
    reason: str = ""  # of the present state
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    first_started_at: datetime | None = None  # of this try chain, for a sensor's timeout
    lease_until_at: datetime | None = None  # database time
    worker: str | None = None
    executor: str | None = None
    queue: str | None = None
    pool: str = "default"
    pool_slots: int = 1
    priority: int = 0  # effective weight
    held: bool = False  # a person paused this one task
    label: str | None = None  # rendered map_index_template
    resume: dict[str, Any] | None = None  # method and event for a resumed deferral


class Guard(NamedTuple):
    """What an instance's row must still be for a write to happen."""

    state: TaskState
    token: int


class InstanceWrite(_Row, frozen=True, kw_only=True):
    """Insert (``guard`` None) or replace one instance row.

    ``lease_seconds`` sets ``lease_until_at`` to database time plus that; ``row.lease_until_at`` is then ignored.
    ``lease_expired`` adds the guard that the row's lease is over in database time.
    """

    row: InstanceRow
    guard: Guard | None = None
    lease_seconds: float | None = None
    lease_expired: bool = False


class RunWrite(_Row, frozen=True, kw_only=True):
    """Insert (``guard`` None) or replace one run row.

    A replacement also needs ``row.revision`` to be the stored one, and stores the next.
    """

    row: RunRow
    guard: RunState | None = None


class AttemptRow(_Row, frozen=True, kw_only=True):
    """The archive of one finished attempt; written once, with the outcome."""

    instance_id: int
    token: int
    try_number: int
    state: TaskState  # what the attempt led to
    outcome: str  # the outcome kind that was reported, or "lost", "cleared", "cancelled"
    reason: str = ""
    error: dict[str, Any] | None = None  # type, message, frames: as the task process reported them
    worker: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    memory_max_bytes: int | None = None


class XComWrite(_Row, frozen=True, kw_only=True):
    """One XCom value as canonical JSON text; replaces an older value of the same key."""

    run_pk: int
    task_id: str
    map_index: MapIndex
    key: str
    value: str
    store_ref: str | None = None  # set when the value lies in the XCom store


class EventRow(_Row, frozen=True, kw_only=True):
    """One line of the audit, feed and wake-up table; the metastore gives id and time."""

    kind: str  # "task.success", "run.running", "dag.paused", …: docs/reference/events.md
    dag_id: str | None = None
    run_pk: int | None = None
    run_id: str | None = None
    instance_id: int | None = None
    task_id: str | None = None
    map_index: MapIndex = ()
    actor: str = "scheduler"
    data: dict[str, Any] = {}
    id: int = 0
    at: datetime | None = None


class DagRow(_Row, frozen=True, kw_only=True):
    """What the scheduler keeps of a DAG beside its versions."""

    dag_id: str
    file: str
    version_id: int  # current
    version_number: int
    first_seen_at: datetime
    paused: bool = False
    held: bool = False  # paused with --hold: active runs wait too
    cursor_at: datetime | None = None  # last tick a run was made for
    next_run_at: datetime | None = None
    missing_since_at: datetime | None = None  # the file is gone
    retired: bool = False  # gone for good: no new runs, history kept
    failing_since_at: datetime | None = None  # the file stopped parsing; the last good version stays
    revision: int = 0  # how often paused or held changed; the metastore counts, writers hand it on unchanged


class DagWrite(_Row, frozen=True, kw_only=True):
    """Replace the scheduling columns (paused, held, cursor_at, next_run_at) of a DAG.

    ``guard_cursor_at`` must equal the stored cursor: two schedulers cannot make the same tick. ``row.revision``
    must equal the stored one: a tick decided before a person paused the DAG cannot undo the pause.
    """

    row: DagRow
    guard_cursor_at: datetime | None = None


class PoolRow(_Row, frozen=True, kw_only=True):
    """A named number of slots."""

    name: str
    slots: int
    description: str = ""


class Batch(_Row, frozen=True, kw_only=True):
    """Everything one transaction writes; all of it or nothing."""

    runs: tuple[RunWrite, ...] = ()
    instances: tuple[InstanceWrite, ...] = ()
    removed: tuple[tuple[int, Guard], ...] = ()  # placeholders that were expanded: deleted
    attempts: tuple[AttemptRow, ...] = ()
    xcoms: tuple[XComWrite, ...] = ()
    xcoms_cleared: tuple[
        tuple[int, str, MapIndex], ...
    ] = ()  # (run_pk, task_id, map_index), before xcoms are written
    dags: tuple[DagWrite, ...] = ()
    events: tuple[EventRow, ...] = ()
    checks: tuple[
        tuple[int, int], ...
    ] = ()  # (run_pk, revision) that was decided on, of runs not written here

    def __bool__(self) -> bool:
        return bool(
            self.runs
            or self.instances
            or self.removed
            or self.attempts
            or self.xcoms
            or self.xcoms_cleared
            or self.dags
            or self.events
        )


class Committed(_Row, frozen=True, kw_only=True):
    """The batch was written; ``event_ids`` are in the order of the batch's events."""

    last_event_id: int


class LostRace(_Row, frozen=True, kw_only=True):
    """Nothing was written: these rows no longer stood as the guards said."""

    instances: tuple[int, ...] = ()
    runs: tuple[int, ...] = ()
    dags: tuple[str, ...] = ()
    duplicate_runs: tuple[int, ...] = ()  # a run of that tick or run_id exists already


CommitResult = Committed | LostRace


class Term(_Row, frozen=True, kw_only=True):
    """Leadership over a shard: a number that only grows, held until the lease ends (database time)."""

    shard: str
    holder: str
    number: int
    lease_seconds: float


class RunSnapshot(_Row, frozen=True, kw_only=True):
    """A run with all its instances, as one consistent read."""

    run: RunRow
    instances: tuple[InstanceRow, ...]
