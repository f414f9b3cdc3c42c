"""The index of a DAG version: who waits for whom, at which mapping level, with what weight.

It is built once per version and shared by all its runs. All walks are loops, never recursion: a chain of
50,000 tasks is a DAG like any other.

Mapping: every task has a chain of *scopes*, from outside in: the mapped groups around it, then its own
``expand``. An instance's map index has one number per scope. Of two tasks, the groups they share are the
first ``k`` scopes of both; instance ``index`` of one looks at those instances of the other that begin with
``index[:k]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tradewind.domain.spec import (
    ConcatInput,
    DagSpec,
    ExpandInput,
    ExpandSpec,
    MapInput,
    RefInput,
    TaskSpec,
    TriggerRule,
    WeightRule,
    ZipInput,
)

WEIGHT_MAX = 2**31 - 1  # what every database can store


class Edge(NamedTuple):
    """Seen from a task: another task, and how many mapped groups both are in."""

    other: int  # ordinal
    shared: int
    main: bool = True  # counts for the other's trigger rule
    setup: bool = False  # counts for the other's setups


class Source(NamedTuple):
    """A task whose output a scope expands over."""

    task: int  # ordinal
    key: str
    shared: int  # scopes that the expanding scope and the task are both in


class RetryGroup(NamedTuple):
    """A group that is tried again as a whole."""

    name: str
    level: int  # how many numbers of a map index tell its instances apart
    retries: int


class HeldEdge(NamedTuple):
    """An edge that leaves a group with retries: what failed inside is not seen outside before they are over."""

    edge: Edge
    group: str
    level: int


class Scope:
    """One mapping: of a group with all its tasks, or of one task."""

    __slots__ = ("expand", "name", "position", "sources", "tasks")

    def __init__(self, name: str, expand: ExpandSpec, position: int) -> None:
        self.name = name
        self.expand = expand
        self.position = position  # length of the map index of what it expands
        self.tasks: tuple[int, ...] = ()  # ordinals of the tasks in it
        self.sources: tuple[Source, ...] = ()


class GraphTask:
    """A task with its place in the graph. Read only."""

    __slots__ = (
        "above",
        "below",
        "branches_above",
        "depth",
        "edges_at",
        "expanders",
        "group_depth",
        "is_leaf",
        "is_watched",
        "lengths_needed",
        "needs_past",
        "ordinal",
        "out",
        "out_held",
        "retry_groups",
        "rule",
        "scopes",
        "setups",
        "spec",
        "task_id",
        "up",
        "weight",
    )

    def __init__(self, ordinal: int, spec: TaskSpec, scopes: tuple[Scope, ...]) -> None:
        self.ordinal = ordinal
        self.task_id = spec.task_id
        self.spec = spec
        self.scopes = scopes
        self.depth = len(scopes)  # length of a full map index
        self.group_depth = self.depth - (spec.expand is not None)  # the part that mapped groups give
        self.rule: TriggerRule = spec.trigger_rule
        self.above: tuple[int, ...] = ()  # direct upstream, as ordinals
        self.below: tuple[int, ...] = ()  # direct downstream
        self.up: tuple[Edge, ...] = ()  # everything its rule counts
        self.out: tuple[Edge, ...] = ()  # everything that counts this task …
        self.out_held: tuple[HeldEdge, ...] = ()  # … and what does so only when a group's retries are over
        # For each number of shared groups: how many edges count for its rule, and how many for its setups.
        self.edges_at: tuple[tuple[int, int], ...] = ((0, 0),)
        self.setups: tuple[Edge, ...] = ()  # setups it needs, direct and far
        self.branches_above: tuple[Edge, ...] = ()  # direct upstreams that may decide to skip it
        self.expanders: tuple[Scope, ...] = ()  # scopes that expand over its output
        self.lengths_needed: tuple[str, ...] = ()  # keys whose lengths must come with its success
        self.retry_groups: tuple[RetryGroup, ...] = ()  # groups with retries around it, innermost first
        self.needs_past = spec.depends_on_past or spec.wait_for_downstream
        self.is_leaf = False
        self.is_watched = spec.decides_branch  # others are expanded or skipped once all its instances ended
        self.weight = spec.priority_weight

    def __repr__(self) -> str:
        return f"GraphTask({self.task_id!r})"


class Graph:
    """The tasks of a DAG version by ordinal (topological order) and by id. Read only after it is made."""

    __slots__ = ("_descendants", "_members", "by_id", "groups", "spec", "tasks")

    def __init__(self, spec: DagSpec) -> None:
        self.spec = spec
        self.groups = {group.group_id: group for group in spec.groups}
        scopes = _Scopes(spec)
        self.tasks: tuple[GraphTask, ...] = tuple(
            GraphTask(ordinal, task, scopes.chain(task)) for ordinal, task in enumerate(spec.tasks)
        )
        self.by_id: dict[str, GraphTask] = {task.task_id: task for task in self.tasks}
        self._descendants: dict[int, frozenset[int]] = {}
        self._members: dict[str, tuple[int, ...]] = {}
        _link_direct(self)
        _link(self)
        _link_scopes(self)
        _weigh(self)

    def task(self, task_id: str) -> GraphTask:
        """Return a task; ``KeyError`` when this version has none of that id."""
        return self.by_id[task_id]

    def shared(self, one: GraphTask, other: GraphTask) -> int:
        """Return how many mapped groups both are in."""
        return _shared(one.scopes, other.scopes)

    def descendants(self, ordinal: int) -> frozenset[int]:
        """Return everything downstream, the task itself apart; remembered."""
        known = self._descendants.get(ordinal)
        if known is None:
            known = frozenset(_reach(self, (ordinal,), up=False)) - {ordinal}
            self._descendants[ordinal] = known
        return known

    def ancestors(self, ordinal: int) -> frozenset[int]:
        """Return everything upstream, the task itself apart."""
        return frozenset(_reach(self, (ordinal,), up=True)) - {ordinal}

    def downstream(self, ordinal: int) -> tuple[int, ...]:
        """Return the ordinals of the direct downstream tasks."""
        return self.tasks[ordinal].below

    def upstream(self, ordinal: int) -> tuple[int, ...]:
        """Return the ordinals of the direct upstream tasks."""
        return self.tasks[ordinal].above

    def members(self, group_id: str) -> tuple[int, ...]:
        """Return the ordinals of the tasks in a group and its inner groups; remembered."""
        known = self._members.get(group_id)
        if known is None:
            known = tuple(
                task.ordinal for task in self.tasks if group_id in self.group_chain(task.spec.group)
            )
            self._members[group_id] = known
        return known

    def group_chain(self, group: str | None) -> Iterator[str]:
        """Yield a group and those around it, innermost first."""
        while group is not None:
            yield group
            group = self.groups[group].parent


# ---- scopes ------------------------------------------------------------------------------------------


class _Scopes:
    """Finds the chain of scopes of each task; a group's is made once."""

    def __init__(self, spec: DagSpec) -> None:
        self._groups = {group.group_id: group for group in spec.groups}
        self._chains: dict[str | None, tuple[Scope, ...]] = {None: ()}

    def chain(self, task: TaskSpec) -> tuple[Scope, ...]:
        around = self._of_group(task.group)
        if task.expand is None:
            return around
        return (*around, Scope(task.task_id, task.expand, len(around)))

    def _of_group(self, group_id: str | None) -> tuple[Scope, ...]:
        missing: list[str] = []
        while group_id not in self._chains:
            assert group_id is not None
            missing.append(group_id)
            group_id = self._groups[group_id].parent
        chain = self._chains[group_id]
        for name in reversed(missing):
            expand = self._groups[name].expand
            chain = chain if expand is None else (*chain, Scope(name, expand, len(chain)))
            self._chains[name] = chain
        return chain


