"""Rows of the hot tables to records and back: plain tuples in the order of the column lists here.

The column lists are the same as those of ``tables.py`` (a test compares them); they stand here too so that
the running system needs no SQLAlchemy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from tradewind.domain.codec import decode, encode
from tradewind.domain.records import (
    AttemptRow,
    DagRow,
    EventRow,
    InstanceRow,
    MapIndex,
    RunRow,
    RunType,
    format_map_index,
    parse_map_index,
)
from tradewind.domain.states import RunState, TaskState
from tradewind.metastore.instants import from_us, from_us_or_none, to_us, to_us_or_none

Values = tuple[Any, ...]

TEXT_CHARS_MAX: Final = 16_000  # four bytes each still fit into MySQL's TEXT
TRACEBACK_CHARS_MAX: Final = 200_000

# The first columns are the row's name and never change; the rest is replaced by every write.
INSTANCE_NAME: Final = ("id", "run_pk", "task_id", "map_index")
INSTANCE_REST: Final = (
    "state", "token", "try_number", "tries_max", "losses", "wake_at", "lengths", "branch",
    "skip_all_downstream", "reason", "queued_at", "started_at", "ended_at", "first_started_at", "worker",
    "executor", "queue", "pool", "pool_slots", "priority", "held", "label", "resume", "lease_until_at",
)  # fmt: skip
INSTANCE_COLUMNS: Final = INSTANCE_NAME + INSTANCE_REST

RUN_NAME: Final = ("pk", "dag_id", "run_id")
RUN_REST: Final = (
    "version_id", "run_type", "state", "logical_date", "run_after", "interval_start", "interval_end", "tick",
    "conf", "params", "priority", "queued_at", "started_at", "ended_at", "triggered_by", "note", "reason",
    "clear_number", "instances", "retries_used", "revision",
)  # fmt: skip
RUN_COLUMNS: Final = RUN_NAME + RUN_REST

ATTEMPT_COLUMNS: Final = (
    "instance_id", "token", "try_number", "state", "outcome", "reason", "error", "worker", "queued_at",
    "started_at", "ended_at", "pid", "exit_code", "signal_number", "memory_max_bytes",
)  # fmt: skip

EVENT_COLUMNS: Final = (
    "id", "at", "kind", "dag_id", "run_pk", "run_id", "instance_id", "task_id", "map_index", "actor", "data",
)  # fmt: skip

DAG_COLUMNS: Final = (
    "dag_id", "file", "version_id", "version_number", "first_seen_at", "paused", "held", "cursor_at",
    "next_run_at", "missing_since_at", "retired", "failing_since_at", "revision",
)  # fmt: skip

_TASK_STATES: Final = {str(state): state for state in TaskState}
_RUN_STATES: Final = {str(state): state for state in RunState}
_RUN_TYPES: Final = {str(kind): kind for kind in RunType}


@lru_cache(maxsize=4096)
def read_map_index(text: str) -> MapIndex:
    """Return the map index of its stored text."""
    return parse_map_index(text)


def clean_text(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Return text that every database can keep: without NUL and lone surrogates, and not too long."""
    if len(text) > chars_max:
        text = text[: chars_max - 1] + "…"
    if text.isascii():
        return text.replace("\0", "␀") if "\0" in text else text
    return text.replace("\0", "␀").encode("utf-8", "replace").decode("utf-8")


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean_text(text)


def json_text(value: Any) -> str | None:
    """Return canonical JSON, NULL for an empty mapping or None."""
    return encode(value).decode("utf-8") if value else None


def json_object(text: str | None) -> dict[str, Any]:
    """Return the mapping of its stored text, a new empty one for NULL."""
    return decode(text, dict[str, Any]) if text else {}


def instance_rest(row: InstanceRow) -> Values:
    """Return the values of ``INSTANCE_REST`` without the last one, the lease."""
    return (
        row.state.value,
        row.token,
        row.try_number,
        row.tries_max,
        row.losses,
        to_us_or_none(row.wake_at),
        json_text(row.lengths),
        None if row.branch is None else encode(row.branch).decode("utf-8"),
        int(row.skip_all_downstream),
        clean_text(row.reason),
        to_us_or_none(row.queued_at),
        to_us_or_none(row.started_at),
        to_us_or_none(row.ended_at),
        to_us_or_none(row.first_started_at),
        row.worker,
        row.executor,
        row.queue,
        row.pool,
        row.pool_slots,
        row.priority,
        int(row.held),
        _clean_or_none(row.label),
        None if row.resume is None else encode(row.resume).decode("utf-8"),
    )


def instance_lease(row: InstanceRow) -> int | None:
    """Return the stored lease of a row: only a running attempt has one."""
    return to_us_or_none(row.lease_until_at) if row.state is TaskState.RUNNING else None


def instance_name(row: InstanceRow) -> Values:
    """Return the values of ``INSTANCE_NAME``."""
    return row.id, row.run_pk, row.task_id, format_map_index(row.map_index)


