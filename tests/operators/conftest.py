"""One task run in a DAG of its own, with the real decisions and a clock that jumps."""

from collections.abc import Callable
from typing import Any

import pytest

from tradewind import DAG
from tradewind.testing.dag_result import DagTestResult


@pytest.fixture
def run() -> Callable[..., DagTestResult]:
    """Return a function that makes a DAG of what ``build`` makes in it, and runs it."""

    def run(build: Callable[[], Any], **options: Any) -> DagTestResult:
        with DAG("d", params=options.pop("params", None), **options.pop("dag", {})) as dag:
            build()
        result: DagTestResult = dag.test(**options)
        return result

    return run
