"""What task code sees of its own instance, of its run and of other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tradewind.domain.records import MapIndex
from tradewind.errors import LimitError
from tradewind.ports.runtime_api import XCOMS_PER_ATTEMPT_MAX, TaskContext
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.scopes import Scopes
from tradewind.runtime.task.values import encode
from tradewind.runtime.task.xcoms import MISSING, XComs

KEY_CHARS_MAX = 250  # part of a primary key


class TaskInstance:
    """``ti``: ids, number of the try, XComs, and what a branch decides."""

    def __init__(self, facts: TaskContext, scopes: Scopes, data: DataClient, xcoms: XComs) -> None:
        self.task_id = facts.task_id
        self.dag_id = facts.dag_id
        self.run_id = facts.run_id
        self.try_number = facts.try_number
        self.tries_max = facts.tries_max
        self.first_started_at = facts.first_started_at
        self.index: MapIndex = facts.map_index
        self.lengths: dict[str, int] = {}  # of what was pushed by hand, for tasks that map over it
        self.branch: tuple[str, ...] | None = None
        self.skips_all_downstream = False
        self._scopes = scopes
        self._data = data
        self._xcoms = xcoms
        self._pushed: set[str] = set()

    @property
    def map_index(self) -> int | MapIndex | None:
        """None for an unmapped task, a number for a mapped one, a tuple inside nested mapped groups."""
        if not self.index:
            return None
        return self.index[0] if len(self.index) == 1 else self.index

    def xcom_push(self, key: str, value: Any) -> None:
        """Store ``value`` under ``key`` now, for tasks downstream; it stays when this attempt fails later."""
        check_key(key)
        text = encode(value, where=f"the XCom {key!r}", task=self.task_id)
        self._pushed.add(key)
        if len(self._pushed) > XCOMS_PER_ATTEMPT_MAX:
            raise LimitError(
                f"task {self.task_id!r} pushed more than {XCOMS_PER_ATTEMPT_MAX} XComs; push one dict instead"
            )
        self._data.ask("xcom_put", key=key, value=text)
        if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
            self.lengths[key] = len(value)

    def xcom_pull(
        self,
        task_ids: str | Sequence[str] | None = None,
        key: str = "return_value",
        *,
        map_indexes: int | MapIndex | None = None,
        default: Any = None,
        run_id: str | None = None,
        dag_id: str | None = None,
    ) -> Any:
        """Return what a task pushed under ``key``, ``default`` when it pushed nothing.

        A mapped task gives a sequence in index order, inside a shared mapped group only the own index. Several
        ``task_ids`` give a list in their order; None means this task.
        """
        if task_ids is not None and not isinstance(task_ids, str):
            return [
                self.xcom_pull(
                    one, key, map_indexes=map_indexes, default=default, run_id=run_id, dag_id=dag_id
                )
                for one in task_ids
            ]
        where = {name: text for name, text in (("run_id", run_id), ("dag_id", dag_id)) if text is not None}
        source = self._xcoms.of_run(**where) if where else self._xcoms
        found = self._pull(source, task_ids or self.task_id, key, map_indexes, elsewhere=bool(where))
        return default if found is MISSING else found

    def _pull(
        self, source: XComs, task_id: str, key: str, index: int | MapIndex | None, *, elsewhere: bool
    ) -> Any:
        if index is not None:
            return source.value(task_id, key, (index,) if isinstance(index, int) else tuple(index))
        if not elsewhere and self._scopes.knows(task_id):
            return self._scopes.pull(source, task_id, key)
        found = source.many(task_id, key)
        if len(found) == 1 and found.map_indexes == [()]:
            return found[0]
        return found if len(found) else MISSING

    def skip(self, task_ids: Sequence[str]) -> None:
        """Decide as a branch: these direct downstream tasks are skipped, the others follow their rules."""
        self.branch = tuple(task_ids)

    def skip_all_downstream(self) -> None:
        """Decide as a short circuit: everything downstream is skipped whatever its rule, teardowns apart."""
        self.skips_all_downstream = True

    def __repr__(self) -> str:
        index = f"[{'.'.join(map(str, self.index))}]" if self.index else ""
        return f"<TaskInstance {self.dag_id}/{self.run_id}/{self.task_id}{index} try {self.try_number}>"


def check_key(key: Any) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what cannot be the key of an XCom."""
    if not isinstance(key, str):
        raise TypeError(f"the key of an XCom is a string, not {type(key).__name__} ({key!r:.40})")
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise ValueError(f"the key of an XCom has 1 to {KEY_CHARS_MAX} characters, not {len(key)}")


@dataclass(frozen=True, slots=True)
class Run:
    """``run``: the run this task belongs to."""

    dag_id: str
    run_id: str
    run_type: str
    logical_date: datetime
    run_after: datetime
    data_interval_start: datetime
    data_interval_end: datetime
    conf: Mapping[str, Any]
    started_at: datetime | None
    triggered_by: str

    @classmethod
    def of(cls, facts: TaskContext) -> Run:
        """Return the run of an attempt."""
        return cls(
            dag_id=facts.dag_id,
            run_id=facts.run_id,
            run_type=facts.run_type,
            logical_date=facts.logical_date,
            run_after=facts.run_after,
            data_interval_start=facts.interval_start,
            data_interval_end=facts.interval_end,
            conf=facts.conf,
            started_at=facts.run_started_at,
            triggered_by=facts.triggered_by,
        )


class Runs:
    """``context.runs``: starts runs of other DAGs, and tells how they stand."""

    def __init__(self, data: DataClient) -> None:
        self._data = data

    def trigger(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, Any] | None = None,
        run_id: str | None = None,
        logical_date: datetime | None = None,
        note: str = "",
    ) -> tuple[str, bool]:
        """Start a run; return its run_id and whether this call made it. ``RuntimeApiError`` says why not."""
        answer = self._data.ask(
            "run_trigger",
            dag_id=dag_id,
            run_id=run_id,
            logical_date=None if logical_date is None else logical_date.astimezone(UTC).isoformat(),
            conf=dict(conf or {}),
            note=note,
        )
        return answer["run_id"], bool(answer["created"])

    def state(
        self, dag_id: str, *, run_id: str | None = None, logical_date: datetime | None = None
    ) -> tuple[str | None, dict[str, list[str]]]:
        """Return a run's state (None: there is no such run) and the states of its tasks' instances by task id."""
        answer = self._data.ask(
            "run_state",
            dag_id=dag_id,
            run_id=run_id,
            logical_date=None if logical_date is None else logical_date.astimezone(UTC).isoformat(),
        )
        tasks: dict[str, list[str]] | None = answer.get("tasks")
        return answer.get("state"), {} if tasks is None else tasks
