"""The local executor of an installation with plugins: its workers know the plugins' template names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from tradewind.executors.local import LocalExecutor
from tradewind.executors.local_settings import ORPHAN_SECONDS, LocalSettings, worker_options
from tradewind.plugins import task_engine
from tradewind.plugins.registry import Registry, load_registry
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.supervisor.options import WorkerOptions


class PluginsSection(Protocol):
    """The part of the settings about plugins."""

    @property
    def disabled(self) -> tuple[str, ...]:
        """Names of plugins to leave out."""
        ...


class Settings(LocalSettings, Protocol):
    """The part of the settings that the executor reads."""

    @property
    def plugins_path(self) -> Path:
        """The plugins folder."""
        ...

    @property
    def plugins(self) -> PluginsSection:
        """About plugins."""
        ...


def equipped(
    options: WorkerOptions, environment: Mapping[str, str], folder: Path, registry: Registry
) -> tuple[WorkerOptions, dict[str, str]]:
    """Return a worker's options and environment with what its tasks need of plugins; unchanged if that is nothing."""
    added = task_engine.environment_for(folder, registry.template_names())
    if not added:
        return options, dict(environment)
    return msgspec.structs.replace(options, engine=task_engine.MODULE), {**environment, **added}


def from_settings(settings: Settings) -> LocalExecutor:
    """Return the local executor of an installation."""
    registry = load_registry(settings.plugins_path, disabled=settings.plugins.disabled)
    given = msgspec.structs.replace(worker_options(settings), orphan_seconds=ORPHAN_SECONDS)
    options, environment = equipped(given, os.environ, settings.plugins_path, registry)
    return LocalExecutor(
        options, clock=SystemClock(), environment=environment, spawn_worker=settings.executor.start_worker
    )
