"""Which logs a task instance has, and reading them while they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tradewind.domain.records import InstanceRow, RunRow
from tradewind.ports.logstore import LogStore
from tradewind.ports.metastore import Metastore
from tradewind.runtime.logs import log_key

READ_BYTES = 256 * 1024


class AttemptLogRef(NamedTuple):
    """The log of one attempt."""

    try_number: int
    token: int
    key: str


def logs_of(store: Metastore, logs: LogStore, run: RunRow, row: InstanceRow) -> list[AttemptLogRef]:
    """Return the logs there are of an instance, oldest first; each attempt has its own, lost ones too."""
    tries = {attempt.token: attempt.try_number for attempt in store.attempts(row.id)}
    tries.setdefault(row.token, max(row.try_number, 1))
    found = []
    for token, number in sorted(tries.items()):
        key = log_key(run.dag_id, run.run_id, row.task_id, row.map_index, token)
        if token and logs.size(key) is not None:
            found.append(AttemptLogRef(number, token, key))
    return found


def pick(found: Sequence[AttemptLogRef], try_number: int | None) -> list[AttemptLogRef]:
    """Return the logs of a try (several when it was lost and begun again), or the newest log."""
    if try_number is None:
        return list(found[-1:])
    return [one for one in found if one.try_number == try_number]


class LogReader:
    """Reads the whole lines of one log, from where it stopped the last time."""

    def __init__(self, logs: LogStore, key: str) -> None:
        self._logs = logs
        self._key = key
        self._offset = 0

    def lines(self) -> Iterator[str]:
        """Yield the lines that are there and were not yielded before, as they are stored: JSON."""
        part = b""
        while data := self._logs.read(self._key, self._offset, READ_BYTES):
            self._offset += len(data)
            *whole, part = (part + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
        self._offset -= len(part)


def parse_line(line: str) -> dict[str, Any]:
    """Return a log line's fields; one that is no record is a message."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return (
        found
        if isinstance(found, dict)
        else {"at": "", "level": "INFO", "logger": "", "message": line, "stream": ""}
    )
