"""A live world and one rebuilt from the rows before every step decide the same, whatever happens."""

from __future__ import annotations

import random  # noqa: TID251 - a seed repeats the case
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from tests.domain.kernel import Kernel, dag, over, seconds, task
from tradewind.domain.decide import Dispatch, decide
from tradewind.domain.decide.batch import take_batch
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.spec import DagSpec, GroupSpec, RetrySpec, TaskSpec, TriggerRule
from tradewind.domain.states import TERMINAL_TASK_STATES
from tradewind.domain.world import World

RULES = [rule for rule in TriggerRule if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS]
KINDS = [OutcomeKind.SUCCESS] * 6 + [
    OutcomeKind.ERROR,
    OutcomeKind.FAILED,
    OutcomeKind.SKIPPED,
    OutcomeKind.RESCHEDULE,
    OutcomeKind.INTERRUPTED,
]


def random_dag(chance: random.Random) -> DagSpec:
    """A DAG with mapped tasks and groups, branches, setups, limits and retries, as chance wants it."""
    groups: list[GroupSpec] = []
    tasks: list[TaskSpec] = []
    for number in range(chance.randint(2, 9)):
        ids = [one.task_id for one in tasks]
        if ids and chance.random() < 0.25 and len(groups) < 3:
            groups.append(random_group(chance, groups, ids))
        group = chance.choice([None, *(g.group_id for g in groups)])
        tasks.append(random_task(chance, f"{group + '.' if group else ''}t{number}", group, ids))
    setups = tuple(one.task_id for one in tasks if one.is_setup)
    if setups:
        above = chance.sample([one.task_id for one in tasks], min(2, len(tasks)))
        rule = TriggerRule.ALL_DONE_SETUP_SUCCESS
        tasks.append(task("down", *above, is_teardown=True, setups=setups, trigger_rule=rule))
    return dag(
        *tasks,
        groups=tuple(groups),
        max_active_tasks=chance.choice([None, None, 2]),
        max_active_tasks_per_run=chance.choice([None, None, 1, 3]),
        fail_fast=chance.random() < 0.1,
        run_retries=chance.choice([0, 0, 0, 1]),
        max_active_runs=chance.choice([1, 2]),
    )


def random_group(chance: random.Random, groups: list[GroupSpec], ids: list[str]) -> GroupSpec:
    parent = chance.choice([None, *(g.group_id for g in groups)])
    expand = over(chance.choice([chance.choice(ids), [1, 2], []])) if chance.random() < 0.7 else None
    return GroupSpec(
        group_id=f"{parent + '.' if parent else ''}g{len(groups)}",
        parent=parent,
        expand=expand,
        retries=chance.choice([0, 0, 1]),
    )


def random_task(chance: random.Random, task_id: str, group: str | None, ids: list[str]) -> TaskSpec:
    upstream = set(chance.sample(ids, min(len(ids), chance.randint(0, 3))))
    expand = None
    if ids and chance.random() < 0.25:
        source = chance.choice(ids)
        expand = over(chance.choice([source, [1, 2, 3]]))
        upstream.add(source)
    setup = chance.random() < 0.1
    rule = TriggerRule.ALL_SUCCESS if setup else chance.choice([TriggerRule.ALL_SUCCESS, *RULES])
    return task(
        task_id,
        *upstream,
        group=group,
        expand=expand,
        trigger_rule=rule,
        retry=RetrySpec(retries=chance.choice([0, 0, 1, 2]), delay_seconds=10),
        empty=chance.random() < 0.1,
        is_setup=setup,
        decides_branch=chance.random() < 0.2,
        at_most_once=chance.random() < 0.1,
        pool_slots=chance.choice([1, 1, 2]),
        depends_on_past=chance.random() < 0.08,
        wait_for_downstream=chance.random() < 0.04,
        max_active_tis_per_dag=chance.choice([None, None, 1, 2]),
    )


