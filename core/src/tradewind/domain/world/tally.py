"""Counters of upstream instances by how they stand, and what each trigger rule says of them.

Every rule asks only *which* kinds of states there are among the upstreams, never how many (the rules' own
test proves it). So a tally keeps one bit per kind, and a verdict is one look into a table of 64. A tally
that moves without changing its bits changes no verdict, and nobody is asked again: N upstream instances
times M waiting ones cost N + M.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tradewind.domain.rules import Counts, Verdict, setup_verdict, teardown_verdict, verdict
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TERMINAL_TASK_STATES, TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping

UNFINISHED, SUCCESS, FAILED, UPSTREAM_FAILED, SKIPPED, REMOVED = range(6)
KINDS: Final = 6
MASKS: Final = 1 << KINDS

KIND: Final[Mapping[TaskState, int]] = {
    **{state: UNFINISHED for state in TaskState if state not in TERMINAL_TASK_STATES},
    TaskState.SUCCESS: SUCCESS,
    TaskState.FAILED: FAILED,
    TaskState.CANCELLED: FAILED,
    TaskState.UNKNOWN: FAILED,
    TaskState.UPSTREAM_FAILED: UPSTREAM_FAILED,
    TaskState.SKIPPED: SKIPPED,
    TaskState.REMOVED: REMOVED,
}


class Tally:
    """How many instances are of each kind, and the mask of the kinds there are."""

    __slots__ = ("counts", "mask")

    def __init__(self, unfinished: int = 0) -> None:
        self.counts = [unfinished, 0, 0, 0, 0, 0]
        self.mask = 1 if unfinished else 0

    def add(self, kind: int, count: int = 1) -> bool:
        """Count ``count`` more (or fewer) of ``kind``; return whether the mask changed."""
        counts = self.counts
        counts[kind] += count
        mask = self.mask | 1 << kind if counts[kind] else self.mask & ~(1 << kind)
        changed = mask != self.mask
        self.mask = mask
        return changed

    def shift(self, before: int, after: int) -> bool:
        """Count one instance under ``after`` instead of ``before``; return whether the mask changed."""
        counts = self.counts
        counts[before] -= 1
        counts[after] += 1
        mask = self.mask | 1 << after
        if not counts[before]:
            mask &= ~(1 << before)
        if mask == self.mask:
            return False
        self.mask = mask
        return True

    def as_counts(self) -> Counts:
        """Return the numbers in the form of the rules."""
        _, success, failed, upstream_failed, skipped, removed = self.counts
        return Counts(sum(self.counts), success, failed, upstream_failed, skipped, removed)


def _sample(mask: int) -> Counts:
    """Return counts with one instance of each kind in ``mask``."""
    tally = Tally()
    for kind in range(KINDS):
        tally.add(kind, mask >> kind & 1)
    return tally.as_counts()


RULE_TABLES: Final[Mapping[TriggerRule, tuple[Verdict, ...]]] = MappingProxyType(
    {rule: tuple(verdict(rule, _sample(mask)) for mask in range(MASKS)) for rule in TriggerRule}
)
SETUP_TABLE: Final = tuple(setup_verdict(_sample(mask)) for mask in range(MASKS))


@cache
def judge_teardown(mask: int, setup_mask: int) -> Verdict:
    """Return what a teardown does when everything before it stands as ``mask`` and its setups as the other."""
    return teardown_verdict(_sample(mask), _sample(setup_mask))
