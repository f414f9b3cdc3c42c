"""``tradewind doctor``: looks at everything an installation needs and says what is wrong, and what to do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradewind.cli import installation
from tradewind.cli.border import message
from tradewind.cli.options import output_option
from tradewind.cli.output import emit, terminal
from tradewind.errors import TradewindError

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts
    from tradewind.config import Settings

FREE_BYTES_MIN = 200 * 1024**2  # less, and a busy day fills the disk
BEAT_OLD = timedelta(seconds=60)

Finding = dict[str, Any]
_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@click.command(short_help="Say what is wrong with this installation.")
@output_option
def doctor(output: str) -> int:
    """Look at settings, folders, database, processes, DAG files and plugins; exit 1 when there is a problem."""
    findings = list(_examine())

    def people() -> None:
        for one in findings:
            sign, style = _SIGNS[one["level"]]
            click.echo(f"{terminal.styled(sign, style)} {one['what']}: {one['message']}")

    emit(output, findings, people)
    return 1 if any(one["level"] == "problem" for one in findings) else 0


def _examine() -> Iterator[Finding]:
    try:
        settings = installation.settings()
    except TradewindError as error:
        yield _finding("problem", "settings", message(error))
        return
    yield _finding("ok", "settings", f"right; home is {settings.home_path}")
    yield from _folders(settings)
    yield from _key(settings)
    try:
        with installation.parts() as parts:
            _ = parts.store
            yield _finding("ok", "database", "answers, with the right schema")
            for check in (_processes, _dag_files, _runs):
                yield from check(parts)
    except (TradewindError, OSError) as error:
        yield _finding("problem", "database", message(error))
    yield from _plugins(settings)


def _folders(settings: Settings) -> Iterator[Finding]:
    for what, path in (("DAG folder", settings.dags_path), ("log folder", settings.logs_path)):
        if not path.is_dir():
            yield _finding("problem", what, f"{path} is not there. Make it, or change the setting.")
        elif what == "log folder" and not os.access(path, os.W_OK):
            yield _finding("problem", what, f"{path} cannot be written by this user.")
        else:
            yield _finding("ok", what, str(path))
    home = settings.home_path
    if home.is_dir():
        free = shutil.disk_usage(home).free
        level = "ok" if free >= FREE_BYTES_MIN else "problem"
        yield _finding(level, "disk", f"{free / 1024**3:.1f} GiB are free where {home} lies")


def _key(settings: Settings) -> Iterator[Finding]:
    path: Path = settings.key_path
    if not path.exists():
        yield _finding("ok", "secrets", "no key yet; it is made when the first secret is stored")
    elif path.stat().st_mode & 0o077:
        yield _finding("problem", "secrets", f"others may read {path}. Close it: chmod 600 {path}")
    else:
        yield _finding("ok", "secrets", f"the key is in {path}; keep a copy apart from the database's backup")


def _processes(parts: Parts) -> Iterator[Finding]:
    now = parts.store.now()
    leader = parts.store.leader(parts.settings.scheduler.shard)
    if leader is None or leader[1] <= now:
        yield _finding(
            "problem", "scheduler", "none leads. Start one: `tradewind standalone` or `tradewind scheduler`"
        )
    else:
        yield _finding("ok", "scheduler", f"{leader[0].holder} leads, term {leader[0].number}")
    seen = {"dag-processor": False}
    for component, kind, _host, _pid, at, data in parts.store.components():
        fresh = now - at <= BEAT_OLD
        seen[kind] = seen.get(kind, False) or fresh
        for name, one in data.get("executors", {}).items() if fresh else ():
            level = "ok" if one["workers"] else "warning"
            yield _finding(
                level,
                "executor",
                f"{name}: {one['workers']} workers, {one['slots']} slots {one['detail']}".rstrip(),
            )
        if not fresh:
            yield _finding("warning", kind, f"{component} was last heard at {at:%Y-%m-%d %H:%M:%S} UTC")
    if not seen["dag-processor"]:
        yield _finding("warning", "dag-processor", "none is heard: changes of DAG files are not seen")


def _dag_files(parts: Parts) -> Iterator[Finding]:
    errors = parts.store.import_errors()
    for file, line, text, _trace, _since in errors:
        place = file if line is None else f"{file}:{line}"
        yield _finding("problem", "DAG file", f"{place}: {text.splitlines()[0]}")
    if not errors:
        yield _finding("ok", "DAG files", f"{len(parts.store.dags())} DAGs, all files are right")


def _runs(parts: Parts) -> Iterator[Finding]:
    active = parts.store.count_active_runs()
    count = sum(sum(states.values()) for states in active.values())
    yield _finding("ok", "runs", f"{count} active in {len(active)} DAGs")
    pools = {pool.name: pool.slots for pool in parts.store.pools()}
    for name, slots in pools.items():
        if slots == 0:
            yield _finding("warning", "pool", f"{name} has no slots: nothing in it starts")


def _plugins(settings: Settings) -> Iterator[Finding]:
    from tradewind.plugins.registry import load_registry

    broken = False
    for one in load_registry(settings.plugins_path, disabled=settings.plugins.disabled).plugins():
        for problem in one.problems:
            broken = True
            yield _finding("problem", "plugin", f"{one.name} ({one.place}): {problem}")
    if not broken:
        yield _finding("ok", "plugins", "all are right")


def _finding(level: str, what: str, text: str) -> Finding:
    return {"level": level, "what": what, "message": text}
