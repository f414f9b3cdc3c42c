"""How sensors wait: poke until it is so, holding the slot or freeing it in between."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Unpack

from tradewind.authoring import operator as operators
from tradewind.authoring.options import TaskOptions, as_timedelta
from tradewind.errors import ArgumentError, Fail, Reschedule, Skip, TradewindError

POKE_INTERVAL_SECONDS = 60.0
TIMEOUT_SECONDS = 7 * 24 * 3600.0  # as long as anybody would want to wait without noticing
POKE_INTERVAL_SECONDS_MIN = 0.01
Mode = Literal["poke", "reschedule"]

_POKES_KEY = "sensor_pokes"  # how often a rescheduled sensor has looked


@dataclass(frozen=True, slots=True)
class PokeReturn:
    """What a poke may return: whether the wait is over, and the sensor's output."""

    done: bool
    xcom: Any = None

    def __bool__(self) -> bool:
        return self.done


class SensorTimeout(Fail):
    """The wait was longer than its timeout; waiting again would not make it shorter, so no retry is made."""


class SensorOperator(operators.SensorOperator):
    """Waits until ``poke(context)`` returns a truthy value, or a :class:`PokeReturn`.

    ``mode``: "poke" keeps the slot between two looks, for waits of seconds; "reschedule" frees it. ``poke_interval``
    lies between two looks; with ``exponential_backoff`` each is longer than the one before, up to ``max_wait``.
    ``timeout`` counts from the first look, over reschedules too; when it is over the task fails without a retry, or is
    skipped with ``soft_fail``, which also turns an exception of ``poke`` into a skip.
    """

    def __init__(
        self,
        *,
        mode: Mode = "poke",
        poke_interval: timedelta | float = POKE_INTERVAL_SECONDS,
        timeout: timedelta | float | None = TIMEOUT_SECONDS,
        soft_fail: bool = False,
        exponential_backoff: bool = False,
        max_wait: timedelta | float | None = None,
        deferrable: bool = False,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(**kwargs)
        if deferrable:
            raise ArgumentError(
                f'Sensor "{self.task_id}" has deferrable=True, which comes with the triggerer. Until then '
                'mode="reschedule" frees the slot between two looks.'
            )
        if mode not in {"poke", "reschedule"}:
            raise ArgumentError(
                f'Sensor "{self.task_id}" has mode={mode!r}; it can be "poke" or "reschedule".'
            )
        self.mode = mode
        self.poke_interval = self._duration("poke_interval", poke_interval)
        self.timeout = None if timeout is None else self._duration("timeout", timeout)
        self.soft_fail = soft_fail
        self.exponential_backoff = exponential_backoff
        self.max_wait = None if max_wait is None else self._duration("max_wait", max_wait)

    def _duration(self, name: str, value: timedelta | float) -> timedelta:
        found = as_timedelta(value)
        if not isinstance(found, timedelta) or found.total_seconds() < 0:
            raise ArgumentError(
                f'Sensor "{self.task_id}" has {name}={value!r}; give seconds or a timedelta, not below zero.'
            )
        return found

    def poke(self, context: Any) -> Any:
        """Return whether what is waited for is so."""
        raise NotImplementedError(f"{type(self).__name__} has no poke(self, context).")

    def execute(self, context: Any) -> Any:
        """Look until it is so; between two looks wait, or free the slot."""
        began: datetime = context.ti.first_started_at or context.now()
        pokes = self._pokes_before(context)
        while True:
            found = self._look(context)
            if found:
                return found.xcom if isinstance(found, PokeReturn) else None
            pokes += 1
            wait = self._next_wait(pokes, began, context)
            if self.mode == "reschedule":
                if self.exponential_backoff:
                    context.state[_POKES_KEY] = [context.ti.try_number, pokes]
                raise Reschedule(
                    f"{self.describe()}, looked {pokes} times" if pokes > 1 else self.describe(), delay=wait
                )
            context.wait(wait.total_seconds())

    def describe(self) -> str:
        """Return what is waited for, in a few words."""
        return f"waiting ({type(self).__name__})"

    def _pokes_before(self, context: Any) -> int:
        if self.mode != "reschedule" or not self.exponential_backoff:
            return 0
        try_number, pokes = context.state.get(_POKES_KEY, (0, 0))
        return int(pokes) if try_number == context.ti.try_number else 0

    def _look(self, context: Any) -> Any:
        if not self.soft_fail:
            return self.poke(context)
        try:
            return self.poke(context)
        except (Skip, Fail, Reschedule):
            raise
        except Exception as error:  # soft_fail: the author's poke failed; it becomes a skip that says so
            context.log.exception("poke failed; soft_fail makes it a skip")
            raise Skip(f"{type(error).__name__}: {error}") from error

    def _next_wait(self, pokes: int, began: datetime, context: Any) -> timedelta:
        """Return how long to wait before the next look; raises when the timeout comes first."""
        wait = self.wait_after(pokes, f"{context.ti.run_id}/{context.ti.task_id}/{context.ti.index}")
        if self.timeout is not None:
            left = began + self.timeout - context.now()
            if left <= timedelta(0):
                text = f"{self.describe()}: not so after {self.timeout}"
                raise Skip(text) if self.soft_fail else SensorTimeout(text)
            wait = min(wait, left)
        return max(wait, timedelta(seconds=POKE_INTERVAL_SECONDS_MIN))

    def wait_after(self, pokes: int, key: str) -> timedelta:
        """Return the wait after look number ``pokes`` (from 1), the same for the same ``key``.

        With back-off it lies between interval x 2**(pokes-1) and twice that, spread by ``key``; ``max_wait`` caps it.
        """
        wait = self.poke_interval
        if self.exponential_backoff:
            ceiling = self.max_wait or timedelta(seconds=TIMEOUT_SECONDS)
            doubled = wait.total_seconds() * 2 ** min(pokes - 1, 40)
            digest = hashlib.sha256(f"{key}/{pokes}".encode()).digest()
            spread = int.from_bytes(digest[:8], "big") / 2**64
            wait = timedelta(seconds=min(doubled * (1 + spread), ceiling.total_seconds()))
        return wait if self.max_wait is None else min(wait, self.max_wait)


class ExternalFailure(TradewindError):
    """What is waited for can never be so any more."""
