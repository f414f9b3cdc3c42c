"""What the user code of an attempt does: how long it runs, how it ends, what it leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tradewind.domain.graph import Graph
from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.spec import TaskSpec
from tradewind.ports.runtime_api import TaskContext
from tradewind.testing.simulation.chance import Chance

POKES_MAX: Final = 3
LONG_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Deed:
    """One attempt's user code: its outcome is told when it has run for ``seconds``."""

    seconds: float
    outcome: Outcome


class Behaviour:
    """Decides what every attempt does, from one stream of chance."""

    def __init__(self, chance: Chance, graphs: dict[int, Graph], typical_seconds: float) -> None:
        self._chance = chance
        self._graphs = graphs
        self._typical_seconds = typical_seconds
        self._pokes: dict[int, int] = {}

    def draw(self, context: TaskContext, now: datetime) -> Deed:
        """Return what the attempt does."""
        chance = self._chance
        task = self._graphs[context.version_id].task(context.task_id)
        seconds = chance.between(0, 2 * self._typical_seconds)
        if chance.happens(0.05):
            seconds = chance.between(5, LONG_SECONDS)
        kind = self._kind(task.spec, context.instance_id)
        more: dict[str, Any] = {}
        if kind is OutcomeKind.RESCHEDULE:
            more["wake_at"] = now + timedelta(seconds=seconds + chance.between(0, 15))
        if kind is OutcomeKind.SUCCESS:
            more = self._success(task.spec, context, task.lengths_needed)
        elif kind is OutcomeKind.ERROR:
            more["retry"] = chance.weighted([(0.8, None), (0.1, False), (0.1, True)])
        limit = context.timeout_seconds
        if limit is not None and seconds > limit:
            kind, seconds, more = OutcomeKind.ERROR, limit, {"reason": f"timed out after {limit:g} s"}
        report = Outcome(instance_id=context.instance_id, token=context.token, kind=kind, **more)
        return Deed(seconds, report)

    def _kind(self, spec: TaskSpec, instance_id: int) -> OutcomeKind:
        if spec.operator_kind == "sensor":
            pokes = self._pokes[instance_id] = self._pokes.get(instance_id, 0) + 1
            if pokes % (POKES_MAX + 1) and self._chance.happens(0.6):
                return OutcomeKind.RESCHEDULE
        return self._chance.weighted(
            [
                (0.78, OutcomeKind.SUCCESS),
                (0.12, OutcomeKind.ERROR),
                (0.03, OutcomeKind.FAILED),
                (0.05, OutcomeKind.SKIPPED),
                (0.02, OutcomeKind.INTERRUPTED),
            ]
        )

    def _success(self, spec: TaskSpec, context: TaskContext, keys: tuple[str, ...]) -> dict[str, Any]:
        chance = self._chance
        more: dict[str, Any] = {"xcoms": {"proof": json.dumps([context.instance_id, context.token])}}
        if keys and not chance.happens(0.05):
            more["lengths"] = {key: chance.weighted([(0.1, 0), (0.8, 2), (0.1, 4)]) for key in keys}
        if spec.decides_branch:
            below = self._graphs[context.version_id].downstream
            graph = self._graphs[context.version_id]
            names = [graph.tasks[other].task_id for other in below(graph.task(spec.task_id).ordinal)]
            if chance.happens(0.2):
                more["skip_all_downstream"] = True
            else:
                more["branch"] = tuple(chance.some(names, 0.5))
        return more
