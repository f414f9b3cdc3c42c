"""Which DAGs a file makes: every DAG object created while the file is imported, kept in a variable or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tradewind.authoring.dag import DAG
from tradewind.authoring.scope import Collected, detached, open_collection


class Collection(list[DAG]):
    """The DAGs made, in order; ``uncalled``: ``@dag`` functions that the file did not call -> their line."""

    uncalled: dict[str, int | None]
    file: str | None


@contextmanager
def collecting(file: str | None = None) -> Iterator[Collection]:
    """Collect the DAGs that are made here; the list is complete when the block ends, errors included.

    ``file`` is the DAG file that is imported, as its code objects name it: its DAGs belong to it even when a helper
    module makes them. DAGs with ``auto_register=False`` are left out.
    """
    collected = Collected(file)
    found = Collection()
    found.uncalled, found.file = collected.uncalled, file
    with detached(), open_collection(collected):
        try:
            yield found
        finally:
            found.extend(cast("list[DAG]", collected.dags))
