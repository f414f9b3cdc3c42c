"""Admission: slots, limits, order and fairness; nothing blocked stands before something that is not."""

from __future__ import annotations

import random  # noqa: TID251 - a seed repeats the case
from collections import Counter
from typing import Any

import pytest

from tests.domain.kernel import T0, Kernel, dag, names, over, seconds, task
from tradewind.domain.records import PoolRow
from tradewind.domain.spec import KeyedLimit
from tradewind.domain.states import SLOT_STATES
from tradewind.domain.world import slots
from tradewind.domain.world.slots import Entry, still_waits


def with_pools(kernel: Kernel, **slots: int) -> Kernel:
    kernel.store.pools = {name: PoolRow(name=name, slots=count) for name, count in slots.items()}
    kernel.world.set_pools(kernel.store.pools.values())
    return kernel


def held(kernel: Kernel) -> Counter[str]:
    return Counter(row.task_id for row in kernel.store.instances.values() if row.state in SLOT_STATES)


# ---- executors and pools -----------------------------------------------------------------------------


def test_an_executor_gets_no_more_than_its_slots() -> None:
    kernel = Kernel(dag(task("a", expand=over([1, 2, 3]))), slots=2)
    kernel.trigger()
    kernel.settle()
    assert len(kernel.queue) == 2
    kernel.work(limit=1)
    assert len(kernel.queue) == 2
    kernel.drain()
    assert len(kernel.started) == 3


def test_an_executor_without_workers_gets_nothing_until_one_comes() -> None:
    kernel = Kernel(dag(task("a")))
    kernel.world.set_capacity("local", 8, 0)
    kernel.trigger()
    kernel.settle()
    assert kernel.queue == []
    kernel.world.set_capacity("local", 8, 1)
    kernel.settle()
    assert names(kernel.queue) == ["a"]


def test_an_unknown_executor_waits_and_others_go() -> None:
    kernel = Kernel(dag(task("a", executor="moon"), task("b")))
    kernel.trigger()
    kernel.settle()
    assert names(kernel.queue) == ["b"]
    kernel.world.set_capacity("moon", 1, 1)
    kernel.settle()
    assert [(launch.task_id, launch.executor) for launch in kernel.queue] == [("b", "local"), ("a", "moon")]


def test_a_full_pool_blocks_nobody_else() -> None:
    kernel = with_pools(Kernel(dag(task("a", pool="db", priority_weight=9), task("b"))), default=4, db=0)
    kernel.trigger()
    kernel.settle()
    assert names(kernel.queue) == ["b"]
    with_pools(kernel, default=4, db=1)
    kernel.settle()
    assert names(kernel.queue) == ["b", "a"]


def test_a_missing_pool_waits_until_it_is_made() -> None:
    kernel = Kernel(dag(task("a", pool="gpu")))
    kernel.trigger()
    kernel.settle()
    assert kernel.queue == []
    with_pools(kernel, default=1, gpu=1)
    kernel.settle()
    assert names(kernel.queue) == ["a"]


def test_a_request_larger_than_its_pool_fails_with_the_remedy() -> None:
    kernel = with_pools(Kernel(dag(task("a", pool="db", pool_slots=3), task("b", "a"))), default=1, db=2)
    pk = kernel.trigger()
    kernel.settle()
    assert kernel.states(pk) == {"a": "failed", "b": "upstream_failed"}
    assert kernel.row(pk, "a").reason == (
        'it asks for 3 slots of pool "db", which has 2. Lower pool_slots, or enlarge the pool: '
        "`tradewind pools set db 3`"
    )
    assert kernel.run_state(pk) == "failed"


def test_a_large_request_is_not_overtaken_in_its_pool() -> None:
    spec = dag(task("a"), task("big", pool_slots=2, priority_weight=5), task("c", priority_weight=2))
    kernel = with_pools(Kernel(spec), default=2)
    kernel.trigger()
    kernel.settle()
    assert names(kernel.queue) == ["big"]
    kernel.work()
    assert names(kernel.queue) == ["c", "a"]


