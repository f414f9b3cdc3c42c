"""The decision: one pure function from the world and the time to everything that has to happen now."""

from tradewind.domain.decide.decision import Decision, Dispatch, decide
from tradewind.domain.decide.schedule import RUN_PKS_RESERVE, RUNS_PER_TICK_MAX

__all__ = ["RUNS_PER_TICK_MAX", "RUN_PKS_RESERVE", "Decision", "Dispatch", "decide"]
