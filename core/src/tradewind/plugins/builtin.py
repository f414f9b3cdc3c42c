"""Tradewind's own parts, registered by the same hooks as anyone's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tradewind.hookspecs import ConnectionType, Declared, FormField, OperatorDeclared, hookimpl
from tradewind.ports.logstore import LogStore

NAME = "tradewind"


class HasLogsPath(Protocol):
    """The part of the settings that the log store reads."""

    @property
    def logs_path(self) -> Path:
        """The folder of task logs."""
        ...


@hookimpl
def tradewind_operators() -> list[OperatorDeclared]:
    """Declare the core's operators and sensors."""
    return [_action(name, summary) for name, summary in _ACTIONS.items()] + [
        OperatorDeclared(name=name, target=f"tradewind.sensors:{name}", kind="sensor", summary=summary)
        for name, summary in _SENSORS.items()
    ]


def _action(name: str, summary: str) -> OperatorDeclared:
    return OperatorDeclared(name=name, target=f"tradewind.operators:{name}", summary=summary)


_ACTIONS = {
    "BashOperator": "Run a command or a shell script.",
    "BranchPythonOperator": "Choose by a function which of the direct downstream tasks go on.",
    "EmptyOperator": "Do nothing; a joint in the graph that costs no worker.",
    "ExternalPythonOperator": "Call a function in another Python interpreter.",
    "FailOperator": "Fail with a message.",
    "LatestOnlyOperator": "Skip what is downstream unless this is the newest run.",
    "PythonOperator": "Call a Python function.",
    "PythonVirtualenvOperator": "Call a function in a virtual environment with its own requirements.",
    "ShortCircuitOperator": "Skip everything downstream when a function says no.",
    "TriggerDagRunOperator": "Start a run of another DAG.",
}
_SENSORS = {
    "DateTimeSensor": "Wait until an instant.",
    "ExternalTaskSensor": "Wait for a task or a run of another DAG.",
    "PythonSensor": "Wait until a function says yes.",
    "TimeDeltaSensor": "Wait a while after the run's logical date.",
}


@hookimpl
def tradewind_connection_types() -> list[ConnectionType]:
    """Declare the connection that fits what no provider knows."""
    return [
        ConnectionType(
            name="generic",
            target="builtins:dict",
            title="Anything",
            summary="A connection that no installed provider knows; all fields, any extra.",
            fields=(
                FormField(name="host", label="Host"),
                FormField(name="port", label="Port", kind="number"),
                FormField(name="login", label="Login"),
                FormField(name="password", label="Password", kind="password"),
                FormField(name="schema", label="Schema"),
            ),
            extra_schema={"type": "object"},
        )
    ]


@hookimpl
def tradewind_executors() -> list[Declared]:
    """Declare the executor of this machine."""
    return [
        Declared(
            name="local",
            target="tradewind.plugins.local_executor:from_settings",
            summary="Attempts are forks of warm servers on this machine.",
        )
    ]


@hookimpl
def tradewind_log_stores() -> list[Declared]:
    """Declare the logs that are files."""
    return [
        Declared(name="file", target="tradewind.plugins.builtin:file_log_store", summary="Files in a folder.")
    ]


def file_log_store(settings: HasLogsPath) -> LogStore:
    """Return the log store of the folder the settings name."""
    from tradewind.runtime.logs import FileLogStore

    return FileLogStore(settings.logs_path)
