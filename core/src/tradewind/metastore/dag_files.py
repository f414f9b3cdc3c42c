"""DAG files and their versions: what the parser found becomes rows.

A version is a spec with a hash. A file whose text changed but not the hash of a DAG (a comment, the body of a
function the DAG calls) makes no new version: the version's source becomes the new text, so that the next
attempt runs what the author saved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from tradewind.domain.codec import encode
from tradewind.domain.records import EventRow
from tradewind.domain.spec import DagSpec
from tradewind.errors import ConflictError
from tradewind.metastore.apply import insert_events
from tradewind.metastore.instants import from_us, to_us
from tradewind.metastore.races import rows_in
from tradewind.metastore.rows import TRACEBACK_CHARS_MAX, clean_text
from tradewind.metastore.session import Tx
from tradewind.metastore.statements import Insert, values

ACTOR: Final = "dag-processor"

_PUT_SOURCE: Final = Insert("dag_source", values(("sha", "content")), key=("sha",))
_PUT_FILE: Final = Insert("dag_file", values(("file", "sha", "saved_at")), key=("file",))
_OWNED: Final = (
    "SELECT dag_id, file FROM dag WHERE missing_since_at IS NULL AND retired = 0 AND dag_id IN ({ids})"
)


class _Current(NamedTuple):
    """A DAG's row and its current version, as far as saving needs them."""

    file: str
    version_id: int
    version_number: int
    gone: bool  # missing or retired
    failing: bool
    hash: str
    source_sha: str


def save_file(
    tx: Tx,
    file: str,
    source: bytes,
    specs: Sequence[tuple[DagSpec, str]],
    now: datetime,
    *,
    pause_new: bool = False,
) -> list[tuple[str, int, bool]]:
    """Store the DAGs of a file that parsed; see :meth:`tradewind.ports.metastore.Metastore.save_file`."""
    _check_owner(tx, file, specs)
    sha = hashlib.sha256(source).hexdigest()
    now_us = to_us(now)
    _save_source(tx, file, sha, source, now_us)
    events: list[EventRow] = []
    saved = [
        _save_dag(tx, file, sha, spec, spec_hash, now_us, events, paused=spec.paused or pause_new)
        for spec, spec_hash in specs
    ]
    _miss(tx, file, {spec.dag_id for spec, _hash in specs}, now_us, events)
    if tx.run("DELETE FROM import_error WHERE file = ?", (file,)):
        events.append(_event("file.repaired", None, file=file))
    insert_events(tx, tuple(events))
    return saved


def _check_owner(tx: Tx, file: str, specs: Sequence[tuple[DagSpec, str]]) -> None:
    for dag_id, owner in rows_in(tx, _OWNED, sorted(spec.dag_id for spec, _hash in specs)):
        if owner != file:
            raise owned(dag_id, file, owner)


def owned(dag_id: str, file: str, owner: str) -> ConflictError:
    """Return the refusal of a second file with one dag_id."""
    return ConflictError(
        f'DAG "{dag_id}" is defined in two files: {owner} (known since earlier) and {file}. '
        "Rename one of them, or delete the file that is not wanted."
    )


def _save_source(tx: Tx, file: str, sha: str, source: bytes, now_us: int) -> None:
    if tx.one("SELECT 1 FROM dag_source WHERE sha = ?", (sha,)) is None:
        tx.change(_PUT_SOURCE, [(sha, source)])
    tx.change(_PUT_FILE, [(file, sha, now_us)])


def _save_dag(
    tx: Tx,
    file: str,
    sha: str,
    spec: DagSpec,
    spec_hash: str,
    now_us: int,
    events: list[EventRow],
    *,
    paused: bool,
) -> tuple[str, int, bool]:
    current = _current(tx, spec.dag_id)
    if current is None:
        version_id = _next_version_id(tx)
        tx.run(
            "INSERT INTO dag (dag_id, file, version_id, version_number, first_seen_at, paused, held, retired, "
            "revision) VALUES (?, ?, ?, 1, ?, ?, 0, 0, 0)",
            (spec.dag_id, file, version_id, now_us, int(paused)),
        )
        _insert_version(tx, version_id, 1, file, sha, spec, spec_hash, now_us)
        events.append(_event("dag.added", spec.dag_id, file=file, version=1))
        return spec.dag_id, version_id, True
    version_id, number = current.version_id, current.version_number
    new = current.hash != spec_hash
    if new:
        version_id, number = _next_version_id(tx), number + 1
        _insert_version(tx, version_id, number, file, sha, spec, spec_hash, now_us)
        events.append(_event("dag.version", spec.dag_id, file=file, version=number))
    elif (current.file, current.source_sha) != (file, sha):
        _replace_source(tx, version_id, file, sha, spec)
        events.append(_event("dag.source", spec.dag_id, file=file, version=number, sha=sha))
    if new or current.gone or current.failing or current.file != file:
        tx.run(
            "UPDATE dag SET file = ?, version_id = ?, version_number = ?, missing_since_at = NULL, retired = 0, "
            "failing_since_at = NULL WHERE dag_id = ?",
            (file, version_id, number, spec.dag_id),
        )
    if current.gone:
        events.append(_event("dag.restored", spec.dag_id, file=file))
    return spec.dag_id, version_id, new


