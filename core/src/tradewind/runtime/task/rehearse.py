"""Run the engine a few times on nothing, in a server, before attempts are forked from it.

The first calls of a function write to it: the interpreter counts them, then settles on quicker instructions. In a
fork each such write copies a page. What was rehearsed in the server is settled there once, and every attempt starts
with it; that halves what a no-op attempt costs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tradewind.authoring.dag import DAG
from tradewind.authoring.decorators import task
from tradewind.authoring.registry import collecting
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.records import MapIndex
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeReport, TaskContext
from tradewind.runtime.task.execute import run_attempt
from tradewind.runtime.task.mask import Masker

ROUNDS = 4  # after these, the interpreter has settled; more gave nothing
FILE = "rehearsal.py"
INSTANT = datetime(2026, 1, 1, tzinfo=UTC)  # any


class _NoData:
    """Answers as if each upstream had returned 1."""

    def ask(self, verb: str, **_arguments: Any) -> Any:
        """Answer a question."""
        return [[[], "1"]] if verb == "xcom_get" else None


def rehearse(clock: Clock) -> None:
    """Run a plain, a dependent and a mapped no-op; nobody else's code, nothing is written or said.

    Raises AssertionError when one of them does not succeed: then no attempt would.
    """
    dag = _dag()
    for _round in range(ROUNDS):
        for task_id, index in (("plain", ()), ("after", ()), ("mapped", (1,))):
            report = _attempt(dag, task_id, index, clock)
            assert report.kind is OutcomeKind.SUCCESS, report.reason


def _dag() -> DAG:
    def same(x: Any = None) -> Any:
        return x

    make: Callable[..., Any] = task
    with collecting(FILE), DAG("rehearsal") as dag:
        plain = make(task_id="plain")(same)(1)
        make(task_id="after")(same)(plain)
        make(task_id="mapped")(same).expand(x=[1, 2])
    return dag


def _attempt(dag: DAG, task_id: str, index: MapIndex, clock: Clock) -> OutcomeReport:
    context = TaskContext(
        instance_id=0,
        token=0,
        dag_id=dag.dag_id,
        run_id="rehearsal",
        run_pk=0,
        task_id=task_id,
        version_id=0,
        file=FILE,
        source_sha="",
        run_type="manual",
        logical_date=INSTANT,
        run_after=INSTANT,
        interval_start=INSTANT,
        interval_end=INSTANT,
        map_index=index,
    )
    return run_attempt(dag, context, _NoData(), clock=clock, masker=Masker())
