"""How a bug is planted: one attribute of production code is replaced for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tradewind.testing.simulation.stores import StoreKind

Plant = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake that somebody could make in one place."""

    name: str
    what: str  # is wrong, for people
    plant: Plant
    store: StoreKind = "memory"  # where it can be found


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Replace an attribute of a class or module."""
    old = owner.__dict__[name]
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, old)


def bug(name: str, what: str, owner: Any, attribute: str, make: Callable[[Any], Any]) -> Bug:
    """Return a bug in ``owner.attribute``; ``make`` gets the right code and returns the wrong one."""

    def plant() -> AbstractContextManager[None]:
        return replaced(owner, attribute, make(owner.__dict__[attribute]))

    return Bug(name, what, plant)


def instead(new: Any) -> Callable[[Any], Any]:
    """Return what makes ``new`` out of anything."""
    return lambda _old: new
