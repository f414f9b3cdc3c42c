"""The context of one attempt: what templates, operators and task functions see of their run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from tradewind.authoring.context import TEMPLATE_NAMES
from tradewind.ports.runtime_api import TaskContext
from tradewind.runtime.task import macros
from tradewind.runtime.task.connections import Connections, Variables
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.instance import Run, Runs, TaskInstance
from tradewind.runtime.task.state import State

_FACTS: Mapping[str, Callable[[TaskContext], Any]] = {
    "ds": lambda facts: macros.ds(facts.logical_date),
    "ds_nodash": lambda facts: macros.ds_nodash(facts.logical_date),
    "ts": lambda facts: macros.ts(facts.logical_date),
    "ts_nodash": lambda facts: macros.ts_nodash(facts.logical_date),
    "logical_date": lambda facts: facts.logical_date,
    "data_interval_start": lambda facts: facts.interval_start,
    "data_interval_end": lambda facts: facts.interval_end,
    "prev_logical_date_success": lambda facts: facts.prev_logical_date_success,
    "prev_data_interval_start_success": lambda facts: facts.prev_interval_start_success,
    "prev_data_interval_end_success": lambda facts: facts.prev_interval_end_success,
    "prev_start_date_success": lambda facts: facts.prev_started_at_success,
    "run_id": lambda facts: facts.run_id,
    "params": lambda facts: dict(facts.params),
    "conf": lambda facts: dict(facts.conf),
    "triggering_asset_events": lambda _facts: {},
}


class AttemptContext(Mapping[str, Any]):
    """A mapping with the names of templates; each is made when it is first used. See :class:`Context`.

    Besides the names of the protocol: ``runs`` (start runs of other DAGs and see how they stand), ``now()`` and
    ``wait(seconds)`` (the injected clock), ``facts`` (what the claim told), ``exception`` (in callbacks of a failure).
    """

    def __init__(
        self,
        facts: TaskContext,
        *,
        dag: Any,
        task: Any,
        ti: TaskInstance,
        data: DataClient,
        state: Callable[[], State],
        hide: Callable[[str], None],
        now: Callable[[], datetime],
        wait: Callable[[float], None],
    ) -> None:
        self.facts = facts
        self.dag = dag
        self.ti = ti
        self._data = data
        self.now = now
        self.wait = wait
        self.exception: BaseException | None = None
        self._made: dict[str, Any] = {"dag": dag, "task": task, "ti": ti}
        self._state = state
        self._makers: dict[str, Callable[[], Any]] = {
            "run": lambda: Run.of(facts),
            "conn": lambda: Connections(data, hide),
            "var": lambda: Variables(data, hide),
            "macros": macros.Macros,
        }

    @property
    def task(self) -> Any:
        """The operator of this attempt."""
        return self._made["task"]

    @task.setter
    def task(self, task: Any) -> None:
        self._made["task"] = task

    @property
    def log(self) -> logging.Logger:
        """The task's logger, made when it is first asked for: most tasks never do."""
        return logging.getLogger(f"tradewind.task.{self.facts.task_id}")

    @cached_property
    def runs(self) -> Runs:
        """Starts runs of other DAGs, and tells how they stand."""
        return Runs(self._data)

    @cached_property
    def state(self) -> State:
        """The small store of this task that survives its retries."""
        return self._state()

    @property
    def run(self) -> Run:
        """The run this task belongs to."""
        run: Run = self["run"]
        return run

    @property
    def params(self) -> Mapping[str, Any]:
        """The run's parameters."""
        params: Mapping[str, Any] = self["params"]
        return params

    @property
    def conn(self) -> Connections:
        """Connections by id."""
        found: Connections = self["conn"]
        return found

    @property
    def var(self) -> Variables:
        """Variables by key."""
        found: Variables = self["var"]
        return found

    def step(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run ``function`` once per task instance; a retry gets its stored result."""
        return self.state.step(name, lambda: function(*args, **kwargs))

    def __getitem__(self, name: str) -> Any:
        if name in self._made:
            return self._made[name]
        if name in _FACTS:
            value = _FACTS[name](self.facts)
        elif name in self._makers:
            value = self._makers[name]()
        elif name == "exception" and self.exception is not None:
            return self.exception
        else:
            raise KeyError(name)
        self._made[name] = value
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of ``name``, ``default`` for a name there is none of."""
        if name in self:
            return self[name]
        return default

    def __contains__(self, name: object) -> bool:
        if name == "exception":
            return self.exception is not None
        return name in self._made or name in _FACTS or name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(TEMPLATE_NAMES)

    def __len__(self) -> int:
        return len(TEMPLATE_NAMES)

    def __repr__(self) -> str:
        return f"<context of {self.ti!r}>"
