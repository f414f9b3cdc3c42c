"""The trigger rules: what the counts of a task's direct upstream instances mean for the task.

A rule sees numbers, never instances, so its cost does not depend on how many there are. A task without
upstream runs whatever its rule. A rule may answer before all upstreams are finished (*early*) when no
outcome of the rest could matter; when all are finished no rule waits.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import TaskState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SUCCESS = TaskState.SUCCESS
_SKIPPED = TaskState.SKIPPED
_UPSTREAM_FAILED = TaskState.UPSTREAM_FAILED
_REMOVED = TaskState.REMOVED
_FAILED = frozenset({TaskState.FAILED, TaskState.CANCELLED, TaskState.UNKNOWN})


class Verdict(Enum):
    """What a rule says of a task."""

    RUN = "run"
    WAIT = "wait"
    SKIP = "skip"  # becomes skipped
    UPSTREAM_FAIL = "upstream_fail"  # becomes upstream_failed


class Counts:
    """How many upstream instances stand where; a live tally that is moved as they end or are cleared.

    ``total`` is set by the owner. A cancelled or unknown instance counts as failed: it did not do its work.
    States that are not terminal are counted in ``total`` only, so adding or removing them changes nothing.
    """

    __slots__ = ("failed", "removed", "skipped", "success", "total", "upstream_failed")

    def __init__(
        self,
        total: int = 0,
        success: int = 0,
        failed: int = 0,
        upstream_failed: int = 0,
        skipped: int = 0,
        removed: int = 0,
    ) -> None:
        self.total = total
        self.success = success
        self.failed = failed
        self.upstream_failed = upstream_failed
        self.skipped = skipped
        self.removed = removed

    @property
    def done(self) -> int:
        """How many are finished."""
        return self.success + self.failed + self.upstream_failed + self.skipped + self.removed

    @property
    def complete(self) -> bool:
        """Whether all are finished."""
        return self.done >= self.total

    @property
    def bad(self) -> int:
        """How many failed or could not run because of a failure."""
        return self.failed + self.upstream_failed

    def add(self, state: TaskState, n: int = 1) -> None:
        """Count ``n`` more instances in ``state``; ``total`` stays."""
        if state is _SUCCESS:
            self.success += n
        elif state in _FAILED:
            self.failed += n
        elif state is _SKIPPED:
            self.skipped += n
        elif state is _UPSTREAM_FAILED:
            self.upstream_failed += n
        elif state is _REMOVED:
            self.removed += n

    def remove(self, state: TaskState, n: int = 1) -> None:
        """Count ``n`` fewer instances in ``state``; ``total`` stays."""
        self.add(state, -n)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Counts.__slots__)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Counts({', '.join(f'{name}={getattr(self, name)}' for name in Counts.__slots__)})"


def verdict(rule: TriggerRule, counts: Counts) -> Verdict:
    """Return what ``rule`` says of a task whose direct upstream instances stand as ``counts``.

    A task without upstream (``total`` 0) runs. ``all_done_setup_success`` needs the setups' own counts:
    use :func:`teardown_verdict`; here it is judged as if there were no setup.
    """
    if not counts.total:
        return Verdict.RUN
    return _RULES[rule](counts)


def setup_verdict(setups: Counts) -> Verdict:
    """Return what the setups in a task's upstream allow: all must succeed; one that did not decides."""
    return _all_success(setups) if setups.total else Verdict.RUN


def teardown_verdict(counts: Counts, setups: Counts) -> Verdict:
    """Return what ``all_done_setup_success`` says: wait for all, then run if a setup succeeded.

    Without setups it is ``all_done``.
    """
    if not (counts.complete and setups.complete):
        return Verdict.WAIT
    if setups.success or not setups.total:
        return Verdict.RUN
    return Verdict.UPSTREAM_FAIL if setups.bad else Verdict.SKIP


def _all_success(counts: Counts) -> Verdict:
    if counts.failed or counts.upstream_failed:
        return Verdict.UPSTREAM_FAIL
    if counts.skipped:
        return Verdict.SKIP
    # Nothing failed or was skipped: what is finished succeeded or is gone.
    return Verdict.RUN if counts.success + counts.removed >= counts.total else Verdict.WAIT


