"""DAG -> DagSpec: the compiled, hashed form, or all errors of the DAG together, each with its file and line.

``compile_dag`` promises: the same file gives the same hash in every process; moving a DAG within its file, comments
and blank lines change nothing; a change of a schedule, an option, an argument, an edge, or of the code that a task
runs does.
"""

from __future__ import annotations

from tradewind.authoring.compile.dag import compile_dag
from tradewind.authoring.compile.file import CompiledFile, compile_file
from tradewind.authoring.compile.findings import CompileErrors

__all__ = ["CompileErrors", "CompiledFile", "compile_dag", "compile_file"]
