"""Whether an event costs the same with a long past, many DAGs and many active runs as in an empty installation."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import msgspec

from tests.performance import dag_texts, processes
from tests.performance.figures import Figure
from tests.performance.flow import CHAIN_LENGTH, steps_ms
from tests.performance.installation import ACTOR, Installation, installed
from tests.performance.limits import Limits
from tradewind.api.usecases import acts
from tradewind.authoring.compile import compile_dag
from tradewind.authoring.registry import collecting
from tradewind.domain.records import RunRow
from tradewind.domain.spec import INSTANCES_PER_RUN_BITS
from tradewind.domain.states import TaskState
from tradewind.ports.metastore import Metastore

DAG_FILES, DAGS_PER_FILE = 100, 100
RUNS = 10_000
TASKS_PER_RUN = 100
ACTIVE_RUNS = 1_000
CHAIN_RUNS = 7
FAN = 1_000
FAN_RUNS = 3
CHAIN = f"chain_{CHAIN_LENGTH}"


def history(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """The same work beside nothing and beside a long past."""
    share = 20 if quick else 1
    files = {"chain": dag_texts.chain(CHAIN_LENGTH), "fan": dag_texts.fan(FAN)}
    with installed(folder, files) as house:
        _save(house, files)
        empty = _cost(house, active=0)
    files["waiting"] = dag_texts.waiting(ACTIVE_RUNS)
    with installed(folder, files) as house:
        _save(house, files)
        _many_dags(house, DAG_FILES // share)
        _long_past(house, RUNS // share)
        full = _cost(house, active=ACTIVE_RUNS // share)
    names = (
        "scheduler's processor time per chained task",
        "the same per mapped task",
        "time from step to step",
    )
    told = (
        f"{RUNS // share * TASKS_PER_RUN:,} past task instances, {DAG_FILES // share * DAGS_PER_FILE:,} DAGs,"
        f" {ACTIVE_RUNS // share:,} active runs"
    )
    for name, before, after in zip(names, empty, full, strict=True):
        yield Figure(
            f"long past: {name}",
            after / before,
            "× empty",
            goal=1.2,
            note=f"{before:.2f} → {after:.2f} ms; {told}",
        )


def _save(house: Installation, files: dict[str, str]) -> None:
    """Make the files' DAGs known without a DAG processor: it would miss the files of the many."""
    for name, text in files.items():
        path = house.settings.dags_path / f"{name}.py"
        with collecting(str(path)) as dags:
            exec(compile(text, str(path), "exec"), {"__name__": name, "__file__": str(path)})  # noqa: S102 - our own
        specs = [compile_dag(dag) for dag in dags]
        house.parts.store.save_file(f"{name}.py", text.encode(), specs, now=house.clock.now())


def _many_dags(house: Installation, files: int) -> None:
    text = dag_texts.small("many")
    with collecting("many.py") as dags:
        exec(compile(text, "many.py", "exec"), {"__name__": "many", "__file__": "many.py"})  # noqa: S102 - our own
    spec, spec_hash = compile_dag(dags[0])
    for file in range(files):
        specs = []
        for number in range(DAGS_PER_FILE):
            dag_id = f"many_{file:03}_{number:03}"
            specs.append((msgspec.structs.replace(spec, dag_id=dag_id), f"{dag_id}{spec_hash}"[:64]))
        house.parts.store.save_file(f"many_{file:03}.py", text.encode(), specs, now=house.clock.now())


def _long_past(house: Installation, runs: int) -> None:
    """Let one chain run, and copy its rows again and again under new keys."""
    with house.running(*_scheduler()):
        pattern = house.ended(house.trigger(CHAIN))[0]
    first = house.parts.store.allocate_run_pks(runs)[0]
    connection = sqlite3.connect(house.home / "tradewind.db")
    try:
        with connection:
            _copy(connection, pattern.pk, first, runs)
    finally:
        connection.close()


