"""What an attempt does once it may run: finds its DAG in the imported file and executes the task."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
from collections.abc import Mapping
from typing import Any, Protocol

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime.forkserver.load import execute_source
from tradewind.runtime.forkserver.messages import DagSource

STDOUT = 1
SIGTERM = int(signal.SIGTERM)


class Data(Protocol):
    """Asks the runtime API through the supervisor."""

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Return the answer; raises :class:`~tradewind.errors.RuntimeApiError` when it is an error."""
        ...


class Engine(Protocol):
    """The part of the runtime that knows what a DAG is; tests put in their own."""

    def prepare(self) -> None:
        """Import what every attempt needs, before the first fork."""
        ...

    def load(self, source: DagSource) -> Any:
        """Import a DAG file; raises whatever it raises."""
        ...

    def arrange(self, loaded: Any, clock: Clock) -> None:
        """Do once, before attempts are forked, what each would do the same."""
        ...

    def run(self, loaded: Any, context: TaskContext, data: Data, clock: Clock) -> OutcomeReport:
        """Run one attempt in this process; ordinary failures are outcomes."""
        ...


class TaskEngine:
    """The real one."""

    def prepare(self) -> None:
        import tradewind.authoring.decorators
        import tradewind.authoring.registry
        import tradewind.runtime.task.execute
        import tradewind.runtime.task.logs  # noqa: F401
        from tradewind.runtime.clock import SystemClock
        from tradewind.runtime.task.rehearse import rehearse

        rehearse(SystemClock())

    def load(self, source: DagSource) -> Mapping[str, Any]:
        from tradewind.authoring.registry import collecting

        with collecting(f"{source.folder}/{source.file}") as dags:
            execute_source(source)
        self._file = source.file
        return {dag.dag_id: dag for dag in dags}

    def arrange(self, loaded: Mapping[str, Any], clock: Clock) -> None:
        from tradewind.runtime.task.execute import Termination, run_attempt
        from tradewind.runtime.task.logs import install
        from tradewind.runtime.task.mask import Masker
        from tradewind.runtime.task.warm import warm

        self._records = install(STDOUT, clock=clock)
        self._run_attempt = run_attempt
        self._masker = Masker()
        self._termination = Termination()
        warm(loaded.values(), self._file)

    def run(self, loaded: Mapping[str, Any], context: TaskContext, data: Data, clock: Clock) -> OutcomeReport:
        dag = loaded.get(context.dag_id)
        if dag is None:
            known = ", ".join(sorted(loaded)) or "none"
            return OutcomeReport(
                instance_id=context.instance_id,
                token=context.token,
                kind=OutcomeKind.ERROR,
                reason=f"{context.file} makes no DAG {context.dag_id!r} here; it makes: {known}."
                " A DAG file must make the same DAGs wherever it is imported.",
            )
        _signal.signal(SIGTERM, self._termination)  # the C function: its wrapper costs a fork thirty pages
        try:
            return self._run_attempt(
                dag, context, data, clock=clock, masker=self._masker, termination=self._termination
            )
        finally:
            self._records.release()


def default_engine() -> Engine:
    """Return the engine of real attempts."""
    return TaskEngine()
