"""The compiled form of a DAG: what authors wrote, as frozen values that can be stored, hashed and compared."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from tradewind.domain.timetable.spec import ScheduleSpec

DAG_SPEC_SCHEMA = 1  # raised when a stored DagSpec needs a migration to be read

DEFAULT_POOL = "default"
RETRY_DELAY_SECONDS_DEFAULT = 300.0
MAX_ACTIVE_RUNS_DEFAULT = 16
MAP_LENGTH_MAX_DEFAULT = 10_000  # per map; a setting and DAG(max_map_length=) raise it up to MAP_LENGTH_MAX
MAP_LENGTH_MAX = 200_000
TASKS_PER_DAG_MAX = 50_000  # a file that makes more is an author's error, not a slow scheduler
INSTANCES_PER_RUN_BITS = 20
INSTANCES_PER_RUN_MAX = 2**INSTANCES_PER_RUN_BITS - 1  # an instance's id is run_pk << 20 | ordinal


class TriggerRule(StrEnum):
    """When a task may run, judged on its direct upstream instances (../oracles: trigger_rules.txt)."""

    ALL_SUCCESS = "all_success"
    ALL_FAILED = "all_failed"
    ALL_DONE = "all_done"
    ALL_DONE_MIN_ONE_SUCCESS = "all_done_min_one_success"
    ALL_DONE_SETUP_SUCCESS = "all_done_setup_success"  # teardowns only
    ONE_SUCCESS = "one_success"
    ONE_FAILED = "one_failed"
    ONE_DONE = "one_done"
    NONE_FAILED = "none_failed"
    NONE_SKIPPED = "none_skipped"
    ALWAYS = "always"
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"
    ALL_SKIPPED = "all_skipped"


class WeightRule(StrEnum):
    """How a task's effective priority is summed over the graph."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    ABSOLUTE = "absolute"


class Overlap(StrEnum):
    """What a due run does while ``max_active_runs`` are active."""

    QUEUE = "queue"
    SKIP = "skip"
    CANCEL_RUNNING = "cancel_running"


class _Frozen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


# ---- what a mapping expands over -----------------------------------------------------------------------------------


class LiteralInput(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="literal"):
    """A list or dict written in the DAG file; a dict is mapped over its (key, value) pairs."""

    value: Any


class RefInput(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="ref"):
    """The XCom of an upstream task: its own list, or one element per successful instance when it is mapped."""

    task_id: str
    key: str = "return_value"


class MapInput(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="map"):
    """Another input with a function applied to each element in the task process; same length."""

    source: ExpandInput
    function: str  # qualified name, for display and hashing


class ZipInput(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="zip"):
    """Several inputs side by side; as long as the shortest, or the longest with a fill value."""

    sources: tuple[ExpandInput, ...]
    fill: bool = False
    fill_value: Any = None


class ConcatInput(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="concat"):
    """Several inputs one after the other."""

    sources: tuple[ExpandInput, ...]


ExpandInput = LiteralInput | RefInput | MapInput | ZipInput | ConcatInput


class ExpandSpec(_Frozen, frozen=True, kw_only=True):
    """How a task or group is mapped.

    ``product``: one instance per element of the cross product of ``inputs``, the last argument fastest.
    ``kwargs``: ``inputs`` has one entry named ``""`` whose elements are dicts of arguments.
    """

    mode: Literal["product", "kwargs"] = "product"
    inputs: tuple[tuple[str, ExpandInput], ...]


# ---- tasks, groups, DAG ---------------------------------------------------------------------------------------------


class RetrySpec(_Frozen, frozen=True, kw_only=True):
    """How often and how late a failed attempt is tried again (semantics.md, Retries)."""

    retries: int = 0
    delay_seconds: float = RETRY_DELAY_SECONDS_DEFAULT
    backoff: float = 1.0  # multiplier per try; 1 = constant
    delay_max_seconds: float | None = None
    jitter: float = 0.0  # share of the delay, 0..1, spread deterministically by attempt id


