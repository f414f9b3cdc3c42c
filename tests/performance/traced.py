"""Runs the command line with every SQLite statement noted in a file: ``python -m tests.performance.traced FILE …``."""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import Any

from tradewind.cli.main import main


def trace(path: str) -> None:
    """Note all statements of connections that this process and its forks make from now on."""
    connect = sqlite3.connect
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(statement: str) -> None:
        os.write(fd, (" ".join(statement.split()) + "\n").encode())

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(note)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]


if __name__ == "__main__":
    trace(sys.argv.pop(1))
    sys.argv[0] = "tradewind"
    sys.exit(main())
