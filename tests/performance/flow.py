"""How quickly tasks follow each other, spread, and start: chain, fan-out, fleet and trigger."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

from tests.performance import dag_texts
from tests.performance.figures import Figure
from tests.performance.installation import Installation, installed, settle
from tests.performance.limits import Limits
from tradewind.domain.records import RunRow

CHAIN_LENGTH = 100
CHAIN_RUNS = 5
FAN_RUNS = 3
FLEET_DAGS = 100
FLEET_RUNS = 3
TASKS_PER_FLEET_DAG = 10
TRIGGERS = 30
REST_SECONDS = 0.2  # between two triggers: the scheduler sleeps again


def seconds(row: RunRow) -> float:
    """Return how long a run took, from its first moment to its last."""
    assert row.started_at is not None
    assert row.ended_at is not None
    return (row.ended_at - row.started_at).total_seconds()


def steps_ms(installation: Installation, row: RunRow) -> list[float]:
    """Return the milliseconds from the start of each task of a run to that of the next."""
    snapshot = installation.parts.store.run(row.pk)
    assert snapshot is not None
    starts = sorted(instance.started_at for instance in snapshot.instances if instance.started_at is not None)
    return [(after - before).total_seconds() * 1000 for before, after in pairwise(starts)]


def chain(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """A chain of 100 no-op tasks."""
    dag_id = f"chain_{CHAIN_LENGTH}"
    with installed(folder, {"chain": dag_texts.chain(CHAIN_LENGTH)}) as house, house.running():
        house.know(dag_id)
        house.ended(house.trigger(dag_id))  # the first one warms the file's server
        runs = [house.ended(house.trigger(dag_id))[0] for _ in range(2 if quick else CHAIN_RUNS)]
        medians = [median(steps_ms(house, row)) for row in runs]
        yield Figure(
            f"chain of {CHAIN_LENGTH}, p50 of a step",
            min(medians),
            "ms",
            budget=5,
            goal=3,
            limit=limits.step_ms,
            note=f"the best of {len(runs)} runs, their medians are {spread(medians)} ms;"
            " the limit is one fork that reports and two commits",
        )
        yield Figure(
            f"chain of {CHAIN_LENGTH}, whole run per step",
            min(map(seconds, runs)) * 1000 / CHAIN_LENGTH,
            "ms",
            limit=limits.step_ms,
        )


def spread(values: list[float]) -> str:
    """Return the lowest and the highest of some values."""
    return f"{min(values):.2f} to {max(values):.2f}"


def fan(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """Mapped no-op tasks: 1,000 and 10,000."""
    sizes = (1_000,) if quick else (1_000, 10_000)
    files = {f"fan_{count}": dag_texts.fan(count) for count in sizes}
    with installed(folder, {**files, "spread": dag_texts.fan_over_xcom(1_000)}) as house, house.running():
        house.know(*files, "spread_1000")
        for count in sizes:
            best = best_of(house, f"fan_{count}", 1 if quick else FAN_RUNS)
            yield Figure(
                f"fan-out of {count:,}",
                count / best,
                "tasks/s",
                budget=500,
                goal=1000,
                limit=limits.forked_tasks_per_second,
                more_is_better=True,
            )
        yield Figure(
            "fan-out of 1,000 over another task's result",
            1_000 / best_of(house, "spread_1000", 1 if quick else FAN_RUNS),
            "tasks/s",
            limit=limits.forked_tasks_per_second,
            more_is_better=True,
            note="each task asks for its item",
        )


def best_of(house: Installation, dag_id: str, runs: int) -> float:
    """Return the seconds of the quickest of some runs."""
    house.ended(house.trigger(dag_id))  # the first one warms the file's server
    return min(seconds(house.ended(house.trigger(dag_id))[0]) for _ in range(runs))


def fleet(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """100 DAGs of ten tasks, each in a file of its own, all at once; then all again."""
    dag_ids = [f"fleet_{number:03}" for number in range(FLEET_DAGS)]
    with installed(folder, {dag_id: dag_texts.small(dag_id) for dag_id in dag_ids}) as house, house.running():
        house.know(*dag_ids)
        rates = []
        for _ in range(1 if quick else FLEET_RUNS):
            rows = house.ended(*[house.trigger(dag_id) for dag_id in dag_ids])
            started = min(row.started_at for row in rows if row.started_at is not None)
            ended = max(row.ended_at for row in rows if row.ended_at is not None)
            rates.append(FLEET_DAGS * TASKS_PER_FLEET_DAG / (ended - started).total_seconds())
        yield Figure(
            f"fleet of {FLEET_DAGS} DAGs × {TASKS_PER_FLEET_DAG} tasks, best of {len(rates)}",
            max(rates),
            "tasks/s",
            goal=800,
            limit=limits.forked_tasks_per_second,
            more_is_better=True,
            note=f"{rates[0]:.0f} the first time; every DAG in a file of its own",
        )


def trigger(folder: Path, limits: Limits, *, quick: bool) -> Iterator[Figure]:
    """From the return of the command line's use case to the first line of the user's code."""
    moments = folder / "moments.txt"
    count = 5 if quick else TRIGGERS
    with (
        installed(folder, {"clocked": dag_texts.CLOCKED.format(path=str(moments))}) as house,
        house.running(),
    ):
        house.know("clocked")
        house.ended(house.trigger("clocked"))  # the first one warms the file's server
        delays, calls = [], []
        for _ in range(count):
            moments.write_text("", encoding="ascii")
            settle(REST_SECONDS)
            before = house.clock.now().timestamp()
            row = house.trigger("clocked")
            returned = house.clock.now().timestamp()
            house.ended(row)
            calls.append((returned - before) * 1000)
            delays.append((float(moments.read_text(encoding="ascii")) - returned) * 1000)
        yield Figure(
            f"trigger returns → user code runs, p50 of {count}",
            median(delays),
            "ms",
            budget=50,
            goal=15,
            limit=limits.fork_ms + limits.commit_ms,
            note=f"highest {max(delays):.1f} ms; the call itself takes {median(calls):.1f} ms;"
            " the limit is one fork and one commit",
        )
        moments.unlink()
