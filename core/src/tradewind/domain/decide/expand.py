"""Expanding mapped tasks and groups: placeholders become instances when their lengths are known."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from tradewind.domain.expansion import Length, Problem, length
from tradewind.domain.records import MapIndex
from tradewind.domain.spec import INSTANCES_PER_RUN_MAX
from tradewind.domain.states import TaskEvent, TaskState
from tradewind.domain.world.build import recount
from tradewind.domain.world.tally import FAILED, REMOVED, SKIPPED, SUCCESS, UNFINISHED, UPSTREAM_FAILED

if TYPE_CHECKING:
    from tradewind.domain.graph import GraphTask, Scope, Source
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Cell, Instance, Node, Run


class Fate(NamedTuple):
    """Why nothing is expanded: what happens to the placeholders instead."""

    event: TaskEvent
    reason: str


_EMPTY = Fate(TaskEvent.SKIP, "there is nothing to map over: the length is 0")


# ---- lengths -----------------------------------------------------------------------------------------


def length_at(run: Run, scope: Scope, prefix: MapIndex) -> int | Fate | None:
    """Return how many instances a mapping makes at a prefix, None while that is not known."""
    sources = {(run.graph.tasks[s.task].task_id, s.key): s for s in scope.sources}
    for source in scope.sources:
        fate = _fate(run, source, prefix)
        if fate is not None:
            return fate

    def lookup(task_id: str, key: str) -> Length:
        source = sources.get((task_id, key))
        if source is None:
            return Problem(f'it is mapped over "{task_id}", which this version of the DAG does not have')
        return _source_length(run, source, prefix)

    found = length(scope.expand, lookup, limit=run.graph.spec.max_map_length)
    if isinstance(found, Problem):
        return Fate(TaskEvent.FAIL, found.message)
    if found is None:
        return None
    if run.next_ordinal + found * len(scope.tasks) > INSTANCES_PER_RUN_MAX:
        return Fate(
            TaskEvent.FAIL,
            f"with its {found:,} instances the run would have more than {INSTANCES_PER_RUN_MAX:,}. "
            "Map over batches",
        )
    return found or _EMPTY


def _source_cell(run: Run, source: Source, prefix: MapIndex) -> Cell:
    """Return the cell that holds all instances of a source which a prefix looks at."""
    node = run.nodes[source.task]
    for size in range(source.shared, 0, -1):
        cell = node.cells.get(prefix[:size])
        if cell is not None:
            return cell
    return node.root


def _fate(run: Run, source: Source, prefix: MapIndex) -> Fate | None:
    """Return what becomes of a mapping whose one source instance did not succeed."""
    task = run.graph.tasks[source.task]
    own = _source_cell(run, source, prefix).own
    if task.depth > source.shared or own is None or own[UNFINISHED]:
        return None
    if own[FAILED] or own[UPSTREAM_FAILED]:
        return Fate(TaskEvent.UPSTREAM_FAIL, f"{task.task_id}, which it is mapped over, failed")
    if own[SKIPPED] or own[REMOVED]:
        return Fate(TaskEvent.SKIP, f"{task.task_id}, which it is mapped over, was skipped")
    return None


def _source_length(run: Run, source: Source, prefix: MapIndex) -> Length:
    task = run.graph.tasks[source.task]
    cell = _source_cell(run, source, prefix)
    own = cell.own
    if own is None or own[UNFINISHED]:
        return None
    if task.depth > source.shared:
        return own[SUCCESS]
    known = cell.instances[0].lengths.get(source.key) if cell.instances else None
    if known is None:
        return Problem(f'{task.task_id} pushed no list or dict under "{source.key}" to map over')
    return known


# ---- a mapped task -----------------------------------------------------------------------------------


def expand_task(world: World, cell: Cell, now: datetime) -> bool:
    """Expand what a mapped task's cell holds a placeholder for; False when its instances cannot run (yet)."""
    placeholder = cell.placeholder()
    if placeholder is None:
        return True
    run, task = cell.node.run, cell.node.task
    found = length_at(run, task.scopes[-1], cell.prefix)
    if found is None:
        return False
    if isinstance(found, Fate):
        world.move(placeholder, found.event, found.reason)
        placeholder.ended_at = now
        _vanish(world, cell, 0)
        return False
    known = {instance.map_index[-1]: instance for instance in cell.instances if instance is not placeholder}
    world.remove_instance(placeholder)
    made = 0
    for place in range(found):
        instance = known.get(place)
        if instance is None:
            world.new_instance(cell.node, (*cell.prefix, place), cell)
            made += 1
        elif instance.state is TaskState.REMOVED:
            world.move(instance, TaskEvent.RESTORE)
    _count_more(world, run, task, cell, made - 1)
    _vanish(world, cell, found)
    return True


