"""Names: which run, DAG and task ids are allowed, and the run_id that a run gets when nobody gives one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from tradewind.domain.records import RunType
from tradewind.errors import LimitError

RUN_ID_CHARS_MAX = 250  # an id is part of keys and paths: file systems allow names of 255 bytes
DAG_ID_CHARS_MAX = 250
TASK_ID_CHARS_MAX = 250
SAME_INSTANT_RUNS_MAX = 1_000  # runs made without a run_id for one instant; more is a loop gone wild

_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]+", re.ASCII)
_DAG_ID = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)


def make_run_id(run_type: RunType, logical_date: datetime, taken: Callable[[str], bool]) -> str:
    """Return ``<type>__<logical date in ISO UTC>``, with ``_2``, ``_3`` … appended while ``taken`` says so.

    ``logical_date`` is aware. ``LimitError`` when a thousand runs of that instant exist.
    """
    plain = f"{run_type.value}__{logical_date.astimezone(UTC).isoformat()}"
    if not taken(plain):
        return plain
    for number in range(2, SAME_INSTANT_RUNS_MAX + 1):
        numbered = f"{plain}_{number}"
        if not taken(numbered):
            return numbered
    raise LimitError(
        f"there are {SAME_INSTANT_RUNS_MAX:,} runs {plain} already; give a run_id of your own to make another"
    )


def check_run_id(text: str) -> str:
    """Return ``text`` if it may be a run_id; ``ValueError`` says what is wrong with it otherwise."""
    return _checked("run_id", text, _RUN_ID, RUN_ID_CHARS_MAX, "letters A-Z a-z, digits and _ . ~ : + -")


def check_dag_id(text: str) -> str:
    """Return ``text`` if it may be a dag_id; ``ValueError`` says what is wrong with it otherwise."""
    return _checked("dag_id", text, _DAG_ID, DAG_ID_CHARS_MAX, "letters A-Z a-z, digits and _ . -")


def check_task_id(text: str) -> str:
    """Return ``text`` if it may be a full task id; ``ValueError`` says what is wrong with it otherwise.

    Dots separate group prefixes.
    """
    return _checked("task_id", text, _DAG_ID, TASK_ID_CHARS_MAX, "letters A-Z a-z, digits and _ . -")


def _checked(kind: str, text: str, allowed: re.Pattern[str], chars_max: int, words: str) -> str:
    if not text:
        raise ValueError(f"a {kind} cannot be empty; give 1 to {chars_max} characters of {words}")
    if len(text) > chars_max:
        raise ValueError(
            f"the {kind} {text[:40]!r}… has {len(text):,} characters; at most {chars_max} are allowed"
        )
    if text in {".", ".."}:
        raise ValueError(f"the {kind} {text!r} names a folder; give it another name")
    match = allowed.match(text)
    end = match.end() if match else 0
    if end < len(text):
        raise ValueError(f"the {kind} {text!r} has {text[end]!r} at position {end + 1}; allowed are {words}")
    return text