class Twins:
    """Two kernels that get the same calls; one works on a new world before each of them.

    ``remote``: the live one's workers speak to another door, and it is shown the rows they have changed.
    ``lossy``: some commits of the live one are refused, so that it loads what it touched and decides again.
    """

    def __init__(self, spec: DagSpec, chance: random.Random, mode: str = "") -> None:
        self.remote = mode == "remote"
        self.lossy = mode == "lossy"
        slots = chance.choice([1, 3, 100])
        self.live = Kernel(spec, slots=slots)
        self.reborn = Kernel(spec, slots=slots)
        self.chance = chance
        self.queue: dict[tuple[int, int], Dispatch] = {}
        self.running: list[Dispatch] = []

    def step(self, *calls: tuple[str, Dispatch, dict[str, Any]]) -> list[Any]:
        """Make the calls on both, decide, and compare what was written."""
        self.reborn.world = self.reborn.rebuilt()
        self._tell_previous(self.reborn, self.reborn.store.runs)
        if self.lossy and self.chance.random() < 0.3:
            self._lose_commit(calls)
        answers = []
        for name, launch, fields in calls:
            both = [self._call(kernel, name, launch, fields) for kernel in (self.live, self.reborn)]
            assert both[0] == both[1], (name, launch)
            answers.append(both[0])
        for kernel in (self.live, self.reborn):
            kernel.settle()
        for launch in (*self.live.queue, *self.reborn.queue):
            self.queue[launch.instance_id, launch.token] = launch
        self.live.queue.clear()
        self.reborn.queue.clear()
        assert self.live.store.runs == self.reborn.store.runs
        assert self.live.store.instances == self.reborn.store.instances
        assert self.live.store.attempts == self.reborn.store.attempts
        self.check_counters()
        return answers

    def _call(self, kernel: Kernel, name: str, launch: Dispatch, fields: dict[str, Any]) -> Any:
        if self.remote and kernel is self.live:
            return self._call_elsewhere(kernel, name, launch, fields)
        if name == "claim":
            return kernel.claim(launch)
        if name == "report":
            return kernel.report(launch, **fields)
        return kernel.world.lose(launch.instance_id, launch.token, "gone", kernel.now)

    def _tell_previous(self, kernel: Kernel, run_pks: Iterable[int]) -> None:
        """Say before it is asked what the previous runs are: asking takes one more decision."""
        for pk in run_pks:
            if pk in kernel.world.runs:
                kernel.world.set_previous(pk, kernel.store.previous(pk))

    def _lose_commit(self, calls: Iterable[tuple[str, Dispatch, dict[str, Any]]]) -> None:
        kernel = self.live
        for name, launch, fields in calls:
            self._call(kernel, name, launch, fields)
        lost = decide(kernel.world, kernel.now)
        kernel.world.drop_runs(lost.touched_runs)
        for dag_id in lost.touched_dags:
            kernel.world.put_dag(kernel.store.dags[dag_id])
        for pk in lost.touched_runs:
            kernel.world.load_run(kernel.store.snapshot(pk))
        self._tell_previous(kernel, lost.touched_runs)

    def _call_elsewhere(self, kernel: Kernel, name: str, launch: Dispatch, fields: dict[str, Any]) -> Any:
        """Make the call on a world that has this one instance only, write it, and show the rows to the leader."""
        leader = kernel.world
        snapshot = kernel.store.snapshot(launch.instance_id >> 20)
        rows = tuple(row for row in snapshot.instances if row.id == launch.instance_id)
        kernel.world = World()
        kernel.world.put_version(1, kernel.store.graphs[1])
        kernel.world.put_dag(kernel.store.dags["d"])
        if snapshot.run.ended_at is None:
            kernel.world.load_run(msgspec.structs.replace(snapshot, instances=rows), whole=False)
        self.remote = False
        answer = self._call(kernel, name, launch, fields)
        self.remote = True
        batch = take_batch(kernel.world)
        kernel.store.apply(batch)
        kernel.world = leader
        if batch:
            changed = [kernel.store.instances[write.row.id] for write in batch.instances]
            if not leader.sync_instances(changed):
                leader.sync_run(kernel.store.snapshot(launch.instance_id >> 20))
        return answer

    def check_counters(self) -> None:
        """A world made now has nothing to write, and the live one's counters are those of a new one."""
        fresh = self.live.rebuilt()
        again = decide(fresh, self.live.now)
        assert not again.batch, again.batch
        for pk, run in self.live.world.runs.items():
            other = fresh.runs[pk]
            assert (run.unfinished, run.moving, run.bad, run.bad_leaves) == (
                other.unfinished,
                other.moving,
                other.bad,
                other.bad_leaves,
            )
            for node, twin in zip(run.nodes, other.nodes, strict=True):
                for prefix, cell in node.cells.items():
                    if prefix in twin.cells:
                        assert cell.counts == twin.cells[prefix].counts, (node.task, prefix)
                        assert cell.mask == twin.cells[prefix].mask
                        assert cell.own == twin.cells[prefix].own
        admission, new = self.live.world.admission, fresh.admission
        assert {n: p.used for n, p in admission.pools.items()} == {n: p.used for n, p in new.pools.items()}
        used = {n: e.used for n, e in admission.executors.items() if e.used}
        assert used == {n: e.used for n, e in new.executors.items() if e.used}

    def outcome(self, launch: Dispatch) -> dict[str, Any]:
        chance = self.chance
        kind = chance.choice(KINDS)
        node = self.live.world.runs[launch.instance_id >> 20].node(launch.task_id)
        assert node is not None
        fields: dict[str, Any] = {"kind": kind}
        if kind is OutcomeKind.SUCCESS:
            fields["lengths"] = {"return_value": chance.choice([0, 1, 2, 3])}
            graph = node.run.graph
            below = [graph.tasks[o].task_id for o in node.task.below]
            if node.task.spec.decides_branch and below:
                fields["branch"] = tuple(chance.sample(below, chance.randint(0, len(below))))
                fields["skip_all_downstream"] = chance.random() < 0.2
        if kind is OutcomeKind.RESCHEDULE:
            fields["wake_at"] = self.live.now + seconds(5)
        return fields

    def turn(self) -> bool:
        """Let something happen; False when nothing can."""
        chance = self.chance
        waiting = list(self.queue.values())
        taken = [launch for launch in waiting if chance.random() < 0.7]
        calls: list[tuple[str, Dispatch, dict[str, Any]]] = []
        for launch in taken:
            del self.queue[launch.instance_id, launch.token]
            calls.append(("lose" if chance.random() < 0.05 else "claim", launch, {}))
        ends = [launch for launch in self.running if chance.random() < 0.6]
        self.running = [launch for launch in self.running if launch not in ends]
        for launch in ends:
            instance = self.live.world.instance(launch.instance_id)
            if instance is not None and instance.token == launch.token:
                gone = chance.random() < 0.05
                calls.append(("lose", launch, {}) if gone else ("report", launch, self.outcome(launch)))
        answers = self.step(*calls)
        for (name, launch, _), answer in zip(calls, answers, strict=True):
            if name == "claim" and answer:
                self.running.append(launch)
        if calls or self.queue or self.running:
            return True
        wake_at = self.live.decision.wake_at
        if wake_at is None or not self.live.world.runs:
            return False
        self.live.now = self.reborn.now = max(wake_at, self.live.now)
        self.step()
        return True


@pytest.mark.parametrize("mode", ["", "remote", "lossy"])
@pytest.mark.parametrize("seed", [*range(80), 566, 756])  # and those that failed once
def test_live_and_rebuilt_worlds_decide_the_same(seed: int, mode: str) -> None:
    chance = random.Random(seed)  # noqa: S311
    twins = Twins(random_dag(chance), chance, mode)
    for kernel in (twins.live, twins.reborn):
        for number in range(2):
            kernel.trigger(at=kernel.now - seconds(10 - number))
    twins._tell_previous(twins.live, twins.live.store.runs)
    twins.step()
    for _ in range(500):
        if not twins.turn():
            break
    else:
        raise AssertionError("the runs do not end")
    store = twins.live.store
    if any(node.needs_past for node in store.graphs[1].tasks):
        return  # a run may wait for a person to repair the one before it
    assert not [run for run in store.runs.values() if run.ended_at is None], store.runs
    assert not [row for row in store.instances.values() if row.state not in TERMINAL_TASK_STATES]
