"""What user code sees of its run while a task executes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

# The names of a Context that functions may take as parameters; the same names templates have.
TEMPLATE_NAMES = (
    "ds",
    "ds_nodash",
    "ts",
    "logical_date",
    "data_interval_start",
    "data_interval_end",
    "prev_logical_date_success",
    "prev_data_interval_start_success",
    "prev_data_interval_end_success",
    "prev_start_date_success",
    "run_id",
    "dag",
    "task",
    "ti",
    "params",
    "conn",
    "var",
    "macros",
    "triggering_asset_events",
)
# A function gets the whole context as one of these parameters.
WHOLE_CONTEXT_NAMES = ("context", "ctx")
CONTEXT_NAMES = frozenset((*TEMPLATE_NAMES, *WHOLE_CONTEXT_NAMES))


class Context(Protocol):
    """The run as a task sees it: a mapping with the names of ``TEMPLATE_NAMES``, and these attributes.

    ``ti``: the task instance (task_id, map_index, try_number, xcom_push, xcom_pull). ``run``: the run (run_id,
    run_type, logical_date, conf). ``params``: the run's parameters. ``state``: a small key/value store that survives
    retries. ``step(name, function)``: run ``function`` once per task instance; a retry gets its stored result.
    """

    @property
    def ti(self) -> Any: ...
    @property
    def run(self) -> Any: ...
    @property
    def dag(self) -> Any: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def state(self) -> MutableMapping[str, Any]: ...
    @property
    def log(self) -> logging.Logger: ...
    def step(self, name: str, function: Callable[[], Any]) -> Any: ...
    def __getitem__(self, name: str) -> Any: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def get(self, name: str, default: Any = None) -> Any: ...


_current: ContextVar[Context | None] = ContextVar("tradewind_context", default=None)


def get_current_context() -> Context:
    """Return the context of the task that runs here; raises RuntimeError outside a task."""
    context = _current.get()
    if context is None:
        raise RuntimeError(
            "There is no current context: no task is running here. get_current_context() works inside a task's "
            "execute() or decorated function, not while the DAG file is read."
        )
    return context


@contextmanager
def use_context(context: Context) -> Iterator[Context]:
    """Make ``context`` the current one; the task process does this around ``execute``."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
