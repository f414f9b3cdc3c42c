"""``tradewind db``: the database."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import SECONDS, approve, output_option, yes_option
from tradewind.cli.output import done, note

RUNS_PER_BATCH = 200  # short transactions, so that the scheduler never waits for a clean


@click.group(cls=NearGroup, short_help="Create, migrate and clean the database.")
def db() -> None:
    """Create, migrate, check and clean the database."""


@db.command()
@output_option
@yes_option
def migrate(output: str, *, yes: bool) -> None:
    """Create the tables, or bring them to this version's schema."""
    from tradewind.bootstrap import migrate as migrate_schema
    from tradewind.bootstrap import prepare_home

    settings = installation.settings()
    prepare_home(settings)
    approve("Migrate the database?", yes=yes or not settings.metastore.url)
    before, after = migrate_schema(settings.metastore_url)
    data = {"before": before, "after": after}
    if before == after:
        done(output, data, f"The database has schema {after}: nothing to do.")
    elif before is None:
        done(output, data, f"Created the tables, schema {after}.")
    else:
        done(output, data, f"Migrated the database from schema {before} to {after}.")


@db.command()
@output_option
def check(output: str) -> None:
    """Say whether the database can be reached and has this version's schema."""
    with installation.parts() as parts:
        now = parts.store.now()
        done(output, {"ok": True, "time": now.isoformat()}, "The database answers and has the right schema.")


@db.command()
@click.argument("revision")
@output_option
@yes_option
def downgrade(revision: str, output: str, *, yes: bool) -> None:
    """Take the schema back to an older REVISION, before installing an older version."""
    from tradewind.bootstrap import downgrade as downgrade_schema

    settings = installation.settings()
    installation.require_home(settings)
    approve(f"Take the schema back to {revision}? What it cannot hold is lost.", yes=yes, destructive=True)
    downgrade_schema(settings.metastore_url, revision)
    done(output, {"after": revision}, f"The database has schema {revision} now.")


@db.command()
@click.option(
    "--older-than", type=SECONDS, required=True, metavar="TIME", help="Age of the end of runs: 30d, 12h."
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Newest runs to keep of a DAG.",
)
@output_option
@yes_option
def clean(older_than: float, keep_last: int, output: str, *, yes: bool) -> None:
    """Delete ended runs that are old, with their tasks, XComs and attempts; logs stay."""
    with installation.parts() as parts:
        before = parts.store.now() - timedelta(seconds=older_than)
        question = f"Delete runs that ended before {before:%Y-%m-%d %H:%M} UTC, but the {keep_last} newest of each DAG?"
        approve(question, yes=yes, destructive=True)
        total: dict[str, int] = {}
        while True:
            counts = parts.store.clean(before, keep_last_per_dag=keep_last, limit=RUNS_PER_BATCH)
            for name, count in counts.items():
                total[name] = total.get(name, 0) + count
            if not counts.get("run"):
                break
    done(output, total, f"Deleted {total.get('run', 0)} runs.")


@db.command()
def shell() -> None:
    """Open the database's own client: sqlite3, psql or mysql."""
    from tradewind.cli.db_shell import client_command

    settings = installation.settings()
    installation.require_home(settings)
    command, environment = client_command(settings.metastore_url)
    if shutil.which(command[0]) is None:
        raise click.ClickException(
            f"The client {command[0]} is not installed; install it and run this again."
        )
    note(f"{command[0]}: changes made here are not audited.")
    os.execvpe(command[0], command, {**os.environ, **environment})  # noqa: S606 - no shell is wanted
