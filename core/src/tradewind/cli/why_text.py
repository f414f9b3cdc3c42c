"""Reasons for people: who waits, then why; instances that wait for the same are told once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from tradewind.cli.output import terminal
from tradewind.cli.runs_text import task_name


def people_why(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print who waits and why."""
    grouped: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        key = (entry["task_id"], entry["state"], tuple(one["message"] for one in entry["reasons"]))
        grouped.setdefault(key, []).append(entry)
    for (task_id, state, messages), same in grouped.items():
        name = "the run" if task_id is None else task_name(same[0])
        more = f" and {len(same) - 1:,} more" if len(same) > 1 else ""
        click.echo(f"{terminal.styled(name + more, 'bold')}  {terminal.state_text(state)}")
        for message in messages:
            click.echo(f"  {terminal.harmless(message)}")


def plain_why(entries: Sequence[Mapping[str, Any]]) -> None:
    """Print one line for each reason."""
    for entry in entries:
        for reason in entry["reasons"]:
            index = "" if entry["map_index"] is None else entry["map_index"]
            parts = (entry["task_id"] or "", index, entry["state"], reason["kind"], reason["message"])
            click.echo("\t".join(map(str, parts)))
