"""Every kind of event that the code writes is in the table, and the table has no other."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tidy.source import ROOT
from tradewind.domain.event_kinds import EVENT_KINDS

SOURCES = ROOT / "core" / "src" / "tradewind"
FAMILIES = ("dag.", "file.", "run.", "task.", "pool.", "connection.", "variable.", "act.")
# Names of the same form that are no kinds of events: what `authorize` is asked for, and columns.
NO_EVENTS = {
    *(f"dag.{act}" for act in ("pause", "unpause", "delete", "trigger", "dag_id")),
    *(f"run.{act}" for act in ("cancel", "pause", "resume", "mark", "clear", "pk", "sh")),
    *(f"task.{act}" for act in ("clear", "mark", "hold", "release")),
}


def literals(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(FAMILIES)
    }


def acts(path: Path) -> set[str]:
    """Return the acts of people: the first argument of each ``Act(…)``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        f"act.{node.args[0].value!s}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Act"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_kind_that_is_written_has_a_meaning() -> None:
    parts = ("domain", "metastore", "scheduler", "dagbag", "api")
    written: set[str] = set()
    for part in parts:
        for path in (SOURCES / part).rglob("*.py"):
            if path.name != "event_kinds.py":
                written |= {text for text in literals(path) if " " not in text and text.count(".") == 1}
                written |= acts(path)
    kinds = {text for text in written - NO_EVENTS if not text.endswith(".")}
    assert kinds - EVENT_KINDS.keys() == set()
    assert {kind for kind in EVENT_KINDS if kind.startswith(("dag.", "file.", "pool."))} <= written
