"""``tradewind connections``: credentials of other systems, encrypted where they lie."""

from __future__ import annotations

import sys
from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import approve, output_option, yes_option
from tradewind.cli.output import Column, done, emit, formatted, rows_table, show_rows
from tradewind.cli.values import chosen_names, missing, read_document, whole_text

_LIST = (
    Column("Connection", "conn_id"),
    Column("Type", "type"),
    Column("From", "source"),
    Column("Description", "description"),
)


@click.group(cls=NearGroup, short_help="Keep credentials of other systems.")
def connections() -> None:
    """Keep credentials of other systems: encrypted, and given only to the tasks that ask for them."""


@connections.command("list")
@output_option
def list_(output: str) -> None:
    """List connections, without their content."""
    with installation.parts() as parts:
        rows = [
            {"conn_id": one.name, "type": one.type, "source": one.source, "description": one.description}
            for one in parts.secrets.connection_list()
        ]
    show_rows(output, rows, _LIST, empty="No connections.")


@connections.command()
@click.argument("conn_id", metavar="ID")
@output_option
def get(conn_id: str, output: str) -> None:
    """Show a connection; its password and the values of extra stay hidden."""
    from tradewind.api.secrets import masked

    with installation.parts() as parts:
        found = parts.secrets.connection_get(conn_id)
        known = [one.name for one in parts.secrets.connection_list()] if found is None else []
    if found is None:
        raise missing("connection", conn_id, known)
    shown = {"conn_id": conn_id, **masked(found)}
    rows = [{"field": name, "value": value} for name, value in shown.items() if value not in (None, "", {})]
    emit(output, shown, lambda: rows_table(rows, (Column("Field", "field"), Column("Value", "value"))))


@connections.command("set")
@click.argument("conn_id", metavar="ID")
@click.argument("value", metavar="URL|JSON|-", required=False)
@click.option("--type", "kind", default=None, metavar="TYPE", help="Then give the fields as options.")
@click.option("--host", default=None)
@click.option("--port", type=int, default=None)
@click.option("--login", default=None)
@click.option(
    "--password", is_flag=True, help="Ask for the password; without a terminal it is read from stdin."
)
@click.option("--schema", default=None)
@click.option("--extra", default=None, metavar="JSON")
@click.option("--description", default="", metavar="TEXT")
@output_option
@yes_option
def set_(
    conn_id: str,
    value: str | None,
    kind: str | None,
    host: str | None,
    port: int | None,
    login: str | None,
    schema: str | None,
    extra: str | None,
    description: str,
    output: str,
    *,
    password: bool,
    yes: bool,
) -> None:
    """Create or replace a connection. `-` reads it from stdin, so that no secret stands among the arguments."""
    fields = {"type": kind, "host": host, "port": port, "login": login, "schema": schema, "extra": extra}
    given = {name: one for name, one in fields.items() if one is not None}
    content: str | dict[str, Any]
    if (value is None) == (kind is None):
        raise click.UsageError("Give either URL, JSON or - (stdin), or --type with the fields as options.")
    if value is not None:
        if given or password:
            raise click.UsageError(
                "The fields stand in the URL or JSON already; --type and the others are for without."
            )
        content = whole_text() if value == "-" else value
    else:
        content = given | ({"password": _password()} if password else {})
    with installation.parts() as parts:
        replaced = parts.store.connection(conn_id) is not None
        if replaced:
            approve(f'Replace connection "{conn_id}"?', yes=yes)
        parts.secrets.connection_set(conn_id, content, description=description, actor=installation.actor())
    word = "Replaced" if replaced else "Created"
    done(output, {"conn_id": conn_id, "created": not replaced}, f'{word} connection "{conn_id}".')


@connections.command()
@click.argument("conn_id", metavar="ID")
@output_option
@yes_option
def delete(conn_id: str, output: str, *, yes: bool) -> None:
    """Delete a stored connection."""
    with installation.parts() as parts:
        if parts.store.connection(conn_id) is None:
            raise missing("connection", conn_id, [row[0] for row in parts.store.connections()], stored=True)
        approve(f'Delete connection "{conn_id}"?', yes=yes, destructive=True)
        parts.secrets.connection_delete(conn_id, actor=installation.actor())
    done(output, {"conn_id": conn_id, "deleted": True}, f'Deleted connection "{conn_id}".')


@connections.command("export")
@click.argument("names", nargs=-1, metavar="[ID]...")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
@yes_option
def export(names: tuple[str, ...], output: str, *, yes: bool) -> None:
    """Print stored connections with their secrets, for `connections import`. Keep the output safe."""
    with installation.parts() as parts:
        stored = {row[0]: row[3] for row in parts.store.connections()}
        wanted = chosen_names("connection", names, stored)
        if sys.stdout.isatty():
            approve("Show secrets on this terminal?", yes=yes, destructive=True)
        data = {
            name: {**(parts.secrets.connection_get(name) or {}), "description": stored[name]}
            for name in wanted
        }
    click.echo(formatted(output, data))


@connections.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"), metavar="FILE|-")
@output_option
@yes_option
def import_(file: Any, output: str, *, yes: bool) -> None:
    """Create or replace connections from a JSON FILE: {"id": "url" or {fields}}."""
    found = read_document(file, "connections", '{"db": "postgres://login:password@host/name"}')
    with installation.parts() as parts:
        known = {row[0] for row in parts.store.connections()}
        replaced = sorted(known & set(found))
        if replaced:
            approve(
                f"Replace {len(replaced)} connections ({', '.join(replaced[:5])})?", yes=yes, destructive=True
            )
        for conn_id, content in found.items():
            description = content.pop("description", "") if isinstance(content, dict) else ""
            parts.secrets.connection_set(
                conn_id, content, description=str(description or ""), actor=installation.actor()
            )
    data = {"created": len(found) - len(replaced), "replaced": len(replaced)}
    done(output, data, f"Created {data['created']} and replaced {data['replaced']} connections.")


@connections.command()
@output_option
def types(output: str) -> None:
    """List the types of connections that installed providers know."""
    with installation.parts() as parts:
        rows = [
            {
                "type": kind.name,
                "title": kind.title,
                "summary": kind.summary,
                "fields": [field.name for field in kind.fields],
                "url_schemes": list(kind.url_schemes),
            }
            for kind in parts.registry.connection_types()
        ]
    columns = (
        Column("Type", "type"),
        Column("Title", "title"),
        Column("Fields", "fields"),
        Column("Summary", "summary"),
    )
    show_rows(output, rows, columns)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, err=True))
    return whole_text()
