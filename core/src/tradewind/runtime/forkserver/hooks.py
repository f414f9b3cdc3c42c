"""Keeps at-fork hooks that a single-threaded parent does not need out of the way of its forks.

``logging`` and ``threading`` make every fork repair their locks in the child, in case another thread held one.
A fork server has one thread and forks outside of both, so there is nothing to repair; touching all these
objects would copy some 150 pages of memory per attempt, a fifth of its whole cost. What is registered is
therefore kept here: all of it runs around the forks of an attempt, but around those of its server only what other
modules registered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

_NEEDLESS = frozenset({"logging", "threading"})  # for a parent with one thread

_Hooks = dict[str, Callable[[], Any]]
_all: list[_Hooks] = []
_needed: list[_Hooks] = []
_serving = _needed  # what runs: another list in an attempt


def keep_aside() -> None:
    """From now on keep what is registered; call it before anything imports ``logging`` or ``threading``."""
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
    os.register_at_fork = _keep  # type: ignore[assignment]


def be_ordinary() -> None:
    """Run all hooks again: this process is an attempt, user code may fork it whatever its threads do."""
    global _serving  # noqa: PLW0603 - a fact of this process
    _serving = _all


def _keep(**hooks: Callable[[], Any]) -> None:
    _all.append(hooks)
    if not {getattr(hook, "__module__", None) for hook in hooks.values()} <= _NEEDLESS:
        _needed.append(hooks)


def _before() -> None:
    if _serving:
        _run("before", reversed(_serving))


def _in_parent() -> None:
    if _serving:
        _run("after_in_parent", _serving)


def _in_child() -> None:
    if _serving:
        _run("after_in_child", _serving)


def _run(moment: str, registered: Iterable[_Hooks]) -> None:
    for hooks in registered:
        if moment in hooks:
            hooks[moment]()
