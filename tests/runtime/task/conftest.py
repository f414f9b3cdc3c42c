"""One attempt run in this process, over a store the test can look into."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tradewind.domain.records import MapIndex
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime.task.execute import run_attempt
from tradewind.runtime.task.local_data import LocalData, LocalStore

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class StepClock:
    """Goes one second further with each look."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class Attempts:
    """Runs attempts of one DAG and keeps what they push, as the scheduler would."""

    def __init__(self, dag: Any) -> None:
        self.dag = dag
        self.store = LocalStore()
        self.lengths: dict[str, dict[str, int]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, verb: str, **arguments: Any) -> Any:
        self.asked.append((verb, arguments))
        return self.data.ask(verb, **arguments)

    def run(self, task_id: str, index: MapIndex = (), **facts: Any) -> OutcomeReport:
        context = TaskContext(
            instance_id=7,
            token=3,
            dag_id=self.dag.dag_id,
            run_id="manual__1",
            run_pk=1,
            task_id=task_id,
            version_id=1,
            file="dag.py",
            source_sha="",
            run_type=facts.pop("run_type", "manual"),
            logical_date=facts.pop("logical_date", NOON),
            run_after=NOON,
            interval_start=NOON - timedelta(days=1),
            interval_end=NOON,
            map_index=index,
            lengths=facts.pop("lengths", self.lengths),
            **facts,
        )
        self.data = LocalData(self.store, task_id, index)
        report = run_attempt(self.dag, context, self, clock=StepClock())
        if report.kind is OutcomeKind.SUCCESS:
            self.store.put(task_id, index, report.xcoms)
            if report.lengths:
                name = f"{task_id}[{'.'.join(map(str, index))}]" if index else task_id
                self.lengths[name] = report.lengths
        return report


@pytest.fixture
def attempts() -> Callable[[Any], Attempts]:
    return Attempts
