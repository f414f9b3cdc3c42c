"""``tradewind providers``: installed distributions that bring operators, connections and more."""

from __future__ import annotations

import difflib
from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import output_option
from tradewind.cli.output import Column, emit, rows_table, show_rows, terminal
from tradewind.errors import NotFoundError


@click.group(cls=NearGroup, short_help="Show installed providers.")
def providers() -> None:
    """Show installed providers. "tradewind" is the core itself."""


@providers.command("list")
@output_option
def list_(output: str) -> None:
    """List providers and how much each offers."""
    rows = [{**row, "offers": len(row["offers"])} for row in _providers()]
    columns = (
        Column("Provider", "name"),
        Column("Distribution", "distribution"),
        Column("State", "state"),
        Column("Offers", "offers", right=True),
    )
    show_rows(output, rows, columns)


@providers.command()
@click.argument("name")
@output_option
def show(name: str, output: str) -> None:
    """Show what a provider offers: operators, sensors, connection types, executors and the rest."""
    rows = {row["name"]: row for row in _providers()}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=3) or sorted(rows)
        raise NotFoundError(f'There is no provider "{name}". There are: {", ".join(near)}')
    row = rows[name]

    def people() -> None:
        click.echo(f"{terminal.styled(name, 'bold')}  {row['distribution']}, {row['state']}")
        for problem in row["problems"]:
            click.echo(f"  {terminal.styled('problem', 'red')} {problem}")
        columns = (Column("Kind", "kind"), Column("Name", "name"), Column("Summary", "summary"))
        rows_table(row["offers"], columns)

    emit(output, row, people)


def _providers() -> list[dict[str, Any]]:
    from tradewind.plugins.candidates import Origin
    from tradewind.plugins.declarations import KINDS, singular
    from tradewind.plugins.registry import load_registry

    settings = installation.settings()
    registry = load_registry(None, disabled=settings.plugins.disabled)
    found: dict[str, dict[str, Any]] = {
        one.name: {
            "name": one.name,
            "distribution": one.place if one.origin is not Origin.BUILT_IN else f"tradewind {_version()}",
            "state": one.state.value,
            "problems": list(one.problems),
            "offers": [],
        }
        for one in registry.plugins()
    }
    for hook in KINDS:
        for offer in registry.declarations(hook).offers():
            declared = offer.declared
            shown = {"kind": singular(hook), "name": declared.name, "summary": declared.summary}
            found[offer.plugin]["offers"].append({**shown, "target": declared.target})
    return list(found.values())


def _version() -> str:
    from importlib.metadata import version

    return version("tradewind")
