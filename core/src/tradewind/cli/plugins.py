"""``tradewind plugins``: what extends this installation, whether it is right, and what it costs."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import output_option
from tradewind.cli.output import Column, emit, note, show_rows, terminal


@click.group(cls=NearGroup, short_help="List, check and trace plugins.")
def plugins() -> None:
    """List, check and trace plugins: those of installed providers and those of the plugins folder."""


def _registry() -> Any:
    from tradewind.plugins.registry import load_registry

    settings = installation.settings()
    return load_registry(settings.plugins_path, disabled=settings.plugins.disabled)


@plugins.command("list")
@output_option
def list_(output: str) -> None:
    """List plugins, how they are doing, and what is wrong with them."""
    rows = [
        {
            "name": one.name,
            "state": one.state.value,
            "origin": one.origin.value,
            "place": one.place,
            "hooks": list(one.hooks),
            "problems": list(one.problems),
        }
        for one in _registry().plugins()
    ]
    columns = (
        Column("Plugin", "name"),
        Column("State", "state"),
        Column("From", "origin"),
        Column("Place", "place"),
        Column("Hooks", "hooks"),
        Column("Problems", "problems"),
    )
    show_rows(output, rows, columns)


@plugins.command()
@click.argument("target", required=False, metavar="[PLUGIN]")
@output_option
def check(target: str | None, output: str) -> int:
    """Try plugins as Tradewind would: all, or one PLUGIN, given by name, file, folder or module."""
    from tradewind.plugins.check import check as check_plugin
    from tradewind.plugins.installed import installed_candidates
    from tradewind.plugins.local import folder_candidates, make_importable

    settings = installation.settings()
    make_importable(settings.plugins_path)
    candidates = [*installed_candidates(), *folder_candidates(settings.plugins_path)]
    targets = [target] if target is not None else [one.name for one in candidates]
    reports = [check_plugin(one, candidates) for one in targets]
    rows = [{"ok": one.ok, **msgspec.to_builtins(one)} for one in reports]

    def people() -> None:
        for row in rows:
            mark = terminal.styled("right", "green") if row["ok"] else terminal.styled("wrong", "red")
            click.echo(f"{terminal.styled(row['plugin'], 'bold')} ({row['place']}): {mark}")
            for text in row["declared"]:
                click.echo(f"  offers {text}")
            for text in row["problems"]:
                click.echo(f"  {terminal.styled('problem', 'red')} {text}")
        if not rows:
            note("There are no plugins but the built-in ones.")

    columns = (Column("Plugin", "plugin"), Column("OK", "ok"), Column("Problems", "problems"))
    emit(output, rows[0] if target else rows, people, lambda: show_rows("plain", rows, columns))
    return 0 if all(one.ok for one in reports) else 1


@plugins.command()
@output_option
def trace(output: str) -> None:
    """Load all plugins and list every call that makes, with its time."""
    from tradewind.plugins.check import trace as trace_calls

    rows = [msgspec.to_builtins(call) for call in trace_calls(_registry())]
    columns = (
        Column("Plugin", "plugin"),
        Column("Hook", "hook"),
        Column("Milliseconds", "seconds", lambda seconds: f"{seconds * 1000:.2f}", right=True),
        Column("Error", "error"),
    )
    show_rows(output, rows, columns, empty="No plugin was called.")
