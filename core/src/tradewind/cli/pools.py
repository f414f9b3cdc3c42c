"""``tradewind pools``: how many tasks use something at once."""

from __future__ import annotations

from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import approve, harmless_yes_option, output_option, yes_option
from tradewind.cli.output import Column, done, emit, formatted, rows_table, show_rows
from tradewind.cli.values import chosen_names, missing, read_document

SLOTS_MAX = 1_000_000

_LIST = (
    Column("Pool", "name"),
    Column("Slots", "slots", right=True),
    Column("Used", "used", right=True),
    Column("Waiting", "waiting", right=True),
    Column("Description", "description"),
)


@click.group(cls=NearGroup, short_help="Limit how many tasks use something at once.")
def pools() -> None:
    """Limit how many tasks use something at once. The pool "default" always exists."""


@pools.command("list")
@output_option
def list_(output: str) -> None:
    """List pools with what holds their slots and what waits for them."""
    from tradewind.api.usecases.pools import list_pools

    with installation.parts() as parts:
        rows = list_pools(parts.store)
    show_rows(output, rows, _LIST)


@pools.command()
@click.argument("name")
@output_option
def get(name: str, output: str) -> None:
    """Show a pool."""
    from tradewind.api.usecases.pools import list_pools

    with installation.parts() as parts:
        rows = {row["name"]: row for row in list_pools(parts.store)}
    if name not in rows:
        raise missing("pool", name, rows)
    emit(output, rows[name], lambda: rows_table([rows[name]], _LIST))


@pools.command("set")
@click.argument("name")
@click.argument("slots", type=click.IntRange(0, SLOTS_MAX))
@click.option("--description", default=None, metavar="TEXT")
@output_option
@harmless_yes_option
def set_(name: str, slots: int, description: str | None, output: str) -> None:
    """Create a pool with that many SLOTS, or change it."""
    with installation.parts() as parts:
        known = {pool.name: pool for pool in parts.store.pools()}
        text = description if description is not None else known[name].description if name in known else ""
        parts.store.set_pool(name, slots, text, actor=installation.actor())
    word = "changed" if name in known else "created"
    data = {"name": name, "slots": slots, "description": text, "created": name not in known}
    done(output, data, f'Pool "{name}" {word}: {slots} slots.')


@pools.command()
@click.argument("name")
@output_option
@yes_option
def delete(name: str, output: str, *, yes: bool) -> None:
    """Delete a pool. Tasks that ask for it wait until there is one of that name again."""
    with installation.parts() as parts:
        known = [pool.name for pool in parts.store.pools()]
        if name not in known:
            raise missing("pool", name, known)
        approve(f'Delete pool "{name}"?', yes=yes, destructive=True)
        parts.store.delete_pool(name, actor=installation.actor())
    done(output, {"name": name, "deleted": True}, f'Deleted pool "{name}".')


@pools.command("export")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), default="json", show_default=True)
def export(names: tuple[str, ...], output: str) -> None:
    """Print pools for `pools import`."""
    with installation.parts() as parts:
        known = {
            pool.name: {"slots": pool.slots, "description": pool.description} for pool in parts.store.pools()
        }
    click.echo(formatted(output, {name: known[name] for name in chosen_names("pool", names, known)}))


@pools.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"), metavar="FILE|-")
@output_option
@yes_option
def import_(file: Any, output: str, *, yes: bool) -> None:
    """Create or change pools from a JSON FILE: {"name": {"slots": 4, "description": "…"}}."""
    example = '{"gpu": {"slots": 4, "description": "graphics cards"}}'
    found = read_document(file, "pools", example)
    wanted = [(name, *_checked(name, content, example)) for name, content in found.items()]
    with installation.parts() as parts:
        known = {pool.name for pool in parts.store.pools()}
        changed = sorted(known & set(found))
        if changed:
            approve(f"Change {len(changed)} pools ({', '.join(changed[:5])})?", yes=yes, destructive=True)
        for name, slots, description in wanted:
            parts.store.set_pool(name, slots, description, actor=installation.actor())
    data = {"created": len(found) - len(changed), "changed": len(changed)}
    done(output, data, f"Created {data['created']} and changed {data['changed']} pools.")


def _checked(name: str, content: Any, example: str) -> tuple[int, str]:
    slots = content.get("slots") if isinstance(content, dict) else content
    if not isinstance(slots, int) or isinstance(slots, bool) or not 0 <= slots <= SLOTS_MAX:
        raise click.UsageError(
            f'Pool "{name}" needs a number of slots from 0 to {SLOTS_MAX}. Write {example}'
        )
    return slots, str(content.get("description", "")) if isinstance(content, dict) else ""
