"""Random DAGs: every shape and option whose decisions have to be right, small enough to run thousands of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tradewind.domain.records import PoolRow
from tradewind.domain.spec import (
    DagSpec,
    ExpandInput,
    ExpandSpec,
    GroupSpec,
    KeyedLimit,
    LiteralInput,
    Overlap,
    RefInput,
    RetrySpec,
    TaskSpec,
    TriggerRule,
    ZipInput,
)
from tradewind.domain.timetable.spec import ContinuousSpec, DeltaSpec, OnceSpec, TimeSpec
from tradewind.testing.clock import START
from tradewind.testing.simulation.chance import Chance

POOLS: Final = (PoolRow(name="default", slots=4), PoolRow(name="io", slots=2))
REMOTE: Final = "remote"
RULES: Final = tuple(rule for rule in TriggerRule if rule is not TriggerRule.ALL_DONE_SETUP_SUCCESS)
TASKS_MAX: Final = 7


@dataclass(frozen=True, slots=True)
class Flavour:
    """How often a scenario's DAGs use what; most scenarios are about few things, so that each is met often."""

    odd_rules: float
    mapped: float
    groups: float
    setups: float
    branches: float
    retries: float
    limits: float
    past: float
    empty: float
    remote: float
    schedules: float


def draw_flavour(chance: Chance) -> Flavour:
    """Return what the DAGs of a scenario are like."""

    def often(usual: float, strong: float) -> float:
        return strong if chance.happens(0.25) else usual

    return Flavour(
        odd_rules=often(0.1, 0.6),
        mapped=often(0.08, 0.4),
        groups=often(0.05, 0.5),
        setups=often(0.05, 0.6),
        branches=often(0.05, 0.3),
        retries=often(0.2, 0.8),
        limits=often(0.1, 0.6),
        past=often(0.05, 0.5),
        empty=often(0.05, 0.2),
        remote=often(0.05, 0.7),
        schedules=often(0.3, 0.9),
    )


def draw_dag(chance: Chance, number: int, flavour: Flavour, until: float) -> DagSpec:
    """Return a DAG whose schedule, if it has one, ends before ``until`` seconds."""
    draft = _Draft(chance, flavour)
    draft.draw()
    limits: dict[str, Any] = {}
    if chance.happens(flavour.limits):
        limits["max_active_tasks"] = chance.whole(1, 3)
    if chance.happens(flavour.limits / 2):
        limits["max_active_tasks_per_run"] = chance.whole(1, 2)
    needs_past = any(task.depends_on_past or task.wait_for_downstream for task in draft.tasks)
    return DagSpec(
        dag_id=f"d{number}",
        file=f"d{number}.py",
        tasks=tuple(draft.tasks),
        groups=tuple(draft.groups),
        schedule=_draw_schedule(chance, flavour, often=needs_past),
        start_at=START + timedelta(seconds=chance.pick([-95, -20, 0, 7])),
        end_at=START + timedelta(seconds=until * chance.between(0.3, 0.95)),
        catchup=chance.weighted([(0.5, True), (0.3, False), (0.2, 60.0)]),
        overlap=chance.weighted([(0.7, Overlap.QUEUE), (0.15, Overlap.SKIP), (0.15, Overlap.CANCEL_RUNNING)]),
        max_active_runs=chance.pick([1, 2, 2, 5]),
        run_fails_if="any_task_failed" if chance.happens(0.2) else "leaf_failed",
        run_timeout_seconds=chance.between(30, 200) if chance.happens(0.07) else None,
        run_retries=1 if chance.happens(flavour.retries / 8) else 0,
        fail_fast=chance.happens(0.06),
        priority=chance.whole(0, 2),
        **limits,
    )


def _draw_schedule(chance: Chance, flavour: Flavour, *, often: bool) -> TimeSpec | None:
    if not chance.happens(0.8 if often else flavour.schedules):
        return None
    grid = DeltaSpec(seconds=float(chance.pick([20, 30, 45, 70])), anchor=START)
    kinds: list[tuple[float, TimeSpec]] = [(8.0, grid), (1.0, OnceSpec()), (0.5, ContinuousSpec())]
    return chance.weighted(kinds)


