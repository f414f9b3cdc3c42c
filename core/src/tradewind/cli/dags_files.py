"""``tradewind dags check`` and ``test``: DAG files, without database and server."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from tradewind.cli import installation
from tradewind.cli.options import CONF, INSTANT, dag_argument, output_option
from tradewind.cli.output import Column, emit, note, show_rows


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@output_option
def check(paths: tuple[Path, ...], output: str) -> int:
    """Read DAG files as the DAG processor would and list what is wrong. PATH: files or folders (default: all)."""
    from tradewind.dagbag.check import CheckError, check_paths
    from tradewind.dagbag.messages import ParseLimits
    from tradewind.plugins.registry import load_registry

    settings = installation.settings()
    warnings: list[CheckError] = []
    ok, errors = check_paths(
        paths or [settings.dags_path],
        folder=settings.dags_path,
        limits=ParseLimits(
            seconds_max=settings.dags.parse_seconds_max,
            memory_mb_max=settings.dags.parse_memory_mb_max,
            processes=settings.dags.parse_processes,
        ),
        rules=load_registry(settings.plugins_path, disabled=settings.plugins.disabled),
        plugins_folder=settings.plugins_path,
        warn=warnings.append,
    )
    data: dict[str, Any] = {"ok": ok, "errors": [msgspec.to_builtins(error) for error in errors]}

    def people() -> None:
        for warning in warnings:
            note(f"Warning: {_place(warning)}: {warning.message}")
        for error in errors:
            click.echo(f"{_place(error)}: {error.message}")
        if ok:
            click.echo("All DAG files are right.")

    columns = (Column("File", "file"), Column("Line", "line"), Column("Message", "message"))
    emit(output, data, people, lambda: show_rows("plain", data["errors"], columns))
    return 0 if ok else 1


@click.command()
@dag_argument
@click.option("--at", type=INSTANT, default=None, help="The logical date (default: now).")
@click.option("--conf", type=CONF, default=None, help="Params of the run, or @FILE.")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="The file that makes it (default: found in the DAG folder).",
)
@click.option(
    "--real-time", is_flag=True, help="Really wait for retries and sensors; else they pass at once."
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show the tasks' log.")
@output_option
def test(
    dag_id: str,
    at: datetime | None,
    conf: dict[str, Any] | None,
    file: Path | None,
    output: str,
    *,
    real_time: bool,
    quiet: bool,
) -> int:
    """Run a DAG once in this process, without database and server. Exit 0 on success, 1 on failure."""
    from tradewind.cli.runs_text import people_run
    from tradewind.dagbag.check import find_dag_file
    from tradewind.dagbag.load import load_dag_in_process
    from tradewind.plugins.registry import load_registry

    settings = installation.settings()
    found = file or find_dag_file(dag_id, folder=settings.dags_path, plugins_folder=settings.plugins_path)
    registry = load_registry(settings.plugins_path, disabled=settings.plugins.disabled)
    dag = load_dag_in_process(found, dag_id, folder=settings.dags_path, names=registry.template_names())
    result = dag.test(at=at, conf=conf, clock="real" if real_time else "virtual", quiet=quiet)
    shown = result.to_dict()
    emit(output, shown, lambda: people_run(shown, []))
    return 0 if result.state == "success" else 1


def _place(error: Any) -> str:
    return error.file if error.line is None else f"{error.file}:{error.line}"