def _shared(one: Sequence[Scope], other: Sequence[Scope]) -> int:
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine is not its:
            break
        count += 1
    return count


def _refs(source: ExpandInput) -> Iterator[tuple[str, str]]:
    stack = [source]
    while stack:
        match stack.pop():
            case RefInput(task_id=task_id, key=key):
                yield task_id, key
            case MapInput(source=inner):
                stack.append(inner)
            case ZipInput(sources=sources) | ConcatInput(sources=sources):
                stack.extend(sources)
            case _:
                pass  # a literal refers to nothing


def _link_scopes(graph: Graph) -> None:
    tasks_in: dict[Scope, list[int]] = {}
    for task in graph.tasks:
        for scope in task.scopes:
            tasks_in.setdefault(scope, []).append(task.ordinal)
    expanders: dict[int, list[Scope]] = {}
    needed: dict[int, list[str]] = {}
    for scope, ordinals in tasks_in.items():
        scope.tasks = tuple(ordinals)
        around = graph.tasks[ordinals[0]].scopes[: scope.position]
        refs = dict.fromkeys(ref for _, given in scope.expand.inputs for ref in _refs(given))
        sources = []
        for task_id, key in refs:
            source = graph.by_id.get(task_id)
            if source is None:
                continue  # the compiler refuses it; at run time the length's lookup says what is wrong
            shared = _shared(around, source.scopes)
            sources.append(Source(source.ordinal, key, shared))
            expanders.setdefault(source.ordinal, []).append(scope)
            if source.depth <= shared:
                needed.setdefault(source.ordinal, []).append(key)
        scope.sources = tuple(sources)
    for ordinal, scopes in expanders.items():
        graph.tasks[ordinal].expanders = tuple(dict.fromkeys(scopes))
        graph.tasks[ordinal].is_watched = True
    for ordinal, keys in needed.items():
        graph.tasks[ordinal].lengths_needed = tuple(dict.fromkeys(keys))


