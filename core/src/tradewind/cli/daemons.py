"""``tradewind scheduler``, ``dag-processor``, ``worker``: the parts one by one."""

from __future__ import annotations

import os

import click

from tradewind.cli import installation


@click.command(short_help="Run a scheduler: leader, or standby of another.")
@click.option(
    "--name", default=None, metavar="NAME", help="Its name in lists (default: host and process id)."
)
@click.option("--end-workers", is_flag=True, help="End the workers it started when it is stopped.")
def scheduler(name: str | None, *, end_workers: bool) -> None:
    """Run a scheduler until it is stopped: the leader, or a standby that takes over when the leader is gone."""
    from tradewind.bootstrap import run_scheduler

    _titled("scheduler")
    run_scheduler(installation.settings(), name=name, end_workers=end_workers)


@click.command("dag-processor", short_help="Read the DAG folder and watch it.")
def dag_processor() -> None:
    """Read the DAG files, watch the folder and keep the database in step with it, until stopped."""
    from tradewind.bootstrap import run_dag_processor

    _titled("dag-processor")
    run_dag_processor(installation.settings())


@click.command(short_help="Run the tasks of this machine.")
@click.option(
    "--slots", type=click.IntRange(min=1), default=None, help="Attempts at once (default: parallelism)."
)
@click.option(
    "--name", default="local", show_default=True, help="Its name; one worker of a name runs at once."
)
def worker(slots: int | None, name: str) -> None:
    """Run the attempts that the scheduler of this machine hands out, until stopped.

    The scheduler starts one by itself unless [executor] start_worker is false.
    """
    from tradewind.bootstrap import prepare_home
    from tradewind.executors.local_settings import worker_options
    from tradewind.plugins.local_executor import equipped
    from tradewind.plugins.registry import load_registry
    from tradewind.runtime.worker import command_line

    settings = installation.settings()
    prepare_home(settings)
    registry = load_registry(settings.plugins_path, disabled=settings.plugins.disabled)
    given = worker_options(settings, slots=slots, name=name)
    options, environment = equipped(given, os.environ, settings.plugins_path, registry)
    command = command_line(options)
    os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted


def _titled(part: str) -> None:
    import setproctitle

    setproctitle.setproctitle(f"tradewind {part}")
