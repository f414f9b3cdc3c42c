"""Live runs from their rows: whatever the scheduler knows of a run, it can find again here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tradewind.domain.graph import GraphTask
from tradewind.domain.records import InstanceRow, MapIndex, format_map_index
from tradewind.domain.spec import INSTANCES_PER_RUN_MAX, TaskSpec
from tradewind.domain.states import SLOT_STATES, TERMINAL_TASK_STATES, TaskEvent, TaskState
from tradewind.domain.world.live import Cell, GroupCount, Instance, Node, Run
from tradewind.domain.world.moves import Ledger, count_bad, count_groups, from_row
from tradewind.domain.world.tally import KIND, UNFINISHED, Tally

if TYPE_CHECKING:
    from tradewind.domain.graph import Edge

_COPIED = tuple(
    name for name in InstanceRow.__struct_fields__ if name in Instance.__struct_fields__ and name != "id"
)
_WAITING = frozenset({TaskState.UP_FOR_RETRY, TaskState.UP_FOR_RESCHEDULE, TaskState.SCHEDULED})


def start_nodes(ledger: Ledger, run: Run) -> None:
    """Make the nodes of a run that has no instances yet, each with one instance in state none."""
    for task in run.graph.tasks:
        node = Node(run, task)
        run.nodes.append(node)
        ledger.new_instance(node, (), node.root)
        if node.root.own is not None:
            node.root.own[UNFINISHED] = 1
    run.unfinished = len(run.nodes)


def build_nodes(ledger: Ledger, run: Run, rows: Iterable[InstanceRow]) -> None:
    """Make the nodes of a run from its rows, and take up what its instances hold and wait for.

    Rows of tasks that this version does not have are marked removed, unless they have ended.
    """
    run.nodes.extend(Node(run, task) for task in run.graph.tasks)
    orphans: list[Instance] = []
    for row in rows:
        task = run.graph.by_id.get(row.task_id)
        if task is None:
            if row.state not in TERMINAL_TASK_STATES:
                orphans.append(_orphan(ledger, row, run))
            continue
        node = run.nodes[task.ordinal]
        cell = node.cell(row.map_index[: task.group_depth])
        instance = from_row(row, run, cell)
        cell.instances.append(instance)
        run.by_id[row.id] = instance
        run.next_ordinal = max(run.next_ordinal, (row.id & INSTANCES_PER_RUN_MAX) + 1)
        _take_up(ledger, instance)
    for node in run.nodes:
        for cell in node.cells.values():
            cell.instances.sort(key=_by_index)
            cell.children.sort(key=_by_prefix)
    recount(run)
    for instance in orphans:
        ledger.move(instance, TaskEvent.REMOVE, "the run's version of the DAG has no such task")


def take_row(ledger: Ledger, instance: Instance, row: InstanceRow) -> None:
    """Bring a live instance up to a row that somebody else has written."""
    before, after = instance.state, row.state
    for name in _COPIED:
        setattr(instance, name, getattr(row, name))
    ledger.moved(instance, before, after)
    if after in _WAITING:
        if row.wake_at is not None:
            ledger.wakes.add(row.wake_at, "instance", instance)
        elif after is TaskState.SCHEDULED:
            ledger.ready.append(instance)
        else:
            ledger.wakes.add(instance.run.row.run_after, "instance", instance)


def complete_nodes(ledger: Ledger, run: Run) -> None:
    """Make instances for the tasks that have none: a run that was moved to a newer version."""
    made = False
    for node in run.nodes:
        if not any(cell.instances for cell in node.cells.values()):
            ledger.new_instance(node, (), node.root)
            made = True
    if made:
        recount(run)


def recount(run: Run) -> None:
    """Count a run's tallies afresh from its instances: linear in instances times their tasks' edges.

    Groups with retries in which all have ended are open until they are looked at, if they may be tried again.
    """
    _recount_groups(run)
    run.unfinished = run.moving = run.bad = run.bad_leaves = 0
    run.short_circuits.clear()
    for node in run.nodes:
        for cell in node.cells.values():
            cell.counts = [0] * len(cell.counts)
            cell.mask = 0
            cell.setups = Tally() if node.task.edges_at[len(cell.prefix)][1] else None
            if cell.own is not None:
                cell.own = [0] * len(cell.own)
    for instance in run.by_id.values():
        kind = KIND[instance.state]
        if kind == UNFINISHED:
            run.unfinished += 1
            run.moving += instance.state is not TaskState.NONE
        count_bad(run, instance, kind, 1)
        says = instance.skip_all_downstream and instance.cell.node.task.spec.decides_branch
        if says and instance.state is TaskState.SUCCESS:
            run.short_circuits.add(instance.cell.node.task.ordinal)
        cell = instance.cell
        if cell.own is not None:
            cell.count_own(kind, 1)
        for edge in cell.node.task.out:
            _show(run, instance, edge, kind)
        for edge, name, level in cell.node.task.out_held:
            group = run.groups.get((name, instance.map_index[:level]))
            hidden = group is not None and not group.closed and len(instance.map_index) >= level
            _show(run, instance, edge, UNFINISHED if hidden else kind)


def _recount_groups(run: Run) -> None:
    run.groups.clear()
    for instance in run.by_id.values():
        if instance.cell.node.task.retry_groups:
            count_groups(run, instance, KIND[instance.state], 1)
    for (name, prefix), group in run.groups.items():
        group.closed = not group.unfinished and not retries_left(run, name, prefix, group)


def retries_left(run: Run, name: str, prefix: MapIndex, group: GroupCount) -> bool:
    """Whether a group in which all have ended is to be tried again."""
    used = run.row.retries_used.get(retry_key(name, prefix), 0)
    return group.bad > 0 and used < run.graph.groups[name].retries


def retry_key(name: str, prefix: MapIndex) -> str:
    """Return the name under which the retries of a group at an index are counted."""
    return f"{name}[{format_map_index(prefix)}]" if prefix else name


def _show(run: Run, instance: Instance, edge: Edge, kind: int) -> None:
    for seen in _seen_by(run, instance, edge):
        if edge.main:
            seen.add(kind)
        if edge.setup and seen.setups is not None:
            seen.setups.add(kind)


def _seen_by(run: Run, instance: Instance, edge: Edge) -> Iterable[Cell]:
    """Return the cells of the edge's other task that look at the instance."""
    node = run.nodes[edge.other]
    index = instance.map_index
    if edge.shared <= len(index):
        cell = node.cells.get(index[: edge.shared])
        return () if cell is None else (cell,)
    around = node.cells.get(index)
    return () if around is None else around.at_level(edge.shared)