def _copy(connection: sqlite3.Connection, pattern: int, first: int, runs: int) -> None:
    """Copy the rows of run ``pattern`` under the keys ``first`` and on, an hour apart in the past."""
    beyond, per_run = connection.execute("SELECT MAX(id), COUNT(*) FROM event").fetchone()
    hour = "3600000000 * (n.pk - :first + 1)"
    moved = f"t.{{}} + ((n.pk - :pattern) << {INSTANCES_PER_RUN_BITS})"
    name = {"run_pk": "n.pk", "run_id": "'past_' || n.pk"}
    fresh = {
        "run": {"pk": "n.pk", "run_id": name["run_id"], "logical_date": f"t.logical_date - {hour}"},
        "task_instance": {"id": moved.format("id"), "run_pk": "n.pk"},
        "attempt": {"instance_id": moved.format("instance_id")},
        "event": {
            "id": ":beyond + (n.pk - :first) * :per_run + t.id",
            "instance_id": moved.format("instance_id"),
            **name,
        },
    }
    rows = {
        "run": "pk = :pattern",
        "task_instance": "run_pk = :pattern",
        "attempt": f"instance_id >> {INSTANCES_PER_RUN_BITS} = :pattern",
        "event": "run_pk = :pattern",
    }
    values = {
        "first": first,
        "last": first + runs - 1,
        "pattern": pattern,
        "beyond": beyond,
        "per_run": per_run,
    }
    for table, columns in fresh.items():
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join(columns.get(column, f"t.{column}") for column in names)
        connection.execute(
            f"CREATE TEMP TABLE pattern_{table} AS SELECT * FROM {table} WHERE {rows[table]}", values
        )
        connection.execute(
            "WITH RECURSIVE n(pk) AS (SELECT :first UNION ALL SELECT pk + 1 FROM n WHERE pk < :last)"
            f" INSERT INTO {table} SELECT {chosen} FROM n CROSS JOIN pattern_{table} t",
            values,
        )
    connection.execute("UPDATE sequence SET value = (SELECT MAX(id) FROM event) WHERE name = 'event'")


def _scheduler() -> tuple[str, ...]:
    return (sys.executable, "-m", "tradewind", "scheduler", "--end-workers")


def _cost(house: Installation, *, active: int) -> tuple[float, float, float]:
    """Return the figures of an installation, the best of some runs of each kind."""
    with house.running(*_scheduler()) as root:
        if active:
            _activate(house, active)
        house.ended(house.trigger(CHAIN))  # the first ones warm the files' servers
        house.ended(house.trigger(f"fan_{FAN}"))
        chains = [_spent(house, root, CHAIN) for _ in range(CHAIN_RUNS)]
        fans = [_spent(house, root, f"fan_{FAN}") for _ in range(FAN_RUNS)]
        steps = min(median(steps_ms(house, row)) for row, _used in chains)
        return (
            min(used for _row, used in chains) * 1000 / CHAIN_LENGTH,
            min(used for _row, used in fans) * 1000 / FAN,
            steps,
        )


def _spent(house: Installation, scheduler: int, dag_id: str) -> tuple[RunRow, float]:
    """Run a DAG; return its row, and the seconds of processor time that the scheduler spent."""
    before = processes.own_cpu_seconds(scheduler)
    (row,) = house.ended(house.trigger(dag_id))
    return row, processes.own_cpu_seconds(scheduler) - before


def _activate(house: Installation, count: int) -> None:
    """Start runs that stay active: their task has failed and is tried again tomorrow."""
    store, now = house.parts.store, house.clock.now()
    rows = []
    for number in range(count):
        at = now - timedelta(minutes=number)
        rows.append(acts.trigger(store, "waiting", acts.By(ACTOR, now), logical_date=at)[0])
    for row in rows:
        house.wait_for("an active run", partial(_waits, store, row.pk))


def _waits(store: Metastore, run_pk: int) -> bool:
    return store.count_instances(run_pk).get(TaskState.UP_FOR_RETRY) == 1
