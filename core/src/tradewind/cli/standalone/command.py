"""``tradewind standalone``: everything on this machine in one process tree."""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tradewind.cli import installation
from tradewind.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from tradewind.cli.standalone.watch import Child, Ready
    from tradewind.config import Settings

STOP_MARGIN_SECONDS = 10.0  # beyond the grace of attempts, for the parts to write what they know


@click.command(short_help="Run everything on this machine, in one process tree.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=None, help="Of the web page, where one is installed."
)
def standalone(port: int | None) -> int:
    """Run scheduler, DAG processor and worker, watch over them and restart what dies.

    Makes the database when there is none. Ctrl-C ends everything; a second one does not wait for tasks. The next
    start goes on where this one ended.
    """
    settings = installation.settings()
    if port is not None:
        os.environ["TRADEWIND__WEBSERVER__PORT"] = str(port)  # for the part that serves the page
    return run_standalone(settings)


def run_standalone(settings: Settings, further: Sequence[Child] = ()) -> int:
    """Run the parts, and ``further`` children beside them, until they are stopped; return the exit status."""
    from tradewind.bootstrap import log_line, prepare_home
    from tradewind.cli.standalone.lock import only_one
    from tradewind.cli.standalone.watch import Watch
    from tradewind.runtime.clock import SystemClock

    clock = SystemClock()
    started = clock.monotonic()
    prepare_home(settings)
    os.environ["TRADEWIND_HOME"] = str(
        settings.home_path
    )  # tasks and their commands mean the same installation
    with only_one(settings.run_path) as lock:
        prepare_database(settings)

        def tell() -> None:
            _greet(settings, clock.monotonic() - started)

        watch = Watch(
            [*_parts(settings), *further],
            clock.monotonic,
            log_line("standalone"),
            on_ready=tell,
            grace_seconds=settings.executor.grace_seconds + STOP_MARGIN_SECONDS,
            close_in_children=(lock,),
        )
        gc.collect()
        gc.freeze()  # what is loaded now is shared by all children as long as nobody writes to it
        return watch.run()


def prepare_database(settings: Settings) -> None:
    """Bring the database to this version's schema; a process of its own loads what only that needs."""
    from tradewind.bootstrap import Parts, migrate
    from tradewind.cli.border import guarded
    from tradewind.errors import MetastoreUnavailableError, SchemaError

    parts = Parts(settings)
    try:
        _ = parts.store
        return
    except SchemaError:
        pass
    except MetastoreUnavailableError:
        if settings.metastore.url:
            raise
    finally:
        parts.close()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = guarded(lambda: bool(migrate(settings.metastore_url)) - 1)
            sys.stderr.flush()
        finally:
            os._exit(code)
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise click.exceptions.Exit(1)


def _parts(settings: Settings) -> list[Child]:
    from tradewind.cli.standalone.watch import Child

    # One name for all the schedulers that this process forks, one after the other: a new one need not wait until the
    # lease of the one that died is over.
    name = f"{socket.gethostname()}:{os.getpid()}"
    return [
        Child("scheduler", lambda ready: _scheduler(settings, name, ready)),
        Child("dag-processor", lambda ready: _dag_processor(settings, ready)),
    ]


def _scheduler(settings: Settings, name: str, ready: Ready) -> None:
    from tradewind.bootstrap import run_scheduler

    _titled("scheduler")
    try:
        run_scheduler(settings, ready=ready, name=name, end_workers=True)
    except PluginError as error:  # a restart would meet the same plugins
        raise ConfigError(str(error)) from error


def _dag_processor(settings: Settings, ready: Ready) -> None:
    from tradewind.bootstrap import run_dag_processor

    _titled("dag-processor")
    run_dag_processor(settings, ready=ready)


def _titled(part: str) -> None:
    import setproctitle

    setproctitle.setproctitle(f"tradewind {part}")


def _greet(settings: Settings, seconds: float) -> None:
    me = program()
    click.echo(
        f"Tradewind is ready ({seconds:.1f} s). Home: {settings.home_path}, DAGs: {settings.dags_path.resolve()}\n"
        f"  {me} dags list                what there is\n"
        f"  {me} dags trigger DAG --wait  run one\n"
        f"  {me} runs watch DAG           look on\n"
        "Ctrl-C ends everything."
    )
    sys.stdout.flush()


def program() -> str:
    """Return how a person at this shell calls the command."""
    if shutil.which("tradewind"):
        return "tradewind"
    return "python -m tradewind" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
