"""An engine for the runtime's own tests: a task is the function of its name in the DAG file."""

from __future__ import annotations

import sys
from types import ModuleType

from tradewind.domain.codec import encode
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime.forkserver.engine import Data
from tradewind.runtime.forkserver.load import describe_error, execute_source
from tradewind.runtime.forkserver.messages import DagSource


class StubEngine:
    """Calls ``task_id(context, data)``; what it returns is the return value."""

    def prepare(self) -> None:
        """Need nothing."""

    def load(self, source: DagSource) -> ModuleType:
        return execute_source(source)

    def arrange(self, loaded: ModuleType, clock: Clock) -> None:
        """Need nothing."""

    def run(self, loaded: ModuleType, context: TaskContext, data: Data, clock: Clock) -> OutcomeReport:
        kind, reason, error, xcoms = OutcomeKind.SUCCESS, "", None, {}
        try:
            value = getattr(loaded, context.task_id)(context, data)
            xcoms = {} if value is None else {"return_value": encode(value).decode()}
        except Exception as problem:  # noqa: BLE001 - user code
            kind, reason = OutcomeKind.ERROR, f"{type(problem).__name__}: {problem}"
            error = describe_error(problem, "")
        finally:
            sys.stdout.flush()
        return OutcomeReport(
            instance_id=context.instance_id,
            token=context.token,
            kind=kind,
            reason=reason,
            error=error,
            xcoms=xcoms,
        )


def engine() -> StubEngine:
    """Return the engine; the fork server's entry asks for it by this name."""
    return StubEngine()
