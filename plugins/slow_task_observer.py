"""An example plugin: learns how long tasks take, says so when one runs far longer, and lists the slowest.

It shows an observer (``on_events``), a reason for ``tradewind tasks why`` and a command, ``tradewind slow-tasks``.
The observer runs in the scheduler and the others in the command line, so what was learnt lies in a small file in
the home folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tradewind.config import find_home
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import EventRow
from tradewind.domain.states import TaskState
from tradewind.hookspecs import Declared, Waiting, hookimpl

SLOW_FACTOR = 3.0  # times the average is worth a word
RUNS_MIN = 3  # before that many nobody knows what is usual
STARTED_MAX = 10_000  # running tasks remembered; an event that got lost must not fill the memory


class Learnt:
    """The average and the longest duration of each task, and since when the running ones run."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.started: dict[int, datetime] = {}
        self.tasks: dict[str, dict[str, float]] = {}
        if file.exists():
            self.tasks = json.loads(file.read_text(encoding="utf-8"))

    def take(self, events: Sequence[EventRow]) -> None:
        """Learn from a batch of events and keep it."""
        before = {name: dict(task) for name, task in self.tasks.items()}
        for event in events:
            if event.instance_id is None or event.at is None:
                continue
            if event.kind == "task.running":
                if len(self.started) < STARTED_MAX:
                    self.started[event.instance_id] = event.at
                continue
            started = self.started.pop(event.instance_id, None)
            if started is not None and event.kind == "task.success":
                self.add(f"{event.dag_id}/{event.task_id}", (event.at - started).total_seconds())
        if self.tasks != before:
            self.save()

    def add(self, task: str, seconds: float) -> None:
        """Count one more duration of a task."""
        known = self.tasks.setdefault(task, {"runs": 0, "mean": 0.0, "max": 0.0})
        known["runs"] += 1
        known["mean"] += (seconds - known["mean"]) / known["runs"]
        known["max"] = max(known["max"], seconds)

    def save(self) -> None:
        """Write the file whole, so that a reader never sees half of it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.tasks), encoding="utf-8")
        fresh.replace(self.file)

    def slowest(self, count: int) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield the tasks with the longest averages, slowest first."""
        yield from sorted(self.tasks.items(), key=lambda item: -item[1]["mean"])[:count]


def default_file() -> Path:
    """Return where this installation keeps what was learnt."""
    return find_home(os.environ, Path.cwd()) / "run" / "slow_tasks.json"


_observer: list[Learnt] = []  # made at the first batch: nothing happens at import


@hookimpl
def on_events(events: Sequence[EventRow]) -> None:
    """Learn how long tasks take."""
    if not _observer:
        _observer.append(Learnt(default_file()))
    _observer[0].take(events)


@hookimpl
def why_reasons(waiting: Waiting) -> list[Reason]:
    """Say when a task runs much longer than it usually does."""
    started = waiting.instance.started_at
    if waiting.instance.state is not TaskState.RUNNING or started is None:
        return []
    usual = Learnt(default_file()).tasks.get(f"{waiting.dag.dag_id}/{waiting.instance.task_id}")
    seconds = (waiting.now - started).total_seconds()
    if usual is None or usual["runs"] < RUNS_MIN or seconds < SLOW_FACTOR * usual["mean"]:
        return []
    message = (
        f"runs for {seconds:.0f} s; it usually takes {usual['mean']:.0f} s (at most {usual['max']:.0f} s)"
    )
    return [
        Reason(kind=ReasonKind.PLUGIN, message=message, since=started, data={"plugin": "slow_task_observer"})
    ]


@hookimpl
def tradewind_cli_commands() -> list[Declared]:
    """Offer the command."""
    return [Declared(name="slow-tasks", target=f"{__name__}:command", summary="List the slowest tasks.")]


def __getattr__(name: str) -> Any:
    """Make the Click command when it is called: a plugin's module must cost nothing."""
    if name != "command":
        raise AttributeError(name)
    import click

    @click.command("slow-tasks")
    @click.option("--limit", default=10, show_default=True, help="How many to list.")
    def command(limit: int) -> None:
        """List the tasks that take longest on average."""
        for task, known in Learnt(default_file()).slowest(limit):
            click.echo(f"{known['mean']:10.1f} s  {known['max']:10.1f} s  {known['runs']:6.0f} runs  {task}")

    return command
