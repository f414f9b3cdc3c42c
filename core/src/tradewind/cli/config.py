"""``tradewind config``: the settings as they are, and whether they are right."""

from __future__ import annotations

import difflib

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import output_option
from tradewind.cli.output import Column, done, emit, show_rows
from tradewind.errors import NotFoundError


@click.group(cls=NearGroup, short_help="Show and check the settings.")
def config() -> None:
    """Show and check the settings: defaults, tradewind.toml, then TRADEWIND__SECTION__KEY."""


@config.command("list")
@click.option("--changed", is_flag=True, help="Only those that differ from their default.")
@output_option
def list_(output: str, *, changed: bool) -> None:
    """List all settings with their values and defaults."""
    from tradewind.cli.settings_text import flat

    rows = [row for row in flat(installation.settings()) if row["changed"] or not changed]
    columns = (
        Column("Section", "section"),
        Column("Setting", "key"),
        Column("Value", "value"),
        Column("Default", "default"),
    )
    show_rows(output, rows, columns, empty="Every setting has its default.")


@config.command()
@click.argument("name", metavar="SECTION.KEY")
@output_option
def get(name: str, output: str) -> None:
    """Print one setting: `tradewind config get executor.parallelism`."""
    from tradewind.cli.settings_text import flat

    rows = {f"{row['section']}.{row['key']}": row for row in flat(installation.settings())}
    if name not in rows:
        near = difflib.get_close_matches(name, rows, n=3) or sorted(rows)
        raise NotFoundError(f'There is no setting "{name}". There are: {", ".join(near)}')
    row = rows[name]
    emit(output, row, lambda: click.echo(Column("", "value").cell(row)))


@config.command()
@output_option
def check(output: str) -> None:
    """Say whether the settings can be used; exit 2 when not."""
    settings = installation.settings()
    file = settings.home_path / "tradewind.toml"
    where = str(file) if file.exists() else f"the defaults (there is no {file})"
    done(output, {"ok": True, "home": settings.home}, f"The settings are right. They come from {where}.")