def _all_failed(counts: Counts) -> Verdict:
    if counts.success or counts.skipped:
        return Verdict.SKIP
    return Verdict.RUN if counts.complete else Verdict.WAIT


def _all_done(counts: Counts) -> Verdict:
    return Verdict.RUN if counts.complete else Verdict.WAIT


def _all_done_min_one_success(counts: Counts) -> Verdict:
    if counts.skipped:
        return Verdict.SKIP
    if not counts.complete:
        return Verdict.WAIT
    return Verdict.RUN if counts.success else Verdict.UPSTREAM_FAIL


def _one_success(counts: Counts) -> Verdict:
    if counts.success:
        return Verdict.RUN
    if not counts.complete:
        return Verdict.WAIT
    return Verdict.UPSTREAM_FAIL if counts.bad else Verdict.SKIP


def _one_failed(counts: Counts) -> Verdict:
    if counts.bad:
        return Verdict.RUN
    return Verdict.SKIP if counts.complete else Verdict.WAIT


def _one_done(counts: Counts) -> Verdict:
    if counts.success or counts.failed:
        return Verdict.RUN
    return Verdict.SKIP if counts.complete else Verdict.WAIT


def _none_failed(counts: Counts) -> Verdict:
    if counts.bad:
        return Verdict.UPSTREAM_FAIL
    return Verdict.RUN if counts.complete else Verdict.WAIT


def _none_skipped(counts: Counts) -> Verdict:
    if counts.skipped:
        return Verdict.SKIP
    return Verdict.RUN if counts.complete else Verdict.WAIT


def _always(_counts: Counts) -> Verdict:
    return Verdict.RUN


def _none_failed_min_one_success(counts: Counts) -> Verdict:
    if counts.bad:
        return Verdict.UPSTREAM_FAIL
    if not counts.complete:
        return Verdict.WAIT
    if counts.success:
        return Verdict.RUN
    return Verdict.SKIP if counts.skipped == counts.total else Verdict.UPSTREAM_FAIL


def _all_skipped(counts: Counts) -> Verdict:
    if counts.success or counts.bad:
        return Verdict.SKIP
    return Verdict.RUN if counts.complete else Verdict.WAIT


_RULES: Mapping[TriggerRule, Callable[[Counts], Verdict]] = MappingProxyType(
    {
        TriggerRule.ALL_SUCCESS: _all_success,
        TriggerRule.ALL_FAILED: _all_failed,
        TriggerRule.ALL_DONE: _all_done,
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: _all_done_min_one_success,
        TriggerRule.ALL_DONE_SETUP_SUCCESS: _all_done,
        TriggerRule.ONE_SUCCESS: _one_success,
        TriggerRule.ONE_FAILED: _one_failed,
        TriggerRule.ONE_DONE: _one_done,
        TriggerRule.NONE_FAILED: _none_failed,
        TriggerRule.NONE_SKIPPED: _none_skipped,
        TriggerRule.ALWAYS: _always,
        TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: _none_failed_min_one_success,
        TriggerRule.ALL_SKIPPED: _all_skipped,
    }
)

# What each rule asks for, as the end of the sentence "its rule <rule> needs …".
NEEDS: Mapping[TriggerRule, str] = MappingProxyType(
    {
        TriggerRule.ALL_SUCCESS: "every upstream to succeed",
        TriggerRule.ALL_FAILED: "every upstream to fail",
        TriggerRule.ALL_DONE: "every upstream to finish, however it ends",
        TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "every upstream to finish and one of them to succeed",
        TriggerRule.ALL_DONE_SETUP_SUCCESS: "everything before it to finish and one of its setups to succeed",
        TriggerRule.ONE_SUCCESS: "one upstream to succeed",
        TriggerRule.ONE_FAILED: "one upstream to fail",
        TriggerRule.ONE_DONE: "one upstream to succeed or fail",
        TriggerRule.NONE_FAILED: "every upstream to finish without a failure",
        TriggerRule.NONE_SKIPPED: "every upstream to finish without being skipped",
        TriggerRule.ALWAYS: "nothing",
        TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "every upstream to finish, none to fail and one to succeed",
        TriggerRule.ALL_SKIPPED: "every upstream to be skipped",
    }
)
