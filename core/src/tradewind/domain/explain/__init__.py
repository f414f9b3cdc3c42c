"""Explanations: for whatever waits, every reason, as a colleague who looked it up would say it.

They are made from rows (:class:`Facts`), not from the scheduler's memory: the command line and the web
answer them without asking the scheduler, and also while none runs. The rules, limits and graphs they use are
those that decide.
"""

from __future__ import annotations

from tradewind.domain.explain.facts import ExecutorFacts, Facts
from tradewind.domain.explain.instance import explain_instance, explain_unfinished
from tradewind.domain.explain.run import explain_dag, explain_run

__all__ = ["ExecutorFacts", "Facts", "explain_dag", "explain_instance", "explain_run", "explain_unfinished"]
