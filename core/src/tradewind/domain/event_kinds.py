"""The kinds of events there are: the contract of the audit, of observers and of the live feed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tradewind.domain.states import RunState, TaskState

_OTHERS = {
    "dag.added": "A DAG was found for the first time.",
    "dag.version": "A DAG changed: its next runs use the new version.",
    "dag.source": "A DAG's file changed in a way that its DAG does not show; the text tasks run is new.",
    "dag.missing": "A DAG's file is gone, or no longer defines it.",
    "dag.restored": "A missing or retired DAG is there again.",
    "dag.retired": "A DAG was missing for long: no new runs, its history stays.",
    "dag.deleted": "A person deleted a DAG with its history.",
    "dag.paused": "A person paused a DAG: its schedule rests.",
    "dag.unpaused": "A person let a DAG's schedule go on.",
    "dag.run_skipped": "A tick made no run: enough were active and the DAG's overlap is skip.",
    "file.failing": "A DAG file does not parse; its DAGs keep their last good version.",
    "file.repaired": "A failing DAG file parses again, or is gone.",
    "run.retried": "A whole run or a group in it failed and is tried again.",
    "pool.set": "A pool was made or changed.",
    "pool.deleted": "A pool was deleted.",
    "connection.set": "A connection was made or replaced; the event does not hold it.",
    "connection.deleted": "A connection was deleted.",
    "variable.set": "A variable was made or replaced; the event does not hold its value.",
    "variable.deleted": "A variable was deleted.",
    "act.clear": "A person cleared tasks; `data` has why and how many.",
    "act.mark_success": "A person marked tasks or a run as succeeded.",
    "act.mark_failed": "A person marked tasks or a run as failed.",
    "act.cancel": "A person cancelled a run.",
    "act.pause": "A person paused a run.",
    "act.resume": "A person let a paused run go on.",
    "act.hold": "A person held one task of a run back.",
    "act.release": "A person let a held task go on.",
}

EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {f"task.{state}": f"A task instance became {state}." for state in TaskState}
    | {f"run.{state}": f"A run became {state}." for state in RunState}
    | _OTHERS
)