# ---- edges -------------------------------------------------------------------------------------------


def _link_direct(graph: Graph) -> None:
    below: list[list[int]] = [[] for _ in graph.tasks]
    for task in graph.tasks:
        task.above = tuple(graph.by_id[name].ordinal for name in task.spec.upstream)
        for other in task.above:
            below[other].append(task.ordinal)
    for task, ordinals in zip(graph.tasks, below, strict=True):
        task.below = tuple(ordinals)


def _link(graph: Graph) -> None:
    tasks = graph.tasks
    far_setups = _far_setups(graph)
    out: list[list[Edge]] = [[] for _ in tasks]
    for task in tasks:
        spec = task.spec
        counted = set(task.above).union(graph.by_id[name].ordinal for name in spec.setups)
        setups = far_setups.get(task.ordinal, ())
        if spec.is_teardown:
            setups = tuple(graph.by_id[name].ordinal for name in spec.setups)
            counted |= _between(graph, setups, task.ordinal)
        edges = []
        for other in sorted(counted.union(setups)):
            shared = _shared(task.scopes, tasks[other].scopes)
            main, setup = other in counted, other in setups
            edges.append(Edge(other, shared, main, setup))
            out[other].append(Edge(task.ordinal, shared, main, setup))
        task.edges_at = tuple(
            (
                sum(edge.main for edge in edges if edge.shared == level),
                sum(edge.setup for edge in edges if edge.shared == level),
            )
            for level in range(task.group_depth + 1)
        )
        task.up = tuple(edge for edge in edges if edge.main)
        task.setups = tuple(edge for edge in edges if edge.setup)
        direct = set(task.above)
        task.branches_above = tuple(
            edge for edge in edges if tasks[edge.other].spec.decides_branch and edge.other in direct
        )
    _link_out(graph, out)
    for task in tasks:
        task.is_leaf = not _ignorable(task.spec) and all(
            _ignorable(tasks[other].spec) for other in graph.downstream(task.ordinal)
        )


def _link_out(graph: Graph, out: list[list[Edge]]) -> None:
    """Part the edges that leave groups with retries from the others.

    A way that leaves a group and comes back into it cannot wait for the group's end; it is not held.
    """
    for task in graph.tasks:
        task.retry_groups = tuple(
            RetryGroup(name, _level(graph, name), graph.groups[name].retries)
            for name in graph.group_chain(task.spec.group)
            if graph.groups[name].retries
        )
    leads_to = {
        group.group_id: _reach(graph, graph.members(group.group_id), up=True)
        for group in graph.spec.groups
        if group.retries
    }
    for task, edges in zip(graph.tasks, out, strict=True):
        free: list[Edge] = []
        held: list[HeldEdge] = []
        for edge in edges:
            around = {group.name for group in graph.tasks[edge.other].retry_groups}
            left = [
                group
                for group in task.retry_groups
                if group.name not in around and edge.other not in leads_to[group.name]
            ]
            if left:
                held.append(HeldEdge(edge, left[-1].name, left[-1].level))
            else:
                free.append(edge)
        task.out, task.out_held = tuple(free), tuple(held)


def _level(graph: Graph, group: str) -> int:
    return sum(graph.groups[name].expand is not None for name in graph.group_chain(group))


