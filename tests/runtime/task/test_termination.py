"""SIGTERM: the operator stops what it started, and the attempt ends as cancelled."""

import os
import signal
import threading
from typing import Any

from tests.runtime.task.conftest import NOON, StepClock
from tradewind import DAG
from tradewind.authoring.operator import ActionOperator
from tradewind.ports.runtime_api import OutcomeKind, TaskContext
from tradewind.runtime.task.execute import Termination, run_attempt
from tradewind.runtime.task.local_data import LocalData, LocalStore


class Stubborn(ActionOperator):
    """Waits for the signal it sends itself, and catches every Exception."""

    killed: list[Any]

    def execute(self, context: Any) -> Any:
        self.job = context.ti.task_id
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(30)
        except Exception as error:  # noqa: BLE001 - what careless user code does
            return repr(error)

    def on_kill(self) -> None:
        self.killed.append(self.job)


def test_on_kill_is_called_on_the_running_operator() -> None:
    with DAG("d") as dag:
        task = Stubborn(task_id="t")
    task.killed = []
    termination = Termination()
    before = signal.signal(signal.SIGTERM, termination)
    try:
        report = run_attempt(
            dag,
            TaskContext(
                instance_id=1,
                token=1,
                dag_id="d",
                run_id="r",
                run_pk=1,
                task_id="t",
                version_id=1,
                file="dag.py",
                source_sha="",
                run_type="manual",
                logical_date=NOON,
                run_after=NOON,
                interval_start=NOON,
                interval_end=NOON,
            ),
            LocalData(LocalStore(), "t"),
            clock=StepClock(),
            termination=termination,
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (report.kind, report.reason, task.killed) == (OutcomeKind.CANCELLED, "ended by SIGTERM", ["t"])
    assert termination.operator is None
