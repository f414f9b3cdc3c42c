"""Wait until a function says so."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Unpack

from tradewind.authoring.callables import call_with_context
from tradewind.authoring.options import TaskOptions
from tradewind.errors import ArgumentError
from tradewind.sensors.waiting import POKE_INTERVAL_SECONDS, TIMEOUT_SECONDS, Mode, SensorOperator


class PythonSensor(SensorOperator):
    """Wait until ``python_callable(*op_args, **op_kwargs)`` returns a truthy value or a PokeReturn.

    Also ``@task.sensor``. Parameters named like parts of the context get them, as for PythonOperator.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("op_args", "op_kwargs")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        mode: Mode = "poke",
        poke_interval: timedelta | float = POKE_INTERVAL_SECONDS,
        timeout: timedelta | float | None = TIMEOUT_SECONDS,
        soft_fail: bool = False,
        exponential_backoff: bool = False,
        max_wait: timedelta | float | None = None,
        deferrable: bool = False,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(
            mode=mode,
            poke_interval=poke_interval,
            timeout=timeout,
            soft_fail=soft_fail,
            exponential_backoff=exponential_backoff,
            max_wait=max_wait,
            deferrable=deferrable,
            **kwargs,
        )
        if not callable(python_callable):
            raise ArgumentError(
                f'python_callable of task "{self.task_id}" cannot be called: {python_callable!r:.60}.'
            )
        self.python_callable = python_callable
        self.op_args = list(op_args)
        self.op_kwargs = dict(op_kwargs or {})

    def poke(self, context: Any) -> Any:
        """Call the function."""
        return call_with_context(self.python_callable, self.op_args, self.op_kwargs, context)

    def describe(self) -> str:
        """Name the function."""
        return f"waiting for {getattr(self.python_callable, '__name__', 'the function')}()"
