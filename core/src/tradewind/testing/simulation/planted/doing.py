"""Planted bugs of the loop: commits, answers, the feed, leadership, dispatches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from tradewind.api import runtime
from tradewind.errors import MetastoreUnavailableError
from tradewind.metastore import apply
from tradewind.runtime.wire import Replies, encode_replies
from tradewind.scheduler import engine, feed, inbox
from tradewind.testing.memory import commit as memory
from tradewind.testing.simulation.planted.patches import Bug, bug, instead, replaced

Wrong = Callable[..., Any]


def _reply_to_all(self: Any) -> None:
    for item in self._pending:
        replies = Replies(claims=tuple(item.claims), reports=tuple(item.reports))
        item.executor.reply(item.call.channel, item.call.sequence, encode_replies(replies))


def _answers_first(apply_all: Wrong) -> Wrong:
    def applied(self: Any, world: Any, now: datetime) -> None:
        apply_all(self, world, now)
        _reply_to_all(self)

    return applied


def _answers_anyway(forget: Wrong) -> Wrong:
    def forgotten(self: Any) -> None:
        _reply_to_all(self)
        self._pending.clear()
        forget(self)

    return forgotten


def _drops_all(keep: Wrong) -> Wrong:
    def dropped(self: Any) -> None:
        keep(self)
        self._pending.clear()

    return dropped


def _keeps_its_world(turn: Wrong) -> Wrong:
    def turned(self: Any, now: datetime, *, read_feed: bool) -> Any:
        try:
            return turn(self, now, read_feed=read_feed)
        except MetastoreUnavailableError:
            self._needs_rebuild = False
            raise

    return turned


def _skips_one(follow: Wrong) -> Wrong:
    def followed(self: Any, world: Any) -> bool:
        found: bool = follow(self, world)
        self._seen += found
        return found

    return followed


def _finds_nobody(look: Wrong) -> Wrong:
    def looked(self: Any, now: datetime) -> None:
        look(self, now)
        self._inbox._lost.clear()  # noqa: SLF001 - a bug has no manners

    return looked


class _NoRace:
    """Nothing is ever an instance of this."""


@contextmanager
def _no_terms() -> Iterator[None]:
    with ExitStack() as stack:
        for module in (memory, apply):
            stack.enter_context(replaced(module, "check_term", lambda *_: None))
        yield


@contextmanager
def _no_guards() -> Iterator[None]:
    with replaced(memory, "_instance_holds", lambda *_: True):
        yield


@contextmanager
def _no_counts() -> Iterator[None]:
    right = apply._instances  # noqa: SLF001 - a bug has no manners

    def statements(*arguments: Any) -> Any:
        return [statement._replace(exact=False) for statement in right(*arguments)]

    with replaced(apply, "_instances", statements):
        yield


BUGS: Final[tuple[Bug, ...]] = (
    bug(
        "answered before the commit",
        "claims and reports are answered as soon as the world has taken them",
        inbox.Inbox,
        "apply",
        _answers_first,
    ),
    bug(
        "outcome dropped on a lost reply",
        "when the commit fails, whoever asked is answered as if it had not",
        inbox.Inbox,
        "keep_unanswered",
        _answers_anyway,
    ),
    bug(
        "calls dropped while the database is away",
        "what workers had asked is forgotten, and on the same connection they do not ask again",
        inbox.Inbox,
        "keep_unanswered",
        _drops_all,
    ),
    bug(
        "world kept after an unknown commit",
        "the world is not built anew when nobody knows whether it was written",
        engine.Engine,
        "turn",
        _keeps_its_world,
    ),
    bug(
        "lost race ignored by the engine",
        "what others have changed is not read again",
        engine.Engine,
        "_lost_race",
        instead(lambda *_: None),
    ),
    bug(
        "lost race ignored by the runtime API",
        "a claim or report that was not written is answered as if it were",
        runtime,
        "LostRace",
        instead(_NoRace),
    ),
    bug("event cursor skips one", "after each read one event is left out", feed.Feed, "follow", _skips_one),
    bug(
        "cancel not delivered",
        "workers are not told which attempts must end",
        engine.Engine,
        "_cancel",
        instead(lambda *_: None),
    ),
    bug(
        "lost launch not sent again",
        "a queued attempt that nobody claims is dispatched only once",
        engine,
        "RESEND_AFTER",
        instead(timedelta(days=9)),
    ),
    bug(
        "expired leases not looked for",
        "an attempt whose worker died runs for ever",
        engine.Engine,
        "look_for_lost",
        _finds_nobody,
    ),
    Bug("term not checked", "a leader of yesterday may write", _no_terms),
    Bug("lost race not noticed", "nobody counts how many rows an UPDATE has matched", _no_counts, "sqlite"),
    Bug("guard not checked", "an instance is written whatever its row has become", _no_guards),
)
