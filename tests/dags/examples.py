"""Runs the example DAGs as a test run does: in this process, on a virtual clock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.tidy.source import ROOT
from tradewind.dagbag import load_dag_in_process
from tradewind.testing.dag_result import DagTestResult

FOLDER = ROOT / "dags"
AT = datetime(2026, 3, 1, 6, tzinfo=UTC)


def example_files() -> list[Path]:
    """Return the example files; each makes one DAG, named as the file."""
    return sorted(FOLDER.glob("*.py"))


def run(dag_id: str, **conf: Any) -> DagTestResult:
    """Run an example for 1 March 2026, 06:00 UTC, with the given parameters."""
    dag = load_dag_in_process(FOLDER / f"{dag_id}.py", dag_id, folder=FOLDER)
    result: DagTestResult = dag.test(at=AT, conf=conf, quiet=True)
    return result