def _ignorable(spec: TaskSpec) -> bool:
    """Whether a task does not count for the run's state."""
    return spec.is_teardown and not spec.on_failure_fail_dagrun


def _far_setups(graph: Graph) -> dict[int, tuple[int, ...]]:
    """Return the setups each task needs: all upstream of it, those apart that were torn down on the way.

    Sets are ints with one bit per setup: a DAG has few, its tasks may be many.
    """
    setups = [task.ordinal for task in graph.tasks if task.spec.is_setup]
    if not setups:
        return {}
    bit = {ordinal: 1 << place for place, ordinal in enumerate(setups)}
    above = [0] * len(graph.tasks)
    ended = [0] * len(graph.tasks)
    needs: dict[int, tuple[int, ...]] = {}
    for task in graph.tasks:
        here = gone = 0
        for other in graph.upstream(task.ordinal):
            here |= above[other] | bit.get(other, 0)
            gone |= ended[other]
        above[task.ordinal] = here
        if task.spec.is_teardown:
            for name in task.spec.setups:
                gone |= bit.get(graph.by_id[name].ordinal, 0)
        elif here & ~gone:
            needs[task.ordinal] = tuple(ordinal for ordinal in setups if bit[ordinal] & here & ~gone)
        ended[task.ordinal] = gone
    return needs


def _between(graph: Graph, setups: Iterable[int], teardown: int) -> set[int]:
    """Return the tasks on the ways from a teardown's setups to it: all must be over before it runs."""
    above = graph.ancestors(teardown)
    inside: set[int] = set()
    front = [ordinal for ordinal in setups if ordinal in above]
    below: dict[int, list[int]] = {}
    for ordinal in above:
        for other in graph.upstream(ordinal):
            below.setdefault(other, []).append(ordinal)
    while front:
        ordinal = front.pop()
        if ordinal not in inside:
            inside.add(ordinal)
            front.extend(below.get(ordinal, ()))
    return inside


def _reach(graph: Graph, start: Iterable[int], *, up: bool) -> set[int]:
    seen = set(start)
    front = list(seen)
    while front:
        ordinal = front.pop()
        for other in graph.upstream(ordinal) if up else graph.downstream(ordinal):
            if other not in seen:
                seen.add(other)
                front.append(other)
    return seen


# ---- weights -----------------------------------------------------------------------------------------


def _weigh(graph: Graph) -> None:
    rules = {task.spec.weight_rule for task in graph.tasks}
    below = _sums(graph, up=False) if WeightRule.DOWNSTREAM in rules else {}
    above = _sums(graph, up=True) if WeightRule.UPSTREAM in rules else {}
    for task in graph.tasks:
        weight = task.spec.priority_weight
        if task.spec.weight_rule is WeightRule.DOWNSTREAM:
            weight += below[task.ordinal]
        elif task.spec.weight_rule is WeightRule.UPSTREAM:
            weight += above[task.ordinal]
        task.weight = max(-WEIGHT_MAX, min(weight, WEIGHT_MAX))


def _sums(graph: Graph, *, up: bool) -> dict[int, int]:
    """Return for each task the sum of the weights of all that is up- or downstream of it, each counted once.

    The set of a task is an int with one bit per task, given up as soon as no neighbour needs it: a chain
    keeps two of them, whatever its length.
    """
    near = graph.downstream if not up else graph.upstream
    back = graph.upstream if not up else graph.downstream
    of_weight: dict[int, int] = {}
    for task in graph.tasks:
        of_weight[task.spec.priority_weight] = of_weight.get(task.spec.priority_weight, 0) | 1 << task.ordinal
    sets: dict[int, int] = {}
    waiting: dict[int, int] = {}
    sums: dict[int, int] = {}
    for task in graph.tasks if up else reversed(graph.tasks):
        here = 0
        for other in near(task.ordinal):
            here |= sets[other]
            waiting[other] -= 1
            if not waiting[other]:
                del sets[other]
        if len(of_weight) == 1:
            sums[task.ordinal] = here.bit_count() * task.spec.priority_weight
        else:
            sums[task.ordinal] = sum(weight * (here & mask).bit_count() for weight, mask in of_weight.items())
        users = len(back(task.ordinal))
        if users:
            sets[task.ordinal] = here | 1 << task.ordinal
            waiting[task.ordinal] = users
    return sums
