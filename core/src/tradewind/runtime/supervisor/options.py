"""What a worker is told when it starts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tradewind.ports.runtime_api import HEARTBEAT_SECONDS, LEASE_SECONDS


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's place and limits. Durations are in seconds."""

    home: str
    name: str = "local"
    slots: int = 32
    dags: str = ""  # folder of the DAG files; empty: <home>/dags
    logs: str = ""  # folder of the task logs; empty: <home>/logs
    socket: str = ""  # the executor's; empty: <home>/run/executor.sock
    grace_seconds: float = 30.0  # between SIGTERM and SIGKILL of an attempt whose time is over
    drain_seconds: float = 60.0  # what attempts get to end by themselves when the worker is to stop
    import_seconds: float = 30.0  # for a DAG file
    lease_seconds: float = LEASE_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    orphan_seconds: float | None = None  # without work and executor for so long, it ends by itself
    engine: str | None = None  # module with an ``engine()``; tests use their own

    @property
    def home_path(self) -> Path:
        """The installation's folder."""
        return Path(self.home)

    @property
    def run_path(self) -> Path:
        """Sockets and locks."""
        return self.home_path / "run"

    @property
    def dags_path(self) -> Path:
        """The DAG folder."""
        return Path(self.dags) if self.dags else self.home_path / "dags"

    @property
    def logs_path(self) -> Path:
        """The folder of task logs."""
        return Path(self.logs) if self.logs else self.home_path / "logs"

    @property
    def socket_path(self) -> Path:
        """Where the executor listens."""
        return Path(self.socket) if self.socket else self.run_path / "executor.sock"

    @property
    def spool_path(self) -> Path:
        """Where outcomes wait for their acknowledgement."""
        return self.home_path / "spool" / self.name

    @property
    def versions_path(self) -> Path:
        """The texts of DAG file versions."""
        return self.home_path / "cache" / "versions"

    @property
    def mark(self) -> str:
        """What the mark of every process of this worker's attempts begins with; its incarnation follows."""
        return f"{self.name}@{self.home}#"
