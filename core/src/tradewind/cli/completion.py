"""``tradewind completion``: the script a shell needs, and the names it completes."""

from __future__ import annotations

import click

from tradewind.cli import installation
from tradewind.errors import TradewindError

NAMES_MAX = 200  # a shell shows no more


_HELP = """\
Print the completion script of a shell.

\b
bash: tradewind completion bash > ~/.local/share/bash-completion/completions/tradewind
zsh:  tradewind completion zsh > "${fpath[1]}/_tradewind"
fish: tradewind completion fish > ~/.config/fish/completions/tradewind.fish
"""


@click.command(help=_HELP, short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script of one shell."""
    from click.shell_completion import get_completion_class

    from tradewind.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None, "click knows these shells"
    click.echo(kind(cli, {}, "tradewind", "_TRADEWIND_COMPLETE").source())


def dag_ids() -> list[str]:
    """Return the DAGs there are; nothing where there is no installation."""
    try:
        with installation.parts() as parts:
            return sorted(dag.dag_id for dag in parts.store.dags())
    except TradewindError:
        return []


def run_ids(dag_id: str, start: str) -> list[str]:
    """Return the newest runs of a DAG whose ids begin so."""
    try:
        with installation.parts() as parts:
            if start:
                found = parts.store.search_runs(start, dag_id=dag_id, limit=NAMES_MAX)
            else:
                found = parts.store.list_runs(dag_id=dag_id, limit=NAMES_MAX)
            return [run.run_id for run in found] + ["latest"] * "latest".startswith(start)
    except TradewindError:
        return []


def task_ids(dag_id: str) -> list[str]:
    """Return the tasks of a DAG."""
    try:
        with installation.parts() as parts:
            dag = parts.store.dag_row(dag_id)
            return [] if dag is None else [task.task_id for task in parts.store.spec(dag.version_id).tasks]
    except TradewindError:
        return []
