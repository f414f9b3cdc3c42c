"""Housekeeping of the leader: deletes old runs in small batches when there is nothing better to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from tradewind.ports.metastore import Metastore

EVERY = timedelta(hours=1)
RUNS_PER_BATCH = 200  # short transactions: a claim never waits for housekeeping


class Maintenance:
    """Deletes ended runs older than ``keep``, but never the newest ``keep_last`` of a DAG."""

    def __init__(
        self, store: Metastore, *, keep: timedelta, keep_last: int, log: Callable[[str], None]
    ) -> None:
        self._store = store
        self._keep = keep
        self._keep_last = keep_last
        self._log = log
        self._next_at: datetime | None = None

    def tend(self, now: datetime) -> None:
        """Delete one batch when it is time; more follow at the next call while there are some."""
        if self._next_at is not None and now < self._next_at:
            return
        counts = self._store.clean(now - self._keep, keep_last_per_dag=self._keep_last, limit=RUNS_PER_BATCH)
        runs = counts.get("run", 0)
        if runs:
            self._log(f"deleted {runs} runs that ended before {now - self._keep:%Y-%m-%d %H:%M}")
        else:
            self._next_at = now + EVERY
