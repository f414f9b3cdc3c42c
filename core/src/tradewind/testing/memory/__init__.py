"""The metastore in memory, for tests, simulation and ``dag.test()``: same verbs, same guards, no files."""

from tradewind.testing.memory.store import InMemoryMetastore

__all__ = ["InMemoryMetastore"]
