"""DAG files and versions of the in-memory metastore."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from tradewind.domain.records import DagRow, EventRow
from tradewind.domain.spec import DagSpec
from tradewind.metastore.dag_files import ACTOR, owned
from tradewind.metastore.rows import TRACEBACK_CHARS_MAX, clean_text
from tradewind.testing.memory.commit import add_events
from tradewind.testing.memory.tables import Tables, Version


def save_file(
    tables: Tables,
    file: str,
    source: bytes,
    specs: Sequence[tuple[DagSpec, str]],
    now: datetime,
    at: datetime,
    *,
    pause_new: bool = False,
) -> list[tuple[str, int, bool]]:
    """Store the DAGs of a file; ``now`` is the caller's time, ``at`` the database's, for the events."""
    for dag_id in sorted(spec.dag_id for spec, _hash in specs):
        row = tables.dags.get(dag_id)
        if row is not None and row.file != file and row.missing_since_at is None and not row.retired:
            raise owned(dag_id, file, row.file)
    sha = hashlib.sha256(source).hexdigest()
    tables.sources[sha] = source
    tables.files[file] = sha
    events: list[EventRow] = []
    saved = [
        _save_dag(tables, file, sha, spec, spec_hash, now, events, paused=spec.paused or pause_new)
        for spec, spec_hash in specs
    ]
    miss(tables, file, {spec.dag_id for spec, _hash in specs}, now, events)
    if tables.import_errors.pop(file, None) is not None:
        events.append(event("file.repaired", None, file=file))
    add_events(tables, tuple(events), at)
    return saved


def _save_dag(
    tables: Tables,
    file: str,
    sha: str,
    spec: DagSpec,
    spec_hash: str,
    now: datetime,
    events: list[EventRow],
    *,
    paused: bool,
) -> tuple[str, int, bool]:
    row = tables.dags.get(spec.dag_id)
    if row is None:
        version = _add_version(tables, 1, file, sha, spec, spec_hash, now)
        tables.dags[spec.dag_id] = DagRow(
            dag_id=spec.dag_id,
            file=file,
            version_id=version.id,
            version_number=1,
            first_seen_at=now,
            paused=paused,
        )
        events.append(event("dag.added", spec.dag_id, file=file, version=1))
        return spec.dag_id, version.id, True
    version = tables.versions[row.version_id]
    new = version.hash != spec_hash
    if new:
        version = _add_version(tables, row.version_number + 1, file, sha, spec, spec_hash, now)
        events.append(event("dag.version", spec.dag_id, file=file, version=version.number))
    elif (version.file, version.sha) != (file, sha):
        version.file, version.sha, version.spec = file, sha, spec
        events.append(event("dag.source", spec.dag_id, file=file, version=version.number, sha=sha))
    if row.missing_since_at is not None or row.retired:
        events.append(event("dag.restored", spec.dag_id, file=file))
    tables.dags[spec.dag_id] = msgspec.structs.replace(
        row,
        file=file,
        version_id=version.id,
        version_number=version.number,
        missing_since_at=None,
        retired=False,
        failing_since_at=None,
    )
    return spec.dag_id, version.id, new


def _add_version(
    tables: Tables, number: int, file: str, sha: str, spec: DagSpec, spec_hash: str, now: datetime
) -> Version:
    version = Version(tables.bump("version", 1), number, spec_hash, spec, file, sha, now)
    tables.versions[version.id] = version
    return version


def miss(tables: Tables, file: str, defined: set[str], now: datetime, events: list[EventRow]) -> None:
    """Mark the DAGs missing that the file does not define (any more)."""
    for dag_id, row in sorted(tables.dags.items()):
        here = row.file == file and row.missing_since_at is None and not row.retired
        if here and dag_id not in defined:
            tables.dags[dag_id] = msgspec.structs.replace(row, missing_since_at=now)
            events.append(event("dag.missing", dag_id, file=file))


def save_import_error(
    tables: Tables, file: str, error: tuple[int | None, str, str], now: datetime, at: datetime
) -> None:
    """Record that a file does not parse."""
    line, message = error[0], clean_text(error[1])
    traceback = clean_text(error[2], TRACEBACK_CHARS_MAX)
    known = tables.import_errors.get(file)
    if known is not None and known[:3] == (line, message, traceback):
        return
    tables.import_errors[file] = (line, message, traceback, now if known is None else known[3])
    _failing(tables, file, now)
    add_events(tables, (event("file.failing", None, file=file, line=line, message=message),), at)


def clear_import_error(tables: Tables, file: str, at: datetime) -> None:
    """Forget a file's import error."""
    if tables.import_errors.pop(file, None) is not None:
        _failing(tables, file, None)
        add_events(tables, (event("file.repaired", None, file=file),), at)


def _failing(tables: Tables, file: str, since: datetime | None) -> None:
    for dag_id, row in tables.dags.items():
        if row.file == file and (since is None or row.failing_since_at is None):
            tables.dags[dag_id] = msgspec.structs.replace(row, failing_since_at=since)


def event(kind: str, dag_id: str | None, **data: str | int | None) -> EventRow:
    """Return an event of the DAG processor."""
    return EventRow(kind=kind, dag_id=dag_id, actor=ACTOR, data=dict(data))
