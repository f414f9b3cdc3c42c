"""What deciding costs by itself: microseconds of pure domain code per task instance, over its whole life.

``python -m tests.performance.kernel`` prints a table. A life is: ready, admitted, claimed, reported, with all
rows, events and batches made, and nothing written. The cost must not depend on how many instances there are.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

from tests.domain.kernel import Kernel, dag, over, task
from tradewind.domain.decide import Dispatch, decide
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.records import PoolRow
from tradewind.domain.spec import DagSpec, GroupSpec

SLOTS_MANY = 1_000_000
BATCH = 256  # claims and reports that arrive together under load


class Measure(NamedTuple):
    """One shape's figures."""

    name: str
    instances: int
    microseconds: float  # per instance
    longest_decide_ms: float
    idle_decide_us: float  # a decision in which nothing is to be done, with what is then waiting


def fan(name: str, count: int) -> tuple[DagSpec, int]:
    """One task, ``count`` mapped ones, one after them."""
    tasks = (task("a"), task("b", "a", expand=over("a")), task("c", "b"))
    return dag(*tasks, dag_id=name, max_map_length=200_000), count


def chain(name: str, count: int) -> tuple[DagSpec, int]:
    """``count`` tasks one after the other."""
    return dag(*(task(f"t{i}", *([f"t{i - 1}"] if i else [])) for i in range(count)), dag_id=name), 0


def group(name: str, count: int) -> tuple[DagSpec, int]:
    """A mapped group of three tasks, ``count`` times."""
    inside = (task(f"g.{i}", *([f"g.{i - 1}"] if i else []), group="g") for i in range(3))
    groups = (GroupSpec(group_id="g", expand=over("a")),)
    return dag(
        task("a"), *inside, task("z", "g.2"), dag_id=name, groups=groups, max_map_length=200_000
    ), count


def live(name: str, shape: tuple[DagSpec, int], *, slots: int = SLOTS_MANY, batch: int = BATCH) -> Measure:
    """Let a run of a shape live its life and measure it."""
    spec, length = shape
    kernel = Kernel(spec, slots=slots)
    kernel.store.pools = {"default": PoolRow(name="default", slots=SLOTS_MANY)}
    kernel.world = kernel.rebuilt()
    kernel.trigger(spec.dag_id)
    world, now = kernel.world, kernel.now
    gc.collect()
    gc.freeze()
    queue: list[Dispatch] = list(decide(world, now).dispatches)
    done, longest, idle, total = 0, 0.0, 0.0, 0.0
    while queue:
        part = queue[:batch]
        del queue[:batch]
        outcomes = [
            Outcome(
                instance_id=one.instance_id,
                token=one.token,
                kind=OutcomeKind.SUCCESS,
                lengths={"return_value": length} if one.task_id == "a" else {},
            )
            for one in part
        ]
        start = perf_counter()
        for one in part:
            world.claim(one.instance_id, one.token, "w", "c", now)
        queue.extend(decide(world, now).dispatches)
        for outcome in outcomes:
            world.report(outcome, now)
        middle = perf_counter()
        queue.extend(decide(world, now).dispatches)
        end = perf_counter()
        decide(world, now)
        idle = max(idle, perf_counter() - end)
        longest = max(longest, end - middle)
        total += end - start
        done += len(part)
    gc.unfreeze()
    assert not world.runs, "the run has ended"
    return Measure(name, done, total / done * 1e6, longest * 1e3, idle * 1e6)


def measures() -> Iterator[Measure]:
    """Measure each shape."""
    for count in (1_000, 10_000, 100_000):
        yield live(f"fan-out of {count:,}", fan("fan", count))
    yield live("fan-out of 10,000, 32 slots", fan("narrow", 10_000), slots=32, batch=32)
    yield live("chain of 100", chain("chain", 100), batch=1)
    yield live("chain of 10,000", chain("long", 10_000), batch=1)
    yield live("mapped group, 3 x 10,000", group("group", 10_000))


def main() -> None:
    """Print the table."""
    print(f"{'shape':30} {'instances':>10} {'µs each':>8} {'longest decide':>15} {'idle decide':>12}")
    for name, count, each, longest, idle in measures():
        print(f"{name:30} {count:>10,} {each:>8.1f} {longest:>12.1f} ms {idle:>9.1f} µs")


if __name__ == "__main__":
    main()
