"""Assets: names of data that tasks produce, and expressions of them that start runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tradewind.authoring.place import author_place
from tradewind.domain.timetable import parse_schedule
from tradewind.domain.timetable.spec import AssetOrTimeSpec, AssetSpec, TimeSpec
from tradewind.errors import ArgumentError, ScheduleError

ASSET_CHARS_MAX = 1500  # of a name or URI; both are indexed columns


class AssetExpression:
    """Assets joined by ``&`` and ``|``; accepted as ``schedule=``."""

    def to_expr(self) -> dict[str, Any]:
        """Return the stored form: ``{"asset": name}``, ``{"all": [...]}`` or ``{"any": [...]}``."""
        raise NotImplementedError

    def to_spec(self, timezone: str = "UTC") -> AssetSpec:
        """Return the schedule that this is when it stands alone."""
        return AssetSpec(self.to_expr())

    def __and__(self, other: AssetExpression) -> AssetExpression:
        return _join(AssetAll, self, other)

    def __or__(self, other: AssetExpression) -> AssetExpression:
        return _join(AssetAny, self, other)


@dataclass(frozen=True, slots=True)
class Asset(AssetExpression):
    """A piece of data, known by its ``uri``; ``name`` (default: the URI) is what people and events call it.

    Raises ArgumentError for an empty or too long name or URI, or one with control characters.
    """

    uri: str
    name: str = ""
    group: str = ""
    extra: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        if self.name == "":
            object.__setattr__(self, "name", self.uri)
        for what, text in (("uri", self.uri), ("name", self.name)):
            if not isinstance(text, str) or not text or len(text) > ASSET_CHARS_MAX or not text.isprintable():
                place = author_place()
                raise ArgumentError(
                    f"The {what} of an Asset is {text!r:.60}. It needs 1 to {ASSET_CHARS_MAX} printable "
                    'characters, such as Asset("s3://bucket/key").',
                    file=place.file,
                    line=place.line,
                )

    def to_expr(self) -> dict[str, Any]:
        return {"asset": self.name}


@dataclass(frozen=True, slots=True)
class AssetAll(AssetExpression):
    """Each of ``parts`` has news."""

    parts: tuple[AssetExpression, ...]

    def to_expr(self) -> dict[str, Any]:
        return {"all": [part.to_expr() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class AssetAny(AssetExpression):
    """One of ``parts`` has news."""

    parts: tuple[AssetExpression, ...]

    def to_expr(self) -> dict[str, Any]:
        return {"any": [part.to_expr() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class AssetOrTime:
    """Runs from asset events and from a time schedule: ``AssetOrTime(a & b, "0 6 * * *")``."""

    assets: AssetExpression
    schedule: Any

    def to_spec(self, timezone: str = "UTC") -> AssetOrTimeSpec:
        """Return the stored form; raises ScheduleError when ``schedule`` is not a time schedule."""
        time = parse_schedule(self.schedule, timezone=timezone)
        if time is None or isinstance(time, AssetSpec | AssetOrTimeSpec):
            raise ScheduleError(
                "AssetOrTime(assets, schedule) needs a time schedule, such as a cron, as its second."
            )
        chosen: TimeSpec = time
        return AssetOrTimeSpec(self.assets.to_expr(), chosen)


def _join(kind: type[AssetAll | AssetAny], left: AssetExpression, right: Any) -> AssetExpression:
    if not isinstance(right, AssetExpression):
        place = author_place()
        raise ArgumentError(
            f"& and | join assets, not {type(right).__name__} ({right!r:.60}).",
            file=place.file,
            line=place.line,
        )
    # a & b & c is one level, so that how it was typed does not change the stored form
    left_parts = left.parts if isinstance(left, kind) else (left,)
    right_parts = right.parts if isinstance(right, kind) else (right,)
    return kind((*left_parts, *right_parts))
