"""The local executor and its worker as an installation's settings want them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import msgspec

from tradewind.executors.local import LocalExecutor
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.supervisor.options import WorkerOptions

ORPHAN_SECONDS = 300.0  # a worker that the executor has started waits that long for a scheduler to come back


class ExecutorSection(Protocol):
    """The part of the settings about executors."""

    @property
    def parallelism(self) -> int:
        """Attempts at once."""
        ...

    @property
    def grace_seconds(self) -> float:
        """Between SIGTERM and SIGKILL."""
        ...

    @property
    def drain_seconds(self) -> float:
        """What attempts get when their worker is asked to stop."""
        ...

    @property
    def start_worker(self) -> bool:
        """Whether the executor starts its worker."""
        ...


class LocalSettings(Protocol):
    """The part of the settings that the local executor reads."""

    @property
    def home_path(self) -> Path:
        """The installation's folder."""
        ...

    @property
    def dags_path(self) -> Path:
        """The DAG folder."""
        ...

    @property
    def logs_path(self) -> Path:
        """The folder of task logs."""
        ...

    @property
    def executor(self) -> ExecutorSection:
        """About executors."""
        ...


def worker_options(
    settings: LocalSettings, *, slots: int | None = None, name: str = "local"
) -> WorkerOptions:
    """Return what the worker of this machine is told; ``slots`` overrides the setting."""
    return WorkerOptions(
        home=str(settings.home_path),
        name=name,
        slots=slots if slots is not None else settings.executor.parallelism,
        dags=str(settings.dags_path),
        logs=str(settings.logs_path),
        grace_seconds=settings.executor.grace_seconds,
        drain_seconds=settings.executor.drain_seconds,
    )


def from_settings(settings: LocalSettings) -> LocalExecutor:
    """Return the local executor of an installation."""
    return LocalExecutor(
        msgspec.structs.replace(worker_options(settings), orphan_seconds=ORPHAN_SECONDS),
        clock=SystemClock(),
        environment=os.environ,
        spawn_worker=settings.executor.start_worker,
    )
