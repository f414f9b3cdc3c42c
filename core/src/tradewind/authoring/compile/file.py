"""All DAGs of one file: compiled one by one, and held against each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tradewind.authoring.compile.dag import compile_dag
from tradewind.authoring.compile.findings import CompileErrors
from tradewind.authoring.dag import DAG
from tradewind.authoring.place import AuthorWarning
from tradewind.domain.spec import DagSpec
from tradewind.errors import AuthorError, DuplicateIdError


@dataclass(slots=True)
class CompiledFile:
    """What a file's DAGs compiled to: (spec, hash) of each that is right, and everything that was found."""

    dags: list[tuple[DagSpec, str]] = field(default_factory=list)
    errors: list[AuthorError] = field(default_factory=list)
    warnings: list[AuthorWarning] = field(default_factory=list)


def compile_file(dags: Iterable[DAG], *, folder: str | Path | None = None) -> CompiledFile:
    """Compile what ``registry.collecting`` found in a file.

    Two DAGs of one id are an error that names both lines. A ``@dag`` function that was never called is a warning.
    """
    made = CompiledFile()
    seen: dict[str, DAG] = {}
    for dag in dags:
        first = seen.setdefault(str(dag.dag_id), dag)
        if first is not dag:
            made.errors.append(
                DuplicateIdError(
                    f'The dag_id "{dag.dag_id}" is given twice: {first.place} and {dag.place}. Rename one of them.',
                    file=dag.place.file,
                    line=dag.place.line,
                )
            )
            continue
        try:
            made.dags.append(compile_dag(dag, folder=folder))
        except CompileErrors as error:
            made.errors.extend(error.errors)
        made.warnings.extend(dag.warnings)
    for name, line in getattr(dags, "uncalled", {}).items():
        text = f"@dag makes {name}() a DAG only when it is called. Add {name}() at the end of the file."
        made.warnings.append(AuthorWarning(text, getattr(dags, "file", None), line))
    return made
