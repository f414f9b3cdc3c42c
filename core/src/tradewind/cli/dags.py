"""``tradewind dags``: what there is, whether it is right, and starting it."""

from __future__ import annotations

from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.dags_acts import delete, pause, trigger, unpause
from tradewind.cli.dags_files import check, test
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import dag_argument, output_option
from tradewind.cli.output import Column, emit, note, rows_table, show_rows, terminal
from tradewind.cli.output.words import instant


@click.group(cls=NearGroup, short_help="List, check, test, trigger and pause DAGs.")
def dags() -> None:
    """List, check, test, trigger and pause DAGs."""


for _command in (check, test, trigger, pause, unpause, delete):
    dags.add_command(_command)

_LIST = (
    Column("DAG", "dag_id"),
    Column("Schedule", "schedule"),
    Column("Paused", "paused"),
    Column("Last", "last_state", state=True),
    Column("Next run", "next_run", instant),
    Column("Tags", "tags"),
    Column("File", "file"),
    Column("Version", "version", right=True),
)


@dags.command("list")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Only DAGs with this tag; may be given again."
)
@click.option("--paused/--active", "paused", default=None, help="Only paused, or only active ones.")
@output_option
def list_(tags: tuple[str, ...], output: str, *, paused: bool | None) -> None:
    """List the DAGs with their schedule, newest run and next run."""
    from tradewind.api.usecases.views import list_dags

    with installation.parts() as parts:
        rows = list_dags(parts.store, tags=tags, paused=paused)
        failing = parts.store.import_errors() if output == "table" else []
    show_rows(output, rows, _LIST, empty="No DAGs are known." if not failing else "")
    if failing:
        count = len(failing)
        note(f"{count} file{'s' * (count != 1)} cannot be read; see `tradewind dags errors`.")


@dags.command()
@dag_argument
@output_option
def show(dag_id: str, output: str) -> None:
    """Show a DAG: its schedule, tasks, params, versions."""
    from tradewind.api.usecases.dag_views import show_dag

    with installation.parts() as parts:
        shown = show_dag(parts.store, dag_id, parts.registry.timetables())
    emit(output, shown, lambda: _people_dag(shown))


@dags.command()
@dag_argument
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "dot"]), default="text", show_default=True
)
@click.option("--left-to-right", is_flag=True, help="Draw mermaid and dot sideways.")
def graph(dag_id: str, form: str, *, left_to_right: bool) -> None:
    """Print a DAG's tasks and what they wait for: as text, or for a drawing tool."""
    from tradewind.api.trigger import find_dag
    from tradewind.cli.graph_text import draw

    with installation.parts() as parts:
        spec = parts.store.spec(find_dag(parts.store, dag_id).version_id)
    click.echo(draw(spec, form, left_to_right=left_to_right), nl=False)


@dags.command("next")
@dag_argument
@click.option("-n", "--number", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
@output_option
def next_(dag_id: str, number: int, output: str) -> None:
    """List when the DAG's next runs are due, and why there is none now."""
    from tradewind.api.usecases.dag_views import next_runs
    from tradewind.api.usecases.why import why_dag

    with installation.parts() as parts:
        rows = next_runs(parts.store, dag_id, parts.registry.timetables(), number)
        reasons = why_dag(parts.store, dag_id) if output == "table" else []
    columns = (Column("Run after", "run_after", instant), Column("Logical date", "logical_date", instant))
    show_rows(output, rows, columns)
    for reason in reasons:
        note(reason["message"])


@dags.command()
@dag_argument
@click.option("--version", "number", type=int, default=None, metavar="N", help="An older version's text.")
def source(dag_id: str, number: int | None) -> None:
    """Print the text of the file that made a DAG."""
    from tradewind.api.usecases.dag_views import source_of

    with installation.parts() as parts:
        file, text = source_of(parts.store, dag_id, number)
    note(f"# {file}")
    click.echo(text, nl=not text.endswith("\n"))


@dags.command()
@click.option("--traceback", is_flag=True, help="Show where it happened, too.")
@output_option
def errors(output: str, *, traceback: bool) -> None:
    """List the DAG files that cannot be used, and why. Their last good versions stay in use."""
    with installation.parts() as parts:
        rows: list[dict[str, Any]] = [
            {"file": file, "line": line, "message": message, "traceback": trace, "since": since.isoformat()}
            for file, line, message, trace, since in parts.store.import_errors()
        ]

    def people() -> None:
        for row in rows:
            place = row["file"] if row["line"] is None else f"{row['file']}:{row['line']}"
            click.echo(f"{terminal.styled(place, 'bold')}  since {instant(row['since'])}")
            click.echo(_indented(str(row["message"])))
            if traceback and row["traceback"]:
                click.echo(terminal.styled(_indented(str(row["traceback"])), "dim"))
        if not rows:
            note("All DAG files are right.")

    columns = (Column("File", "file"), Column("Line", "line"), Column("Message", "message"))
    emit(output, rows, people, lambda: show_rows("plain", rows, columns))


def _people_dag(shown: dict[str, Any]) -> None:
    head = (
        "file",
        "schedule",
        "paused",
        "next_run",
        "version",
        "tags",
        "owner",
        "description",
        "max_active_runs",
    )
    click.echo(terminal.styled(str(shown["dag_id"]), "bold"))
    for name in head:
        value = Column("", name).cell(shown)
        if value:
            click.echo(f"  {name.replace('_', ' '):<16} {value}")
    params = shown["params"]
    if isinstance(params, list) and params:
        click.echo("\nParams")
        rows_table(
            params, (Column("Name", "name"), Column("Default", "default"), Column("Allowed", "schema"))
        )
    tasks = shown["tasks"]
    if isinstance(tasks, list):
        click.echo("")
        columns = (
            Column("Task", "task_id"),
            Column("Operator", "operator"),
            Column("Waits for", "upstream"),
            Column("Rule", "trigger_rule"),
            Column("Retries", "retries", right=True),
            Column("Pool", "pool"),
        )
        rows_table(tasks, columns)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
