"""What instances compete for, and the lines in which they wait for it.

A *lane* is an executor and a pool: what is refused there is refused to all of the lane, so the whole lane
sleeps until a slot frees. A *gate* is a limit that only some instances have (of a DAG, a run, a task, a key):
whoever it stops is parked at the gate, out of the way of others, and the best one of each lane is let back
when the gate has room. So nobody is looked at again before something changed for him, and nothing that is
blocked stands before something that is not.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewind.domain.reasons import ReasonKind

# (-DAG priority, -run priority, -weight, run_after, (instance id, number of the entry), instance): the smallest
# goes first; no two are equal up to the instance, which has no order.
Entry = tuple[int, int, int, datetime, tuple[int, int], Any]


def still_waits(entry: Entry) -> bool:
    """Whether an entry is worth looking at: its instance still waits by it and may be started."""
    instance = entry[5]
    return bool(instance.entry is entry and not instance.held and instance.run.may_start)


class Gate:
    """A limit on how many instances hold slots at once, or start within a time."""

    __slots__ = ("kind", "limit", "name", "parked", "rate", "started", "used")

    def __init__(self, kind: ReasonKind, name: str, limit: int | None) -> None:
        self.kind = kind
        self.name = name  # for people
        self.limit = limit
        self.used = 0
        self.rate: tuple[int, timedelta] | None = None
        self.started: list[tuple[datetime, int, int]] = []  # within the rate's time: instant, instance, token
        self.parked: dict[Lane, list[Entry]] = {}

    def room(self, now: datetime) -> int:
        """Return how many more may pass now; large when there is no limit."""
        room = 2**31 if self.limit is None else self.limit - self.used
        if self.rate is not None:
            count, within = self.rate
            while self.started and self.started[0][0] <= now - within:
                del self.started[0]
            room = min(room, count - len(self.started))
        return room

    def opens_at(self) -> datetime | None:
        """Return when a closed rate lets the next one pass."""
        if self.rate is None or len(self.started) < self.rate[0]:
            return None
        return self.started[-self.rate[0]][0] + self.rate[1]

    def count_start(self, at: datetime, instance_id: int, token: int) -> None:
        """Count a start for the rate; once, however often it is told."""
        entry = (at, instance_id, token)
        place = bisect_left(self.started, entry)
        if self.started[place : place + 1] != [entry]:
            self.started.insert(place, entry)

    def set_limit(self, limit: int | None) -> None:
        """Change the limit; those who fit now are let back."""
        self.limit = limit
        if self.parked:
            waiting = self.waiting()
            self.let_all_lanes_back(waiting if limit is None else min(waiting, max(0, limit - self.used)))

    def park(self, lane: Lane, entry: Entry) -> None:
        """Keep an entry that may not pass."""
        heappush(self.parked.setdefault(lane, []), entry)

    def let_back(self, lane: Lane) -> bool:
        """Send the best parked entry of a lane back to it; False when none waits there."""
        heap = self.parked.get(lane)
        while heap:
            entry = heappop(heap)
            if still_waits(entry):
                entry[5].parked = self
                lane.push(entry)
                return True
            forget(entry)
        self.parked.pop(lane, None)
        return False

    def let_all_lanes_back(self, count: int = 1) -> None:
        """Send the best ``count`` entries of each lane back."""
        for lane in list(self.parked):
            for _ in range(count):
                if not self.let_back(lane):
                    break

    def waiting(self) -> int:
        """Return how many are parked."""
        return sum(map(len, self.parked.values()))


class Pool:
    """A named number of slots and who holds them."""

    __slots__ = ("asleep", "exists", "holders", "name", "slots", "used")

    def __init__(self, name: str) -> None:
        self.name = name
        self.slots = 0
        self.exists = False
        self.used = 0
        self.holders: dict[int, Any] = {}  # instance id -> Instance
        self.asleep: list[Lane] = []

    def wake(self) -> None:
        """Look at the lanes again that wait for this pool."""
        _wake(self.asleep)


class ExecutorSlots:
    """What an executor can take and how much of it is taken."""

    __slots__ = ("asleep", "detail", "known", "name", "slots", "used", "workers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.known = False
        self.slots = 0
        self.workers = 0
        self.detail = ""
        self.used = 0
        self.asleep: list[Lane] = []

    @property
    def has_room(self) -> bool:
        """Whether one more can be handed over."""
        return self.used < self.slots and self.workers > 0

    def wake(self) -> None:
        """Look at the lanes again that wait for this executor."""
        _wake(self.asleep)


class Line:
    """The instances of one DAG that wait in a lane, best first."""

    __slots__ = ("dag", "heap", "lane", "number", "stamp")

    def __init__(self, dag: Any, lane: Lane, number: int) -> None:
        self.dag = dag
        self.lane = lane
        self.number = number
        self.heap: list[Entry] = []
        self.stamp = 0  # entries of the lane's order with another stamp are out of date

    def best(self) -> Entry | None:
        """Return the first entry that still waits."""
        heap = self.heap
        while heap:
            if still_waits(heap[0]):
                return heap[0]
            entry = heappop(heap)
            forget(entry)
            pass_on(entry[5], self.lane)
        return None


class Lane:
    """All that wait for the same executor and pool."""

    __slots__ = ("_lines", "_order", "asleep_for", "executor", "number", "opened", "pool")

    def __init__(self, executor: ExecutorSlots, pool: Pool, number: int, opened: dict[int, Lane]) -> None:
        self.executor = executor
        self.pool = pool
        self.number = number
        self.opened = opened  # lanes to look at, shared by all lanes
        self.asleep_for: Pool | ExecutorSlots | None = None
        self._lines: dict[str, Line] = {}
        self._order: list[tuple[int, int, int, datetime, int, int, int, Line]] = []

    def push(self, entry: Entry) -> None:
        """Add an instance."""
        dag = entry[5].run.dag
        line = self._lines.get(dag.dag_id)
        if line is None:
            line = self._lines[dag.dag_id] = Line(dag, self, len(self._lines))
        heappush(line.heap, entry)
        if line.heap[0] is entry:
            line.stamp += 1
            heappush(self._order, (*entry[:4], dag.turn, line.number, line.stamp, line))
        if self.asleep_for is None:
            self.opened[self.number] = self

    def best(self) -> Entry | None:
        """Return the entry that is next, None when nobody waits."""
        order = self._order
        while order:
            top = order[0]
            line = top[7]
            if top[6] != line.stamp:
                heappop(order)
                continue
            entry = line.best()
            if top is not order[0] or top[6] != line.stamp:
                continue  # what no longer waits has let others back, and they came first
            if entry is None:
                line.stamp += 1
                heappop(order)
                continue
            turn = line.dag.turn
            if top[4] == turn and top[2] == entry[2] and top[:4] == entry[:4]:
                return entry
            heapreplace(order, (*entry[:4], turn, line.number, line.stamp, line))
        return None

    def take(self) -> Entry:
        """Remove and return what :meth:`best` has just returned."""
        return heappop(self._order[0][7].heap)

    def sleep_for(self, what: Pool | ExecutorSlots) -> None:
        """Do not look at this lane before ``what`` has changed."""
        self.asleep_for = what
        what.asleep.append(self)
        self.opened.pop(self.number, None)

    def waiting(self) -> int:
        """Return how many wait here, those parked at gates apart."""
        return sum(len(line.heap) for line in self._lines.values())


def forget(entry: Entry) -> None:
    """Drop an entry, so that its instance can be put in line again."""
    if entry[5].entry is entry:
        entry[5].entry = None


def pass_on(instance: Any, lane: Lane) -> None:
    """Give the place that a gate held open for ``instance``, which does not take it, to the next one there."""
    gate = instance.parked
    if gate is not None:
        instance.parked = None
        if gate.limit is None or gate.used < gate.limit:
            gate.let_back(lane)


def _wake(lanes: list[Lane]) -> None:
    for lane in lanes:
        lane.asleep_for = None
        lane.opened[lane.number] = lane
    lanes.clear()