def _current(tx: Tx, dag_id: str) -> _Current | None:
    row = tx.one(
        "SELECT d.file, d.version_id, d.version_number, d.missing_since_at, d.retired, d.failing_since_at, "
        "v.hash, v.source_sha FROM dag d JOIN dag_version v ON v.id = d.version_id WHERE d.dag_id = ?",
        (dag_id,),
    )
    if row is None:
        return None
    file, version_id, number, missing, retired, failing, spec_hash, sha = row
    gone = missing is not None or bool(retired)
    return _Current(file, version_id, number, gone, failing is not None, spec_hash, sha)


def _next_version_id(tx: Tx) -> int:
    return tx.bump("version", 1)[0]


def _insert_version(
    tx: Tx, version_id: int, number: int, file: str, sha: str, spec: DagSpec, spec_hash: str, now_us: int
) -> None:
    tx.run(
        "INSERT INTO dag_version (id, dag_id, number, hash, spec, file, source_sha, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (version_id, spec.dag_id, number, spec_hash, encode(spec).decode("utf-8"), file, sha, now_us),
    )


def _replace_source(tx: Tx, version_id: int, file: str, sha: str, spec: DagSpec) -> None:
    """Give a version the newest text that means the same; its spec's line numbers follow."""
    tx.run(
        "UPDATE dag_version SET file = ?, source_sha = ?, spec = ? WHERE id = ?",
        (file, sha, encode(spec).decode("utf-8"), version_id),
    )


def _miss(tx: Tx, file: str, defined: set[str], now_us: int, events: list[EventRow]) -> None:
    """Mark the DAGs missing that the file does not define (any more)."""
    found = tx.all(
        "SELECT dag_id FROM dag WHERE file = ? AND missing_since_at IS NULL AND retired = 0", (file,)
    )
    for (dag_id,) in sorted(found):
        if dag_id not in defined:
            tx.run("UPDATE dag SET missing_since_at = ? WHERE dag_id = ?", (now_us, dag_id))
            events.append(_event("dag.missing", dag_id, file=file))


def save_import_error(
    tx: Tx, file: str, message: str, line: int | None, traceback: str, now: datetime
) -> None:
    """Record that a file does not parse; ``since`` stays that of the first failure in a row."""
    now_us = to_us(now)
    text = (clean_text(message), clean_text(traceback, TRACEBACK_CHARS_MAX))
    known = tx.one("SELECT line, message, traceback FROM import_error WHERE file = ?", (file,))
    if known is not None:
        if tuple(known) == (line, *text):
            return
        tx.run(
            "UPDATE import_error SET line = ?, message = ?, traceback = ? WHERE file = ?", (line, *text, file)
        )
    else:
        tx.run(
            "INSERT INTO import_error (file, line, message, traceback, since_at) VALUES (?, ?, ?, ?, ?)",
            (file, line, *text, now_us),
        )
    tx.run("UPDATE dag SET failing_since_at = ? WHERE file = ? AND failing_since_at IS NULL", (now_us, file))
    insert_events(tx, (_event("file.failing", None, file=file, line=line, message=text[0]),))


def clear_import_error(tx: Tx, file: str) -> None:
    """Forget a file's import error; its DAGs no longer count as failing."""
    if tx.run("DELETE FROM import_error WHERE file = ?", (file,)):
        tx.run("UPDATE dag SET failing_since_at = NULL WHERE file = ?", (file,))
        insert_events(tx, (_event("file.repaired", None, file=file),))


def import_errors(tx: Tx) -> list[tuple[str, int | None, str, str, datetime]]:
    """Return (file, line, message, traceback, since), by file."""
    found = tx.all("SELECT file, line, message, traceback, since_at FROM import_error")
    return sorted(
        ((file, line, message, trace, from_us(since)) for file, line, message, trace, since in found),
        key=lambda row: row[0],
    )


def mark_missing(tx: Tx, files: Sequence[str], now: datetime) -> None:
    """Mark the DAGs of vanished files missing and forget their texts, so that a return is parsed again."""
    events: list[EventRow] = []
    for file in sorted(set(files)):
        _miss(tx, file, set(), to_us(now), events)
        tx.run("DELETE FROM dag_file WHERE file = ?", (file,))
    insert_events(tx, tuple(events))


def retire_missing(tx: Tx, before: datetime) -> list[str]:
    """Retire the DAGs missing since before an instant."""
    found = tx.all("SELECT dag_id FROM dag WHERE retired = 0 AND missing_since_at < ?", (to_us(before),))
    ids = sorted(dag_id for (dag_id,) in found)
    if ids:
        tx.many("UPDATE dag SET retired = 1 WHERE dag_id = ?", [(dag_id,) for dag_id in ids])
        insert_events(tx, tuple(_event("dag.retired", dag_id) for dag_id in ids))
    return ids


def files(tx: Tx) -> dict[str, str]:
    """Return file -> SHA-256 of the text that was saved last."""
    return dict(sorted((file, sha) for file, sha in tx.all("SELECT file, sha FROM dag_file")))


def versions(tx: Tx, dag_id: str) -> list[tuple[int, int, str, datetime]]:
    """Return (version id, number, hash, since), newest first."""
    found = tx.all(
        "SELECT id, number, hash, created_at FROM dag_version WHERE dag_id = ? ORDER BY number DESC",
        (dag_id,),
    )
    return [(version_id, number, spec_hash, from_us(since)) for version_id, number, spec_hash, since in found]


def _event(kind: str, dag_id: str | None, **data: str | int | None) -> EventRow:
    return EventRow(kind=kind, dag_id=dag_id, actor=ACTOR, data=dict(data))
