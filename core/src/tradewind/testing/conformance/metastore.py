"""The conformance suite of the metastore: inherit, give a fixture ``store``, and run with pytest.

::

    class TestMyMetastore(MetastoreConformance):
        @pytest.fixture
        def store(self) -> Iterator[Metastore]:
            yield an_empty_metastore()
"""

from __future__ import annotations

from tradewind.testing.conformance.metastore_commit import CommitConformance
from tradewind.testing.conformance.metastore_concurrency import ConcurrencyConformance
from tradewind.testing.conformance.metastore_reads import ReadConformance
from tradewind.testing.conformance.metastore_values import FileConformance, ValueConformance


class MetastoreConformance(
    CommitConformance, ReadConformance, FileConformance, ValueConformance, ConcurrencyConformance
):
    """All cases. Each gets a fresh, empty ``store``; those of concurrency use its clones in threads."""
