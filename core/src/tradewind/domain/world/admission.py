"""Admission: who of those that are ready gets slots, and in which order.

Order: priority of the DAG, of the run, of the task (its weight); then the run that was due first; then turns
between DAGs (whose last start is longest ago); then the order of the graph. The order is strict within a
pool: the first in line is not overtaken by a smaller request, else a large one could wait for ever.

Everything is counted live: an instance holds its slots while it is queued or running.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from tradewind.domain.limit_keys import limit_key
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.records import PoolRow, format_map_index
from tradewind.domain.world.slots import Entry, ExecutorSlots, Gate, Lane, Pool, pass_on

if TYPE_CHECKING:
    from tradewind.domain.spec import KeyedLimit
    from tradewind.domain.world.live import Instance, Node


class Admission:
    """The slots of all executors, pools and limits, and everything that waits for them."""

    def __init__(self, default_executor: str) -> None:
        self.default_executor = default_executor
        self.pools: dict[str, Pool] = {}
        self.executors: dict[str, ExecutorSlots] = {}
        self.keyed: dict[str, Gate] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._opened: dict[int, Lane] = {}  # lanes in which something may have changed
        self._turn = 0
        self._entered = 0
        self.rated: list[Gate] = []  # gates that closed because of their rate, to be woken up for

    # ---- what there is -------------------------------------------------------------------------------

    def set_pools(self, rows: Iterable[PoolRow]) -> None:
        """Replace all pools; what waits for a changed one is looked at again."""
        for pool in self.pools.values():
            pool.exists = False
        for row in rows:
            pool = self.pool(row.name)
            pool.exists = True
            pool.slots = row.slots
        for pool in self.pools.values():
            pool.wake()

    def set_capacity(self, executor: str, slots: int, workers: int, detail: str = "") -> None:
        """Say what an executor can hold at once and how many workers it has."""
        known = self.executor(executor)
        grown = not known.known or slots > known.slots or workers > known.workers
        known.known, known.slots, known.workers, known.detail = True, slots, workers, detail
        if grown:
            known.wake()

    def pool(self, name: str) -> Pool:
        """Return a pool, also one that does not exist (yet)."""
        known = self.pools.get(name)
        if known is None:
            known = self.pools[name] = Pool(name)
        return known

    def executor(self, name: str) -> ExecutorSlots:
        """Return an executor, also one that is not there (yet)."""
        known = self.executors.get(name)
        if known is None:
            known = self.executors[name] = ExecutorSlots(name)
        return known

    def lane(self, executor: str | None, pool: str) -> Lane:
        """Return the lane of an executor (None: the default one) and a pool."""
        key = (executor or self.default_executor, pool)
        known = self._lanes.get(key)
        if known is None:
            known = Lane(self.executor(key[0]), self.pool(pool), len(self._lanes), self._opened)
            self._lanes[key] = known
        return known

    def lanes(self) -> list[Lane]:
        """Return all lanes."""
        return list(self._lanes.values())

    # ---- waiting -------------------------------------------------------------------------------------

    def enqueue(self, instance: Instance) -> None:
        """Put a scheduled instance in line, unless it is."""
        if instance.entry is not None:
            return
        node = instance.cell.node
        if node.lane is None:
            self._place(node)
        run = instance.run
        self._entered += 1
        entry: Entry = (
            -run.dag.priority,
            -run.row.priority,
            -instance.priority,
            run.row.run_after,
            (
                instance.id,
                self._entered,
            ),  # a run that was loaded again may leave an entry of the same id behind
            instance,
        )
        instance.entry = entry
        for gate in node.gates:
            if gate.limit is not None and gate.used >= gate.limit:
                gate.park(node.lane, entry)
                return
        node.lane.push(entry)

    def _place(self, node: Node) -> None:
        spec, run = node.task.spec, node.run
        node.lane = self.lane(spec.executor, spec.pool)
        gates = [run.dag.gate]
        if run.gate is not None:
            gates.append(run.gate)
        if spec.max_active_tis_per_dag is not None:
            gates.append(run.dag.task_gate(spec.task_id, spec.max_active_tis_per_dag))
        gates.extend(self._keyed_gate(limit, node) for limit in spec.limits)
        node.gates = tuple(gates)

    def _keyed_gate(self, limit: KeyedLimit, node: Node) -> Gate:
        key = limit_key(limit.key, node.run.row, node.task.task_id)
        gate = self.keyed.get(key)
        if gate is None:
            gate = self.keyed[key] = Gate(ReasonKind.LIMIT_KEYED, key, limit.max)
        if limit.max is not None:
            gate.limit = limit.max if gate.limit is None else min(gate.limit, limit.max)
        if limit.rate_count is not None and limit.rate_seconds is not None:
            gate.rate = (limit.rate_count, timedelta(seconds=limit.rate_seconds))
        return gate

    # ---- taking and giving back ----------------------------------------------------------------------

    def acquire(self, instance: Instance) -> None:
        """Count an instance that is now queued or running."""
        node = instance.cell.node
        if node.lane is None:
            self._place(node)
        lane: Lane = node.lane if instance.executor is None else self.lane(instance.executor, instance.pool)
        instance.holds = lane
        instance.parked = None
        lane.executor.used += 1
        lane.pool.used += instance.pool_slots
        lane.pool.holders[instance.id] = instance
        for gate in node.gates:
            gate.used += 1

    def release(self, instance: Instance) -> None:
        """Give back what an instance held, and let those look again who waited for it."""
        lane: Lane = instance.holds
        instance.holds = None
        lane.executor.used -= 1
        if lane.executor.asleep:
            lane.executor.wake()
        lane.pool.used -= instance.pool_slots
        lane.pool.holders.pop(instance.id, None)
        if lane.pool.asleep:
            lane.pool.wake()
        for gate in instance.cell.node.gates:
            gate.used -= 1
            if gate.parked and (gate.limit is None or gate.used < gate.limit):
                gate.let_all_lanes_back()

    # ---- choosing ------------------------------------------------------------------------------------

    def pick(self, now: datetime) -> Iterator[tuple[Instance, str | None]]:
        """Yield who is next, with None, or with the reason why it can never start.

        The caller changes the instance's state (which takes the slots) before it asks for the next one.
        Nothing is looked at twice unless something changed for it.
        """
        heads: list[tuple[Entry, int, Lane]] = []
        for lane in list(self._opened.values()):
            self._offer(lane, heads)
        heapify(heads)
        while heads:
            lane = heappop(heads)[2]
            while True:
                entry = lane.best()
                if entry is None:
                    self._opened.pop(lane.number, None)
                    break
                if heads and heads[0][0] < entry:
                    heappush(heads, (entry, lane.number, lane))
                    break
                if self._must_sleep(lane, entry):
                    break
                instance: Instance = entry[5]
                problem = _too_large(instance, lane)
                if problem is not None:
                    lane.take()
                    pass_on(instance, lane)
                    yield instance, problem
                elif self._stopped(instance, entry, lane, now):
                    continue
                else:
                    lane.take()
                    self._turn += 1
                    instance.run.dag.turn = self._turn
                    yield instance, None

    def _offer(self, lane: Lane, heads: list[tuple[Entry, int, Lane]]) -> None:
        entry = lane.best()
        if entry is None:
            self._opened.pop(lane.number, None)
        else:
            heads.append((entry, lane.number, lane))

    def _must_sleep(self, lane: Lane, entry: Entry) -> bool:
        """Send the lane to sleep when its pool or executor has nothing for its first in line."""
        if not lane.executor.has_room:
            lane.sleep_for(lane.executor)
            return True
        pool = lane.pool
        need = entry[5].pool_slots
        # A lane that comes later must not overtake one that waits for the same pool.
        if not pool.exists or pool.asleep or (pool.used + need > pool.slots and not need > pool.slots > 0):
            lane.sleep_for(pool)
            return True
        return False

    def _stopped(self, instance: Instance, entry: Entry, lane: Lane, now: datetime) -> bool:
        """Park the instance at the first gate that has no room."""
        for gate in instance.cell.node.gates:
            if (gate.limit is not None or gate.rate is not None) and gate.room(now) <= 0:
                lane.take()
                if instance.parked is not gate:
                    pass_on(instance, lane)
                instance.parked = None
                gate.park(lane, entry)
                if gate.rate is not None and gate.opens_at() is not None:
                    self.rated.append(gate)
                return True
        return False

    def count_start(self, instance: Instance) -> None:
        """Count an admission for the rates it falls under; a run that is loaded tells its past ones again."""
        node: Node = instance.cell.node
        if node.task.spec.limits and instance.queued_at is not None:
            if node.lane is None:
                self._place(node)
            for gate in node.gates:
                if gate.rate is not None:
                    gate.count_start(instance.queued_at, instance.id, instance.token)


def _too_large(instance: Instance, lane: Lane) -> str | None:
    pool = lane.pool
    if instance.pool_slots > pool.slots > 0:
        return (
            f'it asks for {instance.pool_slots} slots of pool "{pool.name}", which has {pool.slots}. '
            f"Lower pool_slots, or enlarge the pool: `tradewind pools set {pool.name} {instance.pool_slots}`"
        )
    return None


def describe(instance: Instance) -> str:
    """Return ``dag/run/task[3]`` for people."""
    index = format_map_index(instance.map_index)
    row = instance.run.row
    return f"{row.dag_id}/{row.run_id}/{instance.task_id}" + (f"[{index}]" if index else "")
