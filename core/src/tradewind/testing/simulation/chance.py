"""The one source of chance: a number gives the same choices for ever, on every version of Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_MASK: Final = 2**64 - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15


class Chance:
    """A stream of choices (SplitMix64). ``fork`` gives a stream that does not disturb this one."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """Return 64 random bits."""
        self._state = (self._state + _GOLDEN) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def number(self) -> float:
        """Return a number in [0, 1)."""
        return (self.bits() >> 11) * 2.0**-53

    def happens(self, probability: float) -> bool:
        """Return True that often."""
        return self.number() < probability

    def between(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.number()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number, both ends included."""
        return low + self.bits() % (high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of them."""
        return choices[self.bits() % len(choices)]

    def some(self, choices: Sequence[T], probability: float) -> list[T]:
        """Return those that chance takes, each with that probability, in order."""
        return [one for one in choices if self.happens(probability)]

    def weighted(self, choices: Sequence[tuple[float, T]]) -> T:
        """Return one of them as often as its weight says."""
        rest = self.number() * sum(weight for weight, _ in choices)
        for weight, choice in choices:
            rest -= weight
            if rest < 0:
                return choice
        return choices[-1][1]

    def fork(self, salt: int = 0) -> Chance:
        """Return a new stream."""
        return Chance(self.bits() ^ (salt * _GOLDEN))
