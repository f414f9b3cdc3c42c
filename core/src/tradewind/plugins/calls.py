"""Calls plugins one by one, each guarded and timed: one that keeps failing is muted, the others go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import msgspec

CALL_SECONDS_MAX = 1.0  # a hook is for noting and deciding; whoever needs longer starts a thread or a task
FAILURES_MAX = 5  # in a row; the next ones would fail too, and fill the log

log = logging.getLogger("tradewind.plugins")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one plugin, for ``plugins trace``."""

    plugin: str
    hook: str
    seconds: float
    error: str | None = None


class CallStats(msgspec.Struct, kw_only=True):
    """What is known of a plugin's calls since this process started."""

    calls: int = 0
    failures: int = 0
    failures_in_a_row: int = 0
    seconds: float = 0.0
    seconds_max: float = 0.0
    last_call_seconds: float = 0.0
    last_error: str | None = None
    muted: bool = False


class PluginFailure(Exception):
    """A plugin's function raised; ``__cause__`` is what it raised."""


class Calls:
    """Runs plugin functions. ``listener`` is told of each call."""

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        listener: Callable[[Call], None] | None = None,
    ) -> None:
        self._monotonic = monotonic
        self.listener = listener
        self.stats: dict[str, CallStats] = {}

    def stats_of(self, plugin: str) -> CallStats:
        """Return the live statistics of a plugin."""
        return self.stats.setdefault(plugin, CallStats())

    def strict(self, plugin: str, hook: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns; raises :class:`PluginFailure` from whatever it raises."""
        stats = self.stats_of(plugin)
        started = self._monotonic()
        error: str | None = None
        try:
            return function(*arguments)
        except Exception as caught:  # whatever a plugin raises is that plugin's failure
            error = f"{type(caught).__name__}: {caught}"
            raise PluginFailure(error) from caught
        finally:
            seconds = self._monotonic() - started
            self._note(stats, Call(plugin=plugin, hook=hook, seconds=seconds, error=error))

    def guarded(self, plugin: str, hook: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns; None when it raises or the plugin is muted. Never raises."""
        stats = self.stats_of(plugin)
        if stats.muted:
            return None
        try:
            answer = self.strict(plugin, hook, function, *arguments)
        except PluginFailure as failure:
            self._failed(plugin, hook, stats, str(failure), failure.__cause__)
            return None
        if stats.last_call_seconds > CALL_SECONDS_MAX:
            text = (
                f"took {stats.last_call_seconds:.1f} s, more than the {CALL_SECONDS_MAX:g} s a hook may take"
            )
            self._failed(plugin, hook, stats, text, None)
        else:
            stats.failures_in_a_row = 0
        return answer

    def _note(self, stats: CallStats, call: Call) -> None:
        stats.calls += 1
        stats.seconds += call.seconds
        stats.last_call_seconds = call.seconds
        stats.seconds_max = max(stats.seconds_max, call.seconds)
        if call.error is not None:
            stats.failures += 1
            stats.last_error = f"{call.hook}: {call.error}"
        if self.listener is not None:
            self.listener(call)

    def _failed(
        self, plugin: str, hook: str, stats: CallStats, text: str, cause: BaseException | None
    ) -> None:
        if cause is None:
            stats.failures += 1
            stats.last_error = f"{hook}: {text}"
        stats.failures_in_a_row += 1
        log.warning("Plugin %s failed in %s: %s", plugin, hook, text, exc_info=cause)
        if stats.failures_in_a_row >= FAILURES_MAX:
            stats.muted = True
            log.error(
                "Plugin %s is muted: it failed %d times in a row. Mend it and restart; `tradewind plugins check %s`"
                " shows what is wrong.",
                plugin,
                FAILURES_MAX,
                plugin,
            )
