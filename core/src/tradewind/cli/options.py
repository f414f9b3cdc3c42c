"""Arguments that several commands take, and what is said when they are wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from tradewind.cli.output import output_option

__all__ = [
    "CONF",
    "INSTANT",
    "MAP_INDEX",
    "SECONDS",
    "approve",
    "dag_argument",
    "harmless_yes_option",
    "output_option",
    "run_argument",
    "task_argument",
    "why_option",
    "yes_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


class Instant(click.ParamType[datetime]):
    """An instant in ISO form; without a zone it is UTC."""

    name = "ISO"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the aware instant."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(
                f"{value!r} is no instant. Write it as 2026-01-31 or 2026-01-31T06:00:00+00:00.", param, ctx
            )
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class Conf(click.ParamType[dict[str, Any]]):
    """A JSON object, or @FILE with one."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        """Return the object."""
        if isinstance(value, dict):
            return value
        text = value
        if value.startswith("@"):
            try:
                with open(value[1:], encoding="utf-8") as file:  # noqa: PTH123 - a name as the person typed it
                    text = file.read()
            except (OSError, UnicodeDecodeError) as error:
                self.fail(f"cannot read {value[1:]}: {error}", param, ctx)
        try:
            found = json.loads(text)
        except ValueError as error:
            self.fail(f'this is no JSON ({error}). Write for example \'{{"region": "eu"}}\'.', param, ctx)
        if not isinstance(found, dict):
            self.fail(
                f'this is a JSON {_kind(found)}, but it must be an object: \'{{"region": "eu"}}\'.',
                param,
                ctx,
            )
        return found


class MapIndexType(click.ParamType[tuple[int, ...]]):
    """A map index: ``3``, or ``3.0`` inside nested mapped groups."""

    name = "N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(".")
        if not all(part.isascii() and part.isdigit() for part in parts):
            self.fail(f"{value!r} is no map index. Write 3, or 3.0 inside nested mapped groups.", param, ctx)
        return tuple(map(int, parts))


class Seconds(click.ParamType[float]):
    """A duration: ``90``, ``90s``, ``5m``, ``24h``, ``7d``."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = _DURATION.fullmatch(str(value).strip().lower())
        if found is None or found[2] not in _UNITS:
            self.fail(f"{value!r} is no duration. Write seconds, or 90s, 5m, 24h, 7d.", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


INSTANT, CONF, MAP_INDEX, SECONDS = Instant(), Conf(), MapIndexType(), Seconds()


def _complete_dags(_ctx: click.Context, _param: click.Parameter, start: str) -> list[CompletionItem]:
    from tradewind.cli.completion import dag_ids

    return [CompletionItem(name) for name in dag_ids() if name.startswith(start)]


def _complete_runs(ctx: click.Context, _param: click.Parameter, start: str) -> list[CompletionItem]:
    from tradewind.cli.completion import run_ids

    return [CompletionItem(name) for name in run_ids(ctx.params.get("dag_id") or "", start)]


def _complete_tasks(ctx: click.Context, _param: click.Parameter, start: str) -> list[CompletionItem]:
    from tradewind.cli.completion import task_ids

    return [
        CompletionItem(name) for name in task_ids(ctx.params.get("dag_id") or "") if name.startswith(start)
    ]


def dag_argument(command: Command) -> Command:
    """Add the argument DAG as ``dag_id``."""
    return click.argument("dag_id", metavar="DAG", shell_complete=_complete_dags)(command)


def run_argument(command: Command) -> Command:
    """Add the argument RUN as ``run_id``."""
    return click.argument("run_id", metavar="RUN", shell_complete=_complete_runs)(command)


def task_argument(command: Command) -> Command:
    """Add the argument TASK as ``task_id``."""
    return click.argument("task_id", metavar="TASK", shell_complete=_complete_tasks)(command)


def yes_option(command: Command) -> Command:
    """Add ``--yes``, which answers the question of :func:`approve`."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(command)


def harmless_yes_option(command: Command) -> Command:
    """Add ``--yes`` to a command that changes something but need not ask, so that scripts may always say it."""
    text = "Accepted by every command that changes something; this one does not ask."
    return click.option("-y", "--yes", is_flag=True, expose_value=False, help=text)(command)


def why_option(command: Command) -> Command:
    """Add ``--why``: the reason that is kept with the act."""
    return click.option("--why", default="", metavar="TEXT", help="The reason, kept with the act.")(command)


def approve(question: str, *, yes: bool, destructive: bool = False) -> None:
    """Ask whether to go on unless ``yes``.

    Without a terminal nobody can be asked: then acts go on, destructive ones are refused as wrong use.
    """
    if yes:
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(question, abort=True, err=True)
    elif destructive:
        raise click.UsageError(f"{question} Nobody can be asked here; say --yes if it is meant.")


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