def test_lanes_of_one_pool_do_not_overtake_each_other() -> None:
    spec = dag(
        task("hold"),
        task("big", "hold", pool_slots=2, priority_weight=9),
        task("small", "hold", executor="other"),
    )
    kernel = with_pools(Kernel(spec), default=2)
    kernel.world.set_capacity("other", 8, 1)
    kernel.trigger()
    other = kernel.trigger()
    kernel.settle()
    kernel.work(limit=1)
    # One slot is free, but the first in line needs two: the small one on the other executor waits its turn.
    assert [launch.run_id for launch in kernel.queue] == [f"manual__{other}"]
    kernel.drain()
    assert kernel.world.runs == {}


# ---- limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "task_fields", "expected"),
    [
        ({"max_active_tasks": 2}, {}, 2),
        ({"max_active_tasks_per_run": 2}, {}, 4),
        ({}, {"max_active_tis_per_dag": 3}, 3),
        ({}, {"limits": (KeyedLimit(key="shared", max=1),)}, 1),
        ({}, {"limits": (KeyedLimit(key="{{ run_id }}", max=1),)}, 2),
        ({"max_active_tasks": 3}, {"max_active_tis_per_dag": 2}, 2),
    ],
)
def test_limits_hold_over_the_whole_life(
    fields: dict[str, Any], task_fields: dict[str, Any], expected: int
) -> None:
    kernel = Kernel(dag(task("a", expand=over(list(range(6))), **task_fields), **fields))
    kernel.trigger()
    kernel.trigger()
    kernel.settle()
    while kernel.queue:
        assert held(kernel)["a"] == min(expected, 12 - len(kernel.started))
        kernel.work(limit=1)
    assert len(kernel.started) == 12


def test_a_limit_of_one_task_leaves_the_slots_to_others() -> None:
    spec = dag(
        task("a", expand=over(list(range(5))), max_active_tis_per_dag=1, priority_weight=9),
        task("b", expand=over(list(range(5)))),
        max_active_tasks=3,
    )
    kernel = Kernel(spec)
    kernel.trigger()
    kernel.settle()
    assert held(kernel) == {"a": 1, "b": 2}
    kernel.drain()
    assert len(kernel.started) == 10


def test_a_rate_lets_so_many_start_in_a_time() -> None:
    limit = KeyedLimit(key="api", rate_count=2, rate_seconds=60)
    kernel = Kernel(dag(task("a", expand=over(list(range(5))), limits=(limit,))))
    kernel.trigger()
    kernel.settle()
    counts = [len(kernel.queue)]
    for _ in range(2):
        kernel.work()
        assert kernel.queue == []
        assert kernel.decision.wake_at is not None
        kernel.now = kernel.decision.wake_at
        kernel.settle()
        counts.append(len(kernel.queue))
    assert (counts, kernel.now) == ([2, 2, 1], T0 + seconds(120))


def test_a_raised_limit_takes_effect_at_once() -> None:
    kernel = Kernel(dag(task("a", expand=over(list(range(5)))), max_active_tasks=1))
    kernel.trigger()
    kernel.settle()
    kernel.add_dag(dag(task("a", expand=over(list(range(5)))), max_active_tasks=4))
    kernel.world.put_dag(kernel.store.dags["d"], kernel.store.graphs[2])
    kernel.settle()
    assert len(kernel.queue) == 4


# ---- order -------------------------------------------------------------------------------------------