class _Draft:
    """One DAG while it is drawn."""

    def __init__(self, chance: Chance, flavour: Flavour) -> None:
        self.chance = chance
        self.flavour = flavour
        self.tasks: list[TaskSpec] = []
        self.groups: list[GroupSpec] = []
        self.plain: list[str] = []  # unmapped tasks outside of groups: what others may be mapped over
        self.shape = chance.pick(["chain", "fan", "diamond", "any"])

    def draw(self) -> None:
        chance, flavour = self.chance, self.flavour
        count = chance.whole(1, TASKS_MAX)
        if chance.happens(flavour.setups):
            self.add("s", (), is_setup=True)
        while len(self.tasks) < count:
            if self.tasks and chance.happens(flavour.groups):
                self.draw_group()
            else:
                self.draw_task(None)
        setups = [task.task_id for task in self.tasks if task.is_setup]
        if setups and chance.happens(0.8):
            leaves = [task.task_id for task in self.tasks if not task.is_setup and task.group is None]
            self.add(
                "t",
                tuple({*setups, *chance.some(leaves, 0.7)}),
                is_teardown=True,
                setups=tuple(setups),
                trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
                on_failure_fail_dagrun=chance.happens(0.3),
            )

    def draw_group(self) -> None:
        chance = self.chance
        name = f"g{len(self.groups)}"
        self.groups.append(
            GroupSpec(
                group_id=name,
                expand=self.mapping() if chance.happens(0.7) else None,
                retries=1 if chance.happens(0.3) else 0,
            )
        )
        source = self.referred(self.groups[-1].expand)
        first = True
        for _ in range(chance.whole(1, 3)):
            self.draw_task(name, also=source if first or chance.happens(0.3) else ())
            first = False

    def draw_task(self, group: str | None, also: tuple[str, ...] = ()) -> None:
        chance, flavour = self.chance, self.flavour
        more: dict[str, Any] = {}
        if chance.happens(flavour.mapped) and self.tasks:
            more["expand"] = self.mapping()
            also = (*also, *self.referred(more["expand"]))
        above = {*self.above(group), *also}
        if chance.happens(flavour.odd_rules):
            more["trigger_rule"] = chance.pick(RULES)
        if chance.happens(flavour.empty):
            more["empty"] = True
        elif chance.happens(flavour.branches):
            more["decides_branch"] = True
        if chance.happens(0.05):
            more["at_most_once"] = True
        name = f"{group}.a{len(self.tasks)}" if group else f"a{len(self.tasks)}"
        setup = not above and group is None and "expand" not in more and chance.happens(flavour.setups / 3)
        self.add(name, tuple(above), group=group, is_setup=setup, **more)

    def above(self, group: str | None) -> list[str]:
        chance = self.chance
        known = [task for task in self.tasks if not task.is_teardown]
        near = [task.task_id for task in known if task.group == group] if group else []
        names = near if near and chance.happens(0.7) else [task.task_id for task in known]
        match self.shape:
            case _ if not names:
                return []
            case "chain":
                return names[-1:]
            case "fan":
                return names[:1] if chance.happens(0.7) else names[-chance.whole(1, 3) :]
            case "diamond":
                return names[-chance.whole(1, 2) :]
            case _:
                return chance.some(names, 0.4)

    def mapping(self) -> ExpandSpec:
        chance = self.chance
        inputs = [("x", self.mapped_over())]
        if chance.happens(0.15):
            inputs.append(("y", LiteralInput(value=[1, 2][: chance.whole(1, 2)])))
        return ExpandSpec(inputs=tuple(inputs))

    def mapped_over(self) -> ExpandInput:
        chance = self.chance
        if self.plain and chance.happens(0.7):
            reference = RefInput(task_id=chance.pick(self.plain))
            if chance.happens(0.1):
                return ZipInput(sources=(reference, LiteralInput(value=[1, 2, 3])))
            return reference
        return LiteralInput(value=list(range(chance.whole(0, 3))))

    def referred(self, expand: ExpandSpec | None) -> tuple[str, ...]:
        found = []
        for _, given in expand.inputs if expand is not None else ():
            sources = given.sources if isinstance(given, ZipInput) else (given,)
            found += [source.task_id for source in sources if isinstance(source, RefInput)]
        return tuple(found)

    def add(self, name: str, above: tuple[str, ...], **more: Any) -> None:
        chance, flavour = self.chance, self.flavour
        if chance.happens(flavour.retries):
            more["retry"] = RetrySpec(
                retries=chance.whole(1, 2),
                delay_seconds=chance.pick([0.0, 1.0, 12.0]),
                backoff=chance.pick([1.0, 2.0]),
                jitter=chance.pick([0.0, 0.3]),
            )
        if chance.happens(flavour.limits):
            more["pool"] = "io"
            more["pool_slots"] = chance.pick([1, 1, 2])
        if chance.happens(flavour.limits / 3):
            more["max_active_tis_per_dag"] = chance.whole(1, 2)
        if chance.happens(flavour.limits / 3):
            more["limits"] = (self.keyed_limit(),)
        if chance.happens(flavour.past):
            more[chance.pick(["depends_on_past", "wait_for_downstream"])] = True
        if chance.happens(flavour.remote):
            more["executor"] = REMOTE
        if chance.happens(0.1):
            more["timeout_seconds"] = chance.between(3, 30)
        task = TaskSpec(
            task_id=name,
            operator="Op",
            upstream=tuple(sorted(above)),
            priority_weight=chance.whole(1, 3),
            operator_kind="sensor" if chance.happens(0.07) else "action",
            **more,
        )
        self.tasks.append(task)
        if task.group is None and task.expand is None and not (task.is_teardown or task.empty):
            self.plain.append(name)

    def keyed_limit(self) -> KeyedLimit:
        if self.chance.happens(0.5):
            return KeyedLimit(key="shared", max=self.chance.whole(1, 2))
        return KeyedLimit(key="rated", rate_count=self.chance.whole(1, 3), rate_seconds=10.0)
