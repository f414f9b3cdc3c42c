"""The four formats of ``-o``, and the one way commands print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tradewind.cli.output import terminal
from tradewind.cli.output.table import table_lines
from tradewind.cli.output.yaml_text import to_yaml

FORMATS = ("table", "json", "yaml", "plain")
Command = TypeVar("Command", bound=Callable[..., Any])


def output_option(command: Command) -> Command:
    """Add ``-o``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="For people (table) or programs; plain is one line per item, tabs between.",
    )(command)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: what a row's value is called, and how it is written."""

    title: str
    key: str
    text: Callable[[Any], str] | None = None
    state: bool = False  # coloured as a state
    right: bool = False

    def cell(self, row: Mapping[str, Any]) -> str:
        """Return what stands in a row."""
        value = row.get(self.key)
        if self.text is not None:
            return self.text(value)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def formatted(output: str, data: Any) -> str | None:
    """Return the data as JSON or YAML; None when people or ``plain`` are asked for."""
    if output == "json":
        return json.dumps(data, indent=2, ensure_ascii=False)
    if output == "yaml":
        return to_yaml(data).rstrip("\n")
    return None


def emit(output: str, data: Any, people: Callable[[], None], plain: Callable[[], None] | None = None) -> None:
    """Print ``data`` in the format asked for; ``people`` prints it for them."""
    text = formatted(output, data)
    if text is not None:
        click.echo(text)
    elif output == "plain" and plain is not None:
        plain()
    else:
        people()


def show_rows(
    output: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], *, empty: str = ""
) -> None:
    """Print a list. ``empty`` is what people are told when there is nothing."""
    emit(
        output,
        list(rows),
        lambda: rows_table(rows, columns) if rows else note(empty),
        lambda: _plain(rows, columns),
    )


def rows_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """Print a table for people."""
    cells = [[_one_line(column.cell(row)) for column in columns] for row in rows]
    styles = [
        [terminal.state_style(str(row.get(column.key))) if column.state else "" for column in columns]
        for row in rows
    ]
    for line in table_lines(
        [column.title for column in columns],
        cells,
        right=[column.right for column in columns],
        styles=styles,
    ):
        click.echo(line)


def done(output: str, data: Any, sentence: str) -> None:
    """Print what an act did: the data for programs, a sentence for people."""
    emit(output, data, lambda: click.echo(sentence))


def note(text: str) -> None:
    """Tell people something that is no result: on standard error, so that pipes stay clean."""
    if text:
        click.echo(text, file=sys.stderr)


def _plain(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    for row in rows:
        click.echo("\t".join(_one_line(column.cell(row)) for column in columns))


def _one_line(text: str) -> str:
    return terminal.harmless(" ".join(text.split())) if not text.isprintable() else text