def read_instance(values: Values) -> InstanceRow:
    """Return the record of a row read as ``INSTANCE_COLUMNS``."""
    (
        row_id, run_pk, task_id, map_index, state, token, try_number, tries_max, losses, wake, lengths, branch,
        skip_all, reason, queued, started, ended, first_started, worker, executor, queue, pool, pool_slots,
        priority, held, label, resume, lease_until,
    ) = values  # fmt: skip
    return InstanceRow(
        id=row_id,
        run_pk=run_pk,
        task_id=task_id,
        map_index=read_map_index(map_index) if map_index else (),
        state=_TASK_STATES[state],
        token=token,
        try_number=try_number,
        tries_max=tries_max,
        losses=losses,
        wake_at=None if wake is None else from_us(wake),
        lengths=decode(lengths, dict[str, int]) if lengths else {},
        branch=None if branch is None else decode(branch, tuple[str, ...]),
        skip_all_downstream=bool(skip_all),
        reason=reason,
        queued_at=None if queued is None else from_us(queued),
        started_at=None if started is None else from_us(started),
        ended_at=None if ended is None else from_us(ended),
        first_started_at=None if first_started is None else from_us(first_started),
        lease_until_at=None if lease_until is None else from_us(lease_until),
        worker=worker,
        executor=executor,
        queue=queue,
        pool=pool,
        pool_slots=pool_slots,
        priority=priority,
        held=bool(held),
        label=label,
        resume=None if resume is None else decode(resume, dict[str, Any]),
    )


def run_values(row: RunRow) -> Values:
    """Return the values of ``RUN_COLUMNS``."""
    return (row.pk, row.dag_id, row.run_id, *run_rest(row))


def run_rest(row: RunRow) -> Values:
    """Return the values of ``RUN_REST``."""
    return (
        row.version_id,
        row.run_type.value,
        row.state.value,
        to_us(row.logical_date),
        to_us(row.run_after),
        to_us(row.interval_start),
        to_us(row.interval_end),
        to_us_or_none(row.tick),
        json_text(row.conf),
        json_text(row.params),
        row.priority,
        to_us_or_none(row.queued_at),
        to_us_or_none(row.started_at),
        to_us_or_none(row.ended_at),
        clean_text(row.triggered_by),
        clean_text(row.note),
        clean_text(row.reason),
        row.clear_number,
        row.instances,
        json_text(row.retries_used),
        row.revision,
    )


def read_run(values: Values) -> RunRow:
    """Return the record of a row read as ``RUN_COLUMNS``."""
    (
        pk, dag_id, run_id, version_id, run_type, state, logical_date, run_after, interval_start, interval_end,
        tick, conf, params, priority, queued, started, ended, triggered_by, note, reason, clear_number,
        instances, retries_used, revision,
    ) = values  # fmt: skip
    return RunRow(
        pk=pk,
        dag_id=dag_id,
        run_id=run_id,
        version_id=version_id,
        run_type=_RUN_TYPES[run_type],
        state=_RUN_STATES[state],
        logical_date=from_us(logical_date),
        run_after=from_us(run_after),
        interval_start=from_us(interval_start),
        interval_end=from_us(interval_end),
        tick=from_us_or_none(tick),
        conf=json_object(conf),
        params=json_object(params),
        priority=priority,
        queued_at=from_us_or_none(queued),
        started_at=from_us_or_none(started),
        ended_at=from_us_or_none(ended),
        triggered_by=triggered_by,
        note=note,
        reason=reason,
        clear_number=clear_number,
        instances=instances,
        retries_used=json_object(retries_used),
        revision=revision,
    )


def attempt_values(row: AttemptRow) -> Values:
    """Return the values of ``ATTEMPT_COLUMNS``."""
    return (
        row.instance_id,
        row.token,
        row.try_number,
        row.state.value,
        row.outcome,
        clean_text(row.reason),
        None if row.error is None else encode(row.error).decode("utf-8"),
        row.worker,
        to_us_or_none(row.queued_at),
        to_us_or_none(row.started_at),
        to_us_or_none(row.ended_at),
        row.pid,
        row.exit_code,
        row.signal,
        row.memory_max_bytes,
    )


def read_attempt(values: Values) -> AttemptRow:
    """Return the record of a row read as ``ATTEMPT_COLUMNS``."""
    return AttemptRow(
        instance_id=values[0],
        token=values[1],
        try_number=values[2],
        state=_TASK_STATES[values[3]],
        outcome=values[4],
        reason=values[5],
        error=None if values[6] is None else decode(values[6], dict[str, Any]),
        worker=values[7],
        queued_at=from_us_or_none(values[8]),
        started_at=from_us_or_none(values[9]),
        ended_at=from_us_or_none(values[10]),
        pid=values[11],
        exit_code=values[12],
        signal=values[13],
        memory_max_bytes=values[14],
    )


def event_values(event: EventRow, event_id: int, now_us: int) -> Values:
    """Return the values of ``EVENT_COLUMNS``; an event that brings no time of its own gets database time."""
    return (
        event_id,
        now_us if event.at is None else to_us(event.at),
        event.kind,
        event.dag_id,
        event.run_pk,
        event.run_id,
        event.instance_id,
        event.task_id,
        format_map_index(event.map_index),
        clean_text(event.actor),
        json_text(event.data),
    )


def read_event(values: Values) -> EventRow:
    """Return the record of a row read as ``EVENT_COLUMNS``."""
    return EventRow(
        id=values[0],
        at=from_us(values[1]),
        kind=values[2],
        dag_id=values[3],
        run_pk=values[4],
        run_id=values[5],
        instance_id=values[6],
        task_id=values[7],
        map_index=read_map_index(values[8]),
        actor=values[9],
        data=json_object(values[10]),
    )


def read_dag(values: Values) -> DagRow:
    """Return the record of a row read as ``DAG_COLUMNS``."""
    return DagRow(
        dag_id=values[0],
        file=values[1],
        version_id=values[2],
        version_number=values[3],
        first_seen_at=from_us(values[4]),
        paused=bool(values[5]),
        held=bool(values[6]),
        cursor_at=from_us_or_none(values[7]),
        next_run_at=from_us_or_none(values[8]),
        missing_since_at=from_us_or_none(values[9]),
        retired=bool(values[10]),
        failing_since_at=from_us_or_none(values[11]),
        revision=values[12],
    )
