"""Planted bugs around attempts: claims, reports, losses, tokens, archives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import msgspec

from tradewind.domain.leases import LEASE_SECONDS, ReportVerdict
from tradewind.domain.outcome import Outcome
from tradewind.domain.states import TaskState
from tradewind.domain.world import inbox
from tradewind.domain.world.inbox import Claim
from tradewind.scheduler import engine
from tradewind.scheduler import inbox as leader
from tradewind.scheduler.inbox import Lost
from tradewind.testing.simulation.planted.patches import Bug, bug, instead

Wrong = Callable[..., Any]


def _any_token(report: Wrong) -> Wrong:
    def reported(self: Any, outcome: Outcome, now: datetime) -> Any:
        instance = self.instance(outcome.instance_id)
        if instance is not None and instance.state is TaskState.RUNNING:
            outcome = msgspec.structs.replace(outcome, token=instance.token)
        return report(self, outcome, now)

    return reported


def _taken_again(claim: Wrong) -> Wrong:
    def claimed(self: Any, *arguments: Any) -> Claim:
        verdict: Claim = claim(self, *arguments)
        return Claim.GRANTED if verdict is Claim.TAKEN else verdict

    return claimed


def _costly_loss(lose: Wrong) -> Wrong:
    def lost(self: Any, instance: Any, *arguments: Any) -> Any:
        result = lose(self, instance, *arguments)
        instance.try_number += 1
        return result

    return lost


def _by_age(look: Wrong) -> Wrong:
    """Take everything for lost that runs for longer than a lease: heartbeats are not read."""

    def looked(self: Any, now: datetime) -> None:
        look(self, now)
        for pool in self.world.admission.pools.values():
            for held in pool.holders.values():
                started = held.started_at
                if held.state is TaskState.RUNNING and (now - started).total_seconds() > LEASE_SECONDS:
                    self._inbox.lose(Lost(held.id, held.token, "it was not heard of"))

    return looked


def _never_stop(beats: Wrong) -> Wrong:
    def answered(self: Any, asked: Any) -> Any:
        return tuple(msgspec.structs.replace(reply, stop=None) for reply in beats(self, asked))

    return answered


def _unarchived(_archive: Wrong) -> Wrong:
    def archived(self: Any, *arguments: Any) -> None:
        """Keep nothing."""

    return archived


BUGS: Final[tuple[Bug, ...]] = (
    bug(
        "missing fence",
        "a report is taken for whichever attempt runs now",
        inbox.Inbox,
        "report",
        _any_token,
    ),
    bug(
        "claim without state check",
        "an attempt that runs is given to the next one who asks",
        inbox.Inbox,
        "claim",
        _taken_again,
    ),
    bug("retry consumed by a loss", "a lost attempt counts as a try", inbox.Inbox, "_lose", _costly_loss),
    bug(
        "stale report taken for a repeated one",
        "whoever reports late is told that it was recorded",
        inbox,
        "judge_ended",
        instead(lambda *_: ReportVerdict.DUPLICATE),
    ),
    bug(
        "stale heartbeat accepted",
        "a worker whose attempt has lost its right is not told so when it beats",
        leader.Inbox,
        "_beats",
        _never_stop,
    ),
    bug("attempt not archived", "attempts leave no trace", inbox.Inbox, "archive", _unarchived),
    bug(
        "reaper acts on a stale read",
        "an attempt that runs for longer than a lease is taken for lost, whatever its heartbeats",
        engine.Engine,
        "look_for_lost",
        _by_age,
    ),
)
