"""Imports a DAG file as task processes do: as a module of its own, its folder importable."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from tradewind.authoring.dag import DAG
from tradewind.authoring.registry import Collection, collecting
from tradewind.errors import NotFoundError
from tradewind.hookspecs import TemplateName
from tradewind.plugins.task_engine import add_names
from tradewind.runtime.forkserver.load import module_name


def import_file(folder: str, file: str, source: bytes) -> Collection:
    """Run a file's text and return the DAGs it made; raises whatever the file raises.

    ``file`` is relative to ``folder``, which becomes importable. Text that is not UTF-8 raises ``UnicodeDecodeError``.
    """
    path = f"{folder}/{file}"
    text = source.decode()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Tracebacks must quote the text that ran, whatever lies there now.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    name = module_name(file)
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with collecting(path) as dags:
        exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - that is its purpose
    return dags


def load_dag_in_process(
    file: Path, dag_id: str, *, folder: Path | None = None, names: Sequence[TemplateName] = ()
) -> DAG:
    """Return a DAG of a file, imported in this process: for ``dags test``, never in a server.

    ``folder`` is the DAG folder; without it, or when the file lies elsewhere, the file's own folder is taken.
    ``names`` are the plugins' template names: :meth:`tradewind.plugins.Registry.template_names`.

    Raises:
        NotFoundError: the file makes no DAG of that id; the text names those it makes.
        Exception: whatever the file raises.
    """
    place, name = split_path(file, folder)
    dags = import_file(str(place), name, file.read_bytes())
    for dag in dags:
        if dag.dag_id == dag_id:
            add_names(dag, names)
            return dag
    known = ", ".join(sorted(str(dag.dag_id) for dag in dags)) or "none"
    raise NotFoundError(f'{file} makes no DAG "{dag_id}". It makes: {known}.')


def split_path(file: Path, folder: Path | None) -> tuple[Path, str]:
    """Return the folder a file is imported from, and its name in it."""
    absolute = file.absolute()
    if folder is not None and absolute.is_relative_to(folder.absolute()):
        return folder.absolute(), absolute.relative_to(folder.absolute()).as_posix()
    return absolute.parent, absolute.name
