"""Retries of whole groups and whole runs: everything inside is cleared and tried again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tradewind.domain.records import MapIndex
from tradewind.domain.states import TaskEvent, TaskState
from tradewind.domain.world.build import recount, retries_left, retry_key
from tradewind.domain.world.tally import KIND, UNFINISHED

if TYPE_CHECKING:
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Cell, Instance, Node, Run

_KEPT = frozenset({TaskState.NONE, TaskState.REMOVED})


def check_group(world: World, run: Run, name: str, prefix: MapIndex) -> None:
    """Try a group again in which all have ended and something failed, or show the outside how it ended."""
    group = run.groups.get((name, prefix))
    if run.ended or group is None or group.unfinished or group.closed:
        return
    nodes = [run.nodes[ordinal] for ordinal in run.graph.members(name)]
    if retries_left(run, name, prefix, group):
        if run.may_start:
            _refresh_inner(world, run, name, prefix)
            _try_again(world, run, nodes, prefix, retry_key(name, prefix))
        return
    group.closed = True
    for node in nodes:
        cell = node.cells.get(prefix)
        for below in cell.below() if cell is not None else ():
            for instance in below.instances:
                world.show(instance, name, UNFINISHED, KIND[instance.state])


def retry_run(world: World, run: Run) -> bool:
    """Try a whole run again that would fail; False when it has no retries left."""
    if run.row.retries_used.get("", 0) >= run.graph.spec.run_retries:
        return False
    used = {"": run.row.retries_used.get("", 0)}  # its groups get a fresh set of retries
    world.change_run(run, retries_used=used)
    _try_again(world, run, run.nodes, (), "")
    return True


def _refresh_inner(world: World, run: Run, name: str, prefix: MapIndex) -> None:
    """Open the groups inside of one that is tried again, with a fresh set of retries."""
    inner = {
        group.group_id
        for group in run.graph.spec.groups
        if group.retries and group.group_id != name and name in run.graph.group_chain(group.group_id)
    }
    if inner:
        keys = [key for key in run.groups if key[0] in inner and key[1][: len(prefix)] == prefix]
        for key in keys:
            _hide(world, run, *key)
        fresh = {retry_key(*key) for key in keys}
        kept = {key: used for key, used in run.row.retries_used.items() if key not in fresh}
        world.change_run(run, retries_used=kept)


def _hide(world: World, run: Run, name: str, prefix: MapIndex) -> None:
    """Take back what was shown of a group that had ended: it begins again."""
    group = run.groups[name, prefix]
    if not group.closed:
        return
    group.closed = False
    for ordinal in run.graph.members(name):
        cell = run.nodes[ordinal].cells.get(prefix)
        for below in cell.below() if cell is not None else ():
            for instance in below.instances:
                world.show(instance, name, KIND[instance.state], UNFINISHED)


def _try_again(world: World, run: Run, nodes: list[Node], prefix: MapIndex, key: str) -> None:
    used = run.row.retries_used.get(key, 0) + 1
    world.change_run(run, retries_used={**run.row.retries_used, key: used})
    world.add_event("run.retried", run.row, group=key, retry=used)
    inside = {node.task.ordinal for node in nodes}
    remapped = False
    for node in nodes:
        cell = node.cells.get(prefix)
        if cell is not None:
            for instance in [i for below in cell.below() for i in below.instances]:
                if instance.state not in _KEPT:
                    _clear(world, instance)
            remapped |= _map_again(world, node, cell, inside)
    if remapped or not prefix:
        recount(run)
        world.check_run(run)
    else:
        for node in nodes:
            for scope in node.task.scopes[len(prefix) : node.task.group_depth]:
                world.expansions[run.pk, scope, prefix] = run
            here = node.cells.get(prefix)
            if here is not None:  # else a placeholder around it stands for it until that is expanded again
                world.check(here)


def _clear(world: World, instance: Instance) -> None:
    world.move(instance, TaskEvent.CLEAR)
    instance.tries_max = instance.try_number + instance.cell.node.task.spec.retry.retries + 1
    instance.losses = 0
    instance.lengths = {}
    instance.branch = instance.label = instance.resume = instance.wake_at = None
    instance.skip_all_downstream = False
    instance.queued_at = instance.started_at = instance.ended_at = instance.first_started_at = None


def _map_again(world: World, node: Node, cell: Cell, inside: Iterable[int]) -> bool:
    """Put placeholders back where the length of a mapping may be another one now."""
    for scope in node.task.scopes[len(cell.prefix) :]:
        if any(source.task in inside for source in scope.sources):
            made = False
            for at in list(cell.at_level(scope.position)):
                if all(instance.map_index != at.prefix for instance in at.instances):
                    world.new_instance(node, at.prefix, at)
                    made = True
            return made
    return False
