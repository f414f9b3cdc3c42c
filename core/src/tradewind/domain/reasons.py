"""Typed reasons: why something waits. Whatever a decision refuses, it says with one of these."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class ReasonKind(StrEnum):
    """The kinds of waiting that Tradewind knows; plugins add their own texts under ``PLUGIN``."""

    UPSTREAM = "upstream"  # a direct upstream is not finished
    TRIGGER_RULE = "trigger_rule"  # the rule needs more than what is finished
    MAPPING = "mapping"  # the length to expand over is not known yet
    SETUP = "setup"  # a setup has not succeeded yet
    DEPENDS_ON_PAST = "depends_on_past"
    POOL_FULL = "pool_full"  # data: pool, slots, used, holders
    POOL_MISSING = "pool_missing"
    LIMIT_RUNS = "max_active_runs"
    LIMIT_DAG_TASKS = "max_active_tasks"
    LIMIT_RUN_TASKS = "max_active_tasks_per_run"
    LIMIT_TASK = "max_active_tis_per_dag"
    LIMIT_KEYED = "keyed_limit"
    EXECUTOR_FULL = "executor_full"
    NO_WORKER = "no_worker"
    DAG_PAUSED = "dag_paused"
    DAG_HELD = "dag_held"
    RUN_PAUSED = "run_paused"
    TASK_HELD = "task_held"
    RUN_QUEUED = "run_queued"
    RETRY_AT = "retry_at"
    RESCHEDULE_AT = "reschedule_at"
    NOT_DUE = "not_due"  # run_after lies ahead
    LEADERSHIP = "leadership"  # no scheduler leads, or one is just taking over
    QUEUED = "queued"  # handed over, not yet claimed
    RUNNING = "running"
    DEFERRED = "deferred"
    AWAITING_INPUT = "awaiting_input"
    ENDED = "ended"
    PLUGIN = "plugin"


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason. ``message`` is a sentence for people; ``until`` is when it is expected to end, if that is known."""

    kind: ReasonKind
    message: str
    since: datetime | None = None
    until: datetime | None = None
    data: dict[str, Any] = {}
