"""The arguments every task accepts: their names, defaults and the forms they are brought into.

``TaskOptions`` is what editors and mypy see; ``TaskDefaults`` is what an instance reads; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Required, TypedDict

from tradewind.authoring.assets import Asset
from tradewind.domain.spec import (
    DEFAULT_POOL,
    RETRY_DELAY_SECONDS_DEFAULT,
    KeyedLimit,
    TriggerRule,
    WeightRule,
)

Callback = Callable[..., Any]


class TaskOptions(TypedDict, total=False):
    """Arguments of every task. ``dag`` and ``group`` place it elsewhere than in the open ``with`` block."""

    task_id: Required[str]
    dag: Any
    group: Any
    owner: str | None
    retries: int
    retry_delay: timedelta | float
    retry_backoff: float
    retry_delay_max: timedelta | float | None
    retry_jitter: float
    retry_on: Any
    no_retry_on: Any
    execution_timeout: timedelta | float | None
    trigger_rule: TriggerRule | str
    depends_on_past: bool
    wait_for_downstream: bool
    pool: str
    pool_slots: int
    priority_weight: int
    weight_rule: WeightRule | str
    executor: str | None
    queue: str | None
    max_active_tis_per_dag: int | None
    limits: KeyedLimit | Sequence[KeyedLimit]
    at_most_once: bool
    map_index_template: str | None
    multiple_outputs: bool
    do_xcom_push: bool
    inlets: Asset | Sequence[Asset]
    outlets: Asset | Sequence[Asset]
    on_success: Callback | Sequence[Callback] | None
    on_failure: Callback | Sequence[Callback] | None
    on_retry: Callback | Sequence[Callback] | None
    on_skipped: Callback | Sequence[Callback] | None
    doc: str | None
    display_name: str | None


class TaskDefaults:
    """What a task has when its author said nothing. Subclasses may set other defaults as class attributes.

    After construction durations are timedeltas or None, and ``retry_on``, ``no_retry_on``, ``limits``, ``inlets``,
    ``outlets`` and the callbacks are tuples. Values of a wrong type stay as given: the compiler reports them all.
    """

    owner: str | None = None
    retries: int = 0
    retry_delay: timedelta = timedelta(seconds=RETRY_DELAY_SECONDS_DEFAULT)
    retry_backoff: float = 1.0  # multiplier per try; 1 = constant
    retry_delay_max: timedelta | None = None
    retry_jitter: float = 0.0  # share of the delay, 0..1
    retry_on: tuple[Any, ...] = ()  # exception classes, or predicates of the exception; empty = every one
    no_retry_on: tuple[Any, ...] = ()
    execution_timeout: timedelta | None = None
    trigger_rule: TriggerRule = TriggerRule.ALL_SUCCESS
    depends_on_past: bool = False
    wait_for_downstream: bool = False
    pool: str = DEFAULT_POOL
    pool_slots: int = 1
    priority_weight: int = 1
    weight_rule: WeightRule = WeightRule.DOWNSTREAM
    executor: str | None = None
    queue: str | None = None
    max_active_tis_per_dag: int | None = None
    limits: tuple[KeyedLimit, ...] = ()
    at_most_once: bool = False
    map_index_template: str | None = None
    multiple_outputs: bool = False
    do_xcom_push: bool = True
    inlets: tuple[Asset, ...] = ()
    outlets: tuple[Asset, ...] = ()
    on_success: tuple[Callback, ...] = ()
    on_failure: tuple[Callback, ...] = ()
    on_retry: tuple[Callback, ...] = ()
    on_skipped: tuple[Callback, ...] = ()
    doc: str | None = None
    display_name: str | None = None


TASK_OPTION_NAMES = frozenset(TaskOptions.__annotations__) - {"task_id", "dag", "group"}
CALLBACK_NAMES = ("on_success", "on_failure", "on_retry", "on_skipped")

_TUPLES = frozenset({"retry_on", "no_retry_on", "limits", "inlets", "outlets", *CALLBACK_NAMES})
_DURATIONS = frozenset({"retry_delay", "retry_delay_max", "execution_timeout"})
_ENUMS: Mapping[str, type[TriggerRule | WeightRule]] = MappingProxyType(
    {"trigger_rule": TriggerRule, "weight_rule": WeightRule}
)

# What other schedulers call it -> what it is called here; only for messages.
RENAMED: Mapping[str, str] = MappingProxyType(
    {
        "bash_command": "command",
        "catchup_by_default": "catchup",
        "concurrency": "max_active_tasks",
        "dag_display_name": "display_name",
        "dagrun_timeout": "run_timeout",
        "doc_json": "doc",
        "doc_md": "doc",
        "doc_rst": "doc",
        "doc_yaml": "doc",
        "is_paused_upon_creation": "paused",
        "max_active_tasks_per_dag_run": "max_active_tasks_per_run",
        "max_retry_delay": "retry_delay_max",
        "on_failure_callback": "on_failure",
        "on_retry_callback": "on_retry",
        "on_skipped_callback": "on_skipped",
        "on_success_callback": "on_success",
        "retry_exponential_backoff": "retry_backoff",
        "schedule_interval": "schedule",
        "task_concurrency": "max_active_tis_per_dag",
        "task_display_name": "display_name",
        "task_group": "group",
        "timetable": "schedule",
        "tooltip": "doc",
    }
)


def normal_option(name: str, value: Any) -> Any:
    """Return an option in the form ``TaskDefaults`` promises; a value of a wrong type comes back as it is."""
    if name in _TUPLES:
        return as_tuple(value)
    if name in _DURATIONS:
        return as_timedelta(value)
    kind = _ENUMS.get(name)
    if kind is not None and isinstance(value, str):
        try:
            return kind(value)
        except ValueError:
            return value
    return value


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return one or several values as a tuple; None is none."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)


def as_timedelta(value: Any) -> Any:
    """Return a number of seconds as a timedelta; anything else, and what is too large for one, as it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):
            return value
    return value