def _vanish(world: World, cell: Cell, count: int) -> None:
    """Mark the instances of a mapped task removed that lie past its new length."""
    depth = cell.node.task.depth
    for instance in cell.instances:
        if len(instance.map_index) == depth and instance.map_index[-1] >= count:
            _remove(world, instance)


def _remove(world: World, instance: Instance) -> None:
    if instance.state is not TaskState.REMOVED:
        world.move(instance, TaskEvent.REMOVE, "the mapping has become shorter")


def _count_more(world: World, run: Run, task: GraphTask, cell: Cell, more: int) -> None:
    """Count ``more`` unfinished instances of a task, all below a cell, wherever they are seen from there."""
    if not more:
        return
    run.unfinished += more
    cell.count_own(UNFINISHED, more)
    size = len(cell.prefix)
    for edge in (*task.out, *(held.edge for held in task.out_held)):
        if edge.shared > size:
            continue
        seen = run.nodes[edge.other].cells.get(cell.prefix[: edge.shared])
        if seen is None:
            continue
        changed = edge.main and seen.add(UNFINISHED, more)
        if edge.setup and seen.setups is not None:
            changed = seen.setups.add(UNFINISHED, more) or changed
        if changed:
            world.check(seen)


# ---- a mapped group ----------------------------------------------------------------------------------


def expand_group(world: World, run: Run, scope: Scope, prefix: MapIndex, now: datetime) -> None:
    """Expand a mapped group wherever at or below ``prefix`` it is due; a mapped task asks its rule first."""
    if not run.may_start or run.pk not in world.runs:
        return
    nodes = [run.nodes[ordinal] for ordinal in scope.tasks]
    if nodes[0].task.group_depth <= scope.position:  # the scope is the task's own
        around = _nearest(nodes[0], prefix)
        world.check(around)
        return
    due: dict[MapIndex, None] = {}
    for node in nodes:
        for cell in _nearest(node, prefix).at_level(scope.position):
            if cell.placeholder() is not None:
                due[cell.prefix] = None
    for at in due:
        _expand_at(world, run, scope, at, now)


def _nearest(node: Node, prefix: MapIndex) -> Cell:
    while prefix:
        cell = node.cells.get(prefix)
        if cell is not None:
            return cell
        prefix = prefix[:-1]
    return node.root


def _expand_at(world: World, run: Run, scope: Scope, prefix: MapIndex, now: datetime) -> None:
    found = length_at(run, scope, prefix)
    if found is None:
        return
    places: list[tuple[Node, Cell, Instance]] = []
    for ordinal in scope.tasks:
        node = run.nodes[ordinal]
        cell = node.cells.get(prefix)
        placeholder = None if cell is None else cell.placeholder()
        if cell is not None and placeholder is not None:
            places.append((node, cell, placeholder))
    if isinstance(found, Fate):
        for _, cell, placeholder in places:
            world.move(placeholder, found.event, found.reason)
            placeholder.ended_at = now
            _vanish_below(world, cell, 0)
        return
    # All tasks of the group expand together, for the first time: their counters are known without counting.
    together = len(places) == len(scope.tasks) and not any(cell.children for _, cell, _ in places)
    for node, cell, placeholder in places:
        world.remove_instance(placeholder)
        for place in range(found):
            _fill(world, node, (*prefix, place))
        _vanish_below(world, cell, found)
    if together:
        for node, cell, _ in places:
            _count_more(world, run, node.task, cell, found - 1)
    else:
        recount(run)
        world.check_run(run)
    _go_on(world, run, prefix, places)


def _fill(world: World, node: Node, index: MapIndex) -> None:
    """Make sure that a task has something at an index: an instance, or a placeholder for inner mappings."""
    cell = node.cell(index)
    there = [instance for below in cell.below() for instance in below.instances]
    if not there:
        world.new_instance(node, index, cell)
        if cell.own is not None:
            cell.own[UNFINISHED] = 1
    for instance in there:
        if instance.state is TaskState.REMOVED:
            world.move(instance, TaskEvent.RESTORE)


def _vanish_below(world: World, cell: Cell, count: int) -> None:
    size = len(cell.prefix)
    for below in cell.below():
        if len(below.prefix) > size and below.prefix[size] >= count:
            for instance in list(below.instances):
                _remove(world, instance)


def _go_on(world: World, run: Run, prefix: MapIndex, places: list[tuple[Node, Cell, Instance]]) -> None:
    """Ask the rules at the new indices, and expand what is mapped inside them."""
    size = len(prefix) + 1
    inner = {chain[size]: None for chain in (node.task.scopes for node, _, _ in places) if len(chain) > size}
    for node, cell, _ in places:
        if node.task.group_depth == size:
            for child in cell.children:
                world.check(child)
    for deeper in inner:
        if run.nodes[deeper.tasks[0]].task.group_depth > size:
            world.expansions[run.pk, deeper, prefix] = run
