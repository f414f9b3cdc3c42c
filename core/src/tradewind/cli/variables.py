"""``tradewind variables``: values that tasks read."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import approve, output_option, yes_option
from tradewind.cli.output import Column, done, emit, formatted, show_rows
from tradewind.cli.values import chosen_names, missing, read_document, whole_text

_LIST = (Column("Variable", "key"), Column("From", "source"), Column("Description", "description"))


@click.group(cls=NearGroup, short_help="Keep values that tasks read.")
def variables() -> None:
    """Keep values that tasks read; stored encrypted, as some of them are secrets."""


@variables.command("list")
@output_option
def list_(output: str) -> None:
    """List variables, without their values."""
    with installation.parts() as parts:
        rows = [
            {"key": one.name, "source": one.source, "description": one.description}
            for one in parts.secrets.variable_list()
        ]
    show_rows(output, rows, _LIST, empty="No variables.")


@variables.command()
@click.argument("key")
@output_option
def get(key: str, output: str) -> None:
    """Print a variable's value."""
    with installation.parts() as parts:
        value = parts.secrets.variable_get(key)
        known = [one.name for one in parts.secrets.variable_list()] if value is None else []
    if value is None:
        raise missing("variable", key, known)
    emit(output, {"key": key, "value": value}, lambda: click.echo(value))


@variables.command("set")
@click.argument("key")
@click.argument("value", metavar="VALUE|-")
@click.option("--description", default="", metavar="TEXT")
@output_option
@yes_option
def set_(key: str, value: str, description: str, output: str, *, yes: bool) -> None:
    """Create or replace a variable. `-` reads the value from stdin, so that no secret stands among the arguments."""
    with installation.parts() as parts:
        replaced = parts.store.variable(key) is not None
        if replaced:
            approve(f'Replace variable "{key}"?', yes=yes)
        text = whole_text() if value == "-" else value
        parts.secrets.variable_set(key, text, description=description, actor=installation.actor())
    word = "Replaced" if replaced else "Created"
    done(output, {"key": key, "created": not replaced}, f'{word} variable "{key}".')


@variables.command()
@click.argument("key")
@output_option
@yes_option
def delete(key: str, output: str, *, yes: bool) -> None:
    """Delete a stored variable."""
    with installation.parts() as parts:
        if parts.store.variable(key) is None:
            raise missing("variable", key, [row[0] for row in parts.store.variables()], stored=True)
        approve(f'Delete variable "{key}"?', yes=yes, destructive=True)
        parts.secrets.variable_delete(key, actor=installation.actor())
    done(output, {"key": key, "deleted": True}, f'Deleted variable "{key}".')


@variables.command("export")
@click.argument("names", nargs=-1, metavar="[KEY]...")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
@yes_option
def export(names: tuple[str, ...], output: str, *, yes: bool) -> None:
    """Print stored variables with their values, for `variables import`. Keep the output safe."""
    with installation.parts() as parts:
        wanted = chosen_names("variable", names, [row[0] for row in parts.store.variables()])
        if sys.stdout.isatty():
            approve("Show values on this terminal?", yes=yes, destructive=True)
        data = {name: parts.secrets.variable_get(name) for name in wanted}
    click.echo(formatted(output, data))


@variables.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"), metavar="FILE|-")
@output_option
@yes_option
def import_(file: Any, output: str, *, yes: bool) -> None:
    """Create or replace variables from a JSON FILE: {"key": "value"}; a value that is no text is kept as JSON."""
    found = read_document(file, "variables", '{"region": "eu"}')
    with installation.parts() as parts:
        known = {row[0] for row in parts.store.variables()}
        replaced = sorted(known & set(found))
        if replaced:
            approve(
                f"Replace {len(replaced)} variables ({', '.join(replaced[:5])})?", yes=yes, destructive=True
            )
        for key, value in found.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            parts.secrets.variable_set(key, text, actor=installation.actor())
    data = {"created": len(found) - len(replaced), "replaced": len(replaced)}
    done(output, data, f"Created {data['created']} and replaced {data['replaced']} variables.")