def _take_up(ledger: Ledger, instance: Instance) -> None:
    state = instance.state
    ledger.admission.count_start(instance)
    if state in SLOT_STATES:
        ledger.admission.acquire(instance)
        if state is TaskState.QUEUED:
            ledger.redispatch.append(instance)
    elif state in _WAITING and instance.wake_at is not None:
        ledger.wakes.add(instance.wake_at, "instance", instance)
    elif state is TaskState.UP_FOR_RETRY or state is TaskState.UP_FOR_RESCHEDULE:
        ledger.wakes.add(instance.run.row.run_after, "instance", instance)


def _orphan(ledger: Ledger, row: InstanceRow, run: Run) -> Instance:
    task = GraphTask(-1, TaskSpec(task_id=row.task_id, operator=""), ())
    cell = Node(run, task).root
    instance = from_row(row, run, cell)
    run.by_id[row.id] = instance
    cell.instances.append(instance)
    if row.state in SLOT_STATES:
        ledger.admission.acquire(instance)
        ledger.cancels.append((row.id, row.token, row.executor or ledger.admission.default_executor))
    return instance


def _by_index(instance: Instance) -> tuple[int, ...]:
    return instance.map_index


def _by_prefix(cell: Cell) -> tuple[int, ...]:
    return cell.prefix