def test_order_by_dag_run_and_task_priority_then_time() -> None:
    low = dag(task("x"), task("y", priority_weight=5), dag_id="low")
    high = dag(task("z"), dag_id="high", priority=1)
    kernel = Kernel(low, high, slots=1)
    kernel.world.set_capacity("local", 0, 1)
    kernel.trigger("low", at=T0 - seconds(5))
    kernel.trigger("low", at=T0 - seconds(9))
    kernel.trigger("low", at=T0, priority=3)
    kernel.trigger("high", at=T0)
    kernel.settle()
    kernel.world.set_capacity("local", 1, 1)
    order = []
    kernel.settle()
    while kernel.queue:
        launch = kernel.queue[0]
        order.append((launch.dag_id, launch.run_id, launch.task_id))
        kernel.work()
    pks = sorted(kernel.store.runs)
    assert order == [
        ("high", f"manual__{pks[3]}", "z"),
        ("low", f"manual__{pks[2]}", "y"),
        ("low", f"manual__{pks[2]}", "x"),
        ("low", f"manual__{pks[1]}", "y"),
        ("low", f"manual__{pks[0]}", "y"),
        ("low", f"manual__{pks[1]}", "x"),
        ("low", f"manual__{pks[0]}", "x"),
    ]


def test_dags_of_equal_rank_take_turns() -> None:
    specs = [dag(task("a", expand=over(list(range(4)))), dag_id=name) for name in ("p", "q", "r")]
    kernel = Kernel(*specs, slots=1)
    for spec in specs:
        kernel.trigger(spec.dag_id)
    kernel.settle()
    order = []
    while kernel.queue:
        order.append(kernel.queue[0].dag_id)
        kernel.work()
    assert order == ["p", "q", "r"] * 4


def test_weights_follow_the_graph() -> None:
    kernel = Kernel(dag(task("a"), task("b"), task("c", "b"), task("d", "c")), slots=1)
    kernel.trigger()
    kernel.drain()
    assert kernel.started == ["b", "c", "a", "d"]


# ---- cost --------------------------------------------------------------------------------------------


def test_those_who_wait_are_not_looked_at_while_nothing_frees(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(dag(task("a", expand=over(list(range(2000)))), task("b"), max_active_tasks=2), slots=2)
    kernel.trigger()
    kernel.settle()
    looked = Counter[str]()

    def counted(entry: Entry) -> bool:
        looked["entries"] += 1
        return still_waits(entry)

    monkeypatch.setattr(slots, "still_waits", counted)
    for _ in range(100):
        kernel.decide()
    assert looked["entries"] == 0
    kernel.work(limit=1)
    assert looked["entries"] < 10


# ---- anything goes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_limit_is_ever_broken_and_everything_runs(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    limits = {"default": chance.randint(1, 6), "db": chance.randint(1, 3)}
    specs = [
        dag(
            *(
                task(
                    f"t{number}",
                    expand=over(list(range(chance.randint(1, 6)))),
                    pool=chance.choice(["default", "db"]),
                    pool_slots=1 if chance.random() < 0.8 else limits["db"],
                    executor=chance.choice([None, "other"]),
                    priority_weight=chance.randint(1, 3),
                    max_active_tis_per_dag=chance.choice([None, 1, 2]),
                    limits=chance.choice([(), (KeyedLimit(key="k", max=2),)]),
                )
                for number in range(chance.randint(1, 4))
            ),
            dag_id=name,
            max_active_tasks=chance.choice([None, 1, 3]),
            max_active_tasks_per_run=chance.choice([None, 1, 2]),
        )
        for name in ("p", "q")
    ]
    limits["default"] = max(limits["default"], limits["db"])
    kernel = with_pools(Kernel(*specs, slots=chance.randint(1, 8)), **limits)
    kernel.world.set_capacity("other", chance.randint(1, 3), 1)
    runs = [kernel.trigger(chance.choice(["p", "q"])) for _ in range(4)]
    kernel.settle()
    while kernel.queue:
        for name, pool in kernel.world.admission.pools.items():
            rows = [r for r in kernel.store.instances.values() if r.state in SLOT_STATES and r.pool == name]
            assert sum(row.pool_slots for row in rows) == pool.used <= pool.slots
        for executor in kernel.world.admission.executors.values():
            assert executor.used <= executor.slots
        for known in kernel.world.dags.values():
            for gate in (known.gate, *known.tasks.values()):
                assert gate.limit is None or gate.used <= gate.limit
        chance.shuffle(kernel.queue)
        kernel.work(limit=chance.randint(1, 3))
    assert {kernel.run_state(pk) for pk in runs} == {"success"}
