"""Planted faults of a metastore: each verb passes through weather before and after it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from tradewind.ports.metastore import Metastore


class Weather(Protocol):
    """What may happen around a verb. Both calls may raise, and may let other parties act meanwhile."""

    def before(self, verb: str) -> None:
        """Stand before a verb: an error here means that nothing was done."""
        ...

    def after(self, verb: str) -> None:
        """Stand after a verb: an error here means that it was done, but nobody was told."""
        ...


class FaultyMetastore:
    """Every verb of a metastore, with weather around it."""

    def __init__(self, store: Metastore, weather: Weather) -> None:
        self._store = store
        self._weather = weather

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = getattr(self._store, name)
        weather = self._weather

        def call(*arguments: Any, **named: Any) -> Any:
            weather.before(name)
            result = verb(*arguments, **named)
            weather.after(name)
            return result

        self.__dict__[name] = call
        return call


def with_weather(store: Metastore, weather: Weather) -> Metastore:
    """Return the metastore as seen through weather; clones made of it have none."""
    return cast("Metastore", FaultyMetastore(store, weather))