class KeyedLimit(_Frozen, frozen=True, kw_only=True):
    """``limit(key=…, max=…, rate=…)``: a limit shared by all instances whose rendered key is equal."""

    key: str
    max: int | None = None
    rate_count: int | None = None
    rate_seconds: float | None = None


class TaskSpec(_Frozen, frozen=True, kw_only=True):
    """One task: an operator in a DAG."""

    task_id: str  # full id, group prefixes included
    operator: str  # class name, for people
    operator_kind: Literal["action", "transfer", "sensor"] = "action"
    upstream: tuple[str, ...] = ()  # direct upstream task ids, sorted
    group: str | None = None  # innermost group id
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    expand: ExpandSpec | None = None
    length_keys: tuple[str, ...] = ()  # XCom keys whose length others map over; the worker reports them
    retry: RetrySpec = RetrySpec()
    timeout_seconds: float | None = None
    pool: str = DEFAULT_POOL
    pool_slots: int = 1
    priority_weight: int = 1
    weight_rule: WeightRule = WeightRule.DOWNSTREAM
    executor: str | None = None  # None = the default executor
    queue: str | None = None
    depends_on_past: bool = False
    wait_for_downstream: bool = False
    max_active_tis_per_dag: int | None = None
    limits: tuple[KeyedLimit, ...] = ()
    is_setup: bool = False
    is_teardown: bool = False
    setups: tuple[str, ...] = ()  # a teardown's setups
    on_failure_fail_dagrun: bool = False
    empty: bool = False  # nothing to execute: the scheduler ends it at once
    at_most_once: bool = False
    decides_branch: bool = False  # its outcome names what to follow or skip
    start_deferred: dict[str, Any] | None = None
    map_index_template: str | None = None
    multiple_outputs: bool = False
    template_fields: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}  # JSON view of the operator's arguments, for people and for the hash
    outlets: tuple[str, ...] = ()
    inlets: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()  # which on_* callbacks the author gave
    owner: str | None = None
    doc: str | None = None
    display_name: str | None = None
    line: int | None = None


class GroupSpec(_Frozen, frozen=True, kw_only=True):
    """A task group: a prefix, a fold in the graph, and perhaps a mapping of everything inside."""

    group_id: str
    parent: str | None = None
    expand: ExpandSpec | None = None
    retries: int = 0  # the whole group is cleared and tried again this often
    doc: str | None = None
    display_name: str | None = None


class ParamSpec(_Frozen, frozen=True, kw_only=True):
    """A run parameter: default value and JSON schema."""

    name: str
    default: Any = None
    has_default: bool = True
    schema: dict[str, Any] = {}
    description: str | None = None


class DagSpec(_Frozen, frozen=True, kw_only=True):
    """A DAG as the scheduler knows it. ``tasks`` are in topological order (ties: as written)."""

    dag_id: str
    file: str  # relative to the DAG folder
    tasks: tuple[TaskSpec, ...]
    groups: tuple[GroupSpec, ...] = ()
    schema: int = DAG_SPEC_SCHEMA
    line: int | None = None
    description: str | None = None
    doc: str | None = None
    display_name: str | None = None
    schedule: ScheduleSpec | None = None
    timezone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    catchup: bool | float = False  # True = all, False = newest, seconds = a window
    overlap: Overlap = Overlap.QUEUE
    max_active_runs: int = MAX_ACTIVE_RUNS_DEFAULT
    max_active_tasks: int | None = None  # over all runs; None = no limit
    max_active_tasks_per_run: int | None = None
    max_map_length: int = MAP_LENGTH_MAX_DEFAULT
    run_fails_if: Literal["leaf_failed", "any_task_failed"] = "leaf_failed"
    run_timeout_seconds: float | None = None
    run_retries: int = 0
    fail_fast: bool = False
    priority: int = 0
    paused: bool = False
    tags: tuple[str, ...] = ()
    owner: str | None = None
    params: tuple[ParamSpec, ...] = ()
    labels: tuple[tuple[str, str, str], ...] = ()  # (upstream, downstream, text)
    callbacks: tuple[str, ...] = ()
