"""``tradewind demo``: a clone's main example, run on the real data by a standalone of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradewind.cli import installation
from tradewind.cli.output import note
from tradewind.errors import ConfigError

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts
    from tradewind.config import Settings

MAIN_EXAMPLE = "seattle_weather"
KNOWN_SECONDS_MAX = 60.0  # for the example to be read
SETTINGS = """\
# The demo's own installation; delete the folder to begin anew.
[dags]
folder = "../dags"

[plugins]
folder = "../plugins"
"""


@click.command(hidden=True, short_help="Run the main example of a clone.")
@click.option("--once", is_flag=True, help="End when it has ended; exit 0 when it succeeded.")
def demo(*, once: bool) -> int:
    """Start Tradewind on the example DAGs of a clone, and run the main one to success."""
    from tradewind.cli.standalone.command import run_standalone
    from tradewind.cli.standalone.watch import Child

    home = find_clone(Path.cwd(), Path(__file__)) / ".demo"
    write_settings(home)
    os.environ["TRADEWIND_HOME"] = str(home)
    settings = installation.settings()
    driver = Child("demo", lambda _ready: drive(settings, once=once), again=False, decides=once)
    return run_standalone(settings, [driver])


def find_clone(*starts: Path) -> Path:
    """Return the folder of the clone around one of those places; ``ConfigError`` when there is none."""
    for start in starts:
        for folder in (start, *start.resolve().parents):
            if (folder / "dags" / f"{MAIN_EXAMPLE}.py").is_file():
                return folder
    raise ConfigError(
        f"The demo needs a clone of the repository: no folder from here upwards has dags/{MAIN_EXAMPLE}.py. In a"
        " project of your own: `tradewind init` and `tradewind standalone`."
    )


def write_settings(home: Path) -> None:
    """Make the demo's home with its settings, unless there is one."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "tradewind.toml"
    if not file.exists():
        file.write_text(SETTINGS, encoding="utf-8")


def drive(settings: Settings, *, once: bool) -> int:
    """Wait for the example, run it, tell how it goes and where to look; return 0 when it succeeded."""
    from tradewind.api.usecases.acts import By, trigger
    from tradewind.bootstrap import Parts
    from tradewind.cli.following import await_run
    from tradewind.domain.states import RunState

    parts = Parts(settings, listen=True)
    try:
        _await_known(parts)
        by = By(installation.actor(), parts.clock.now(), "demo")
        run, _created = trigger(parts.store, MAIN_EXAMPLE, by, note="started by the demo")
        note(f"Running {MAIN_EXAMPLE} on four years of Seattle's weather …")
        run = await_run(parts, run, timeout=None)
        succeeded = run.state is RunState.SUCCESS
        click.echo(_summary(parts, run.run_id, str(run.state), once=once))
        sys.stdout.flush()
        return 0 if succeeded else 1
    finally:
        parts.close()


def _await_known(parts: Parts) -> None:
    from tradewind.cli.waiting import looks

    for _look in looks(parts, timeout=KNOWN_SECONDS_MAX, every=0.1):
        dag = parts.store.dag_row(MAIN_EXAMPLE)
        if dag is not None and not dag.retired and dag.missing_since_at is None:
            return
    errors = "; ".join(
        f"{file}: {message}" for file, _line, message, _trace, _since in parts.store.import_errors()
    )
    raise ConfigError(
        f"The example {MAIN_EXAMPLE} was not read within {KNOWN_SECONDS_MAX:g} s. {errors}".rstrip()
    )


def _summary(parts: Parts, run_id: str, state: str, *, once: bool) -> str:
    from tradewind.cli.standalone.command import program

    run = parts.store.find_run(MAIN_EXAMPLE, run_id)
    assert run is not None, "the run was just awaited"
    counts = parts.store.count_instances(run.pk)
    seconds = 0.0
    if run.started_at is not None and run.ended_at is not None:
        seconds = (run.ended_at - run.started_at).total_seconds()
    home = parts.settings.home_path
    results = home / MAIN_EXAMPLE
    lines = [f"{MAIN_EXAMPLE} ended as {state} in {seconds:.1f} s, {sum(counts.values())} tasks."]
    found = sorted(str(path) for path in results.iterdir() if path.is_file()) if results.is_dir() else []
    lines += [f"  result    {path}" for path in found]
    lines += [
        f"  logs      {parts.settings.logs_path}",
        f"  database  {parts.settings.metastore_url.partition('@')[2] or parts.settings.metastore_url}",
        f"Look around: export TRADEWIND_HOME={home}",
        f"  {program()} runs show {MAIN_EXAMPLE} latest",
        f"  {program()} tasks logs {MAIN_EXAMPLE} latest validate",
    ]
    if not once:
        lines.append("It stays up and runs the examples on their schedules. Ctrl-C ends everything.")
    return "\n".join(lines)
