"""Task logs: where they lie, how they are written while they grow, how they are read."""

from tradewind.runtime.logs.keys import log_key, run_prefix
from tradewind.runtime.logs.store import FileLogStore
from tradewind.runtime.logs.stream import AttemptLog

__all__ = ["AttemptLog", "FileLogStore", "log_key", "run_prefix"]
