"""Waiting for something to happen in the metastore: by wake-up hints, by looking now and then without."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts

LOOK_SECONDS = 1.0  # without a hint
REST_SECONDS = 0.03  # between two looks, however many hints come


def looks(parts: Parts, *, timeout: float | None = None, every: float = LOOK_SECONDS) -> Iterator[None]:
    """Yield at once, then after each hint, or ``every`` so many seconds; ends after ``timeout`` seconds.

    ``parts`` were opened with ``listen=True``.
    """
    clock = parts.clock
    deadline = float("inf") if timeout is None else clock.monotonic() + timeout
    while True:
        parts.wakeup.drain()
        yield
        left = deadline - clock.monotonic()
        if left <= 0:
            return
        fileno = parts.wakeup.fileno()
        select.select([] if fileno is None else [fileno], [], [], min(every, left))
        select.select([], [], [], min(REST_SECONDS, left))
