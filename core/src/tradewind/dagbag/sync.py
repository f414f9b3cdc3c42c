"""Stores what files were found to make: policies first, then new versions, errors, and DAGs that are gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tradewind.dagbag.messages import Finding
from tradewind.dagbag.parse import ParsedFile
from tradewind.domain.codec import spec_hash
from tradewind.domain.spec import DagSpec
from tradewind.domain.timetable import TimetableFactory, from_spec
from tradewind.errors import AuthorError, ConflictError
from tradewind.ports.metastore import Metastore

FOLDER = "."  # the file name under which errors of the folder itself are shown
SHOWN_MAX = 20  # errors of a file in its stored message

Log = Callable[[str], None]


class Rules(Protocol):
    """What plugins say about DAGs; :class:`tradewind.plugins.Registry` fulfils it."""

    def apply_policies(self, spec: DagSpec) -> DagSpec:
        """Return the DAG as policies want it; raises AuthorError."""
        ...

    def timetables(self) -> Mapping[str, TimetableFactory]:
        """Return the timetables that DAGs may name."""
        ...


@dataclass(frozen=True, slots=True)
class FileChange:
    """What became of a file's change: ``dags`` (dag_id, version id, new?) or ``errors``; neither: it has no DAGs."""

    file: str
    dags: tuple[tuple[str, int, bool], ...] = ()
    errors: tuple[Finding, ...] = ()


class Sync:
    """Writes to the metastore and knows what is there, so that an unchanged folder costs no query."""

    def __init__(self, store: Metastore, rules: Rules, log: Log, *, pause_new: bool = False) -> None:
        self._pause_new = pause_new
        self._store = store
        self._log = log
        self._rules = rules
        self.saved: set[str] = set(store.files())  # files whose text is stored
        self.failing: set[str] = {error[0] for error in store.import_errors()}
        self._owners = {row.dag_id: row.file for row in store.dags() if row.missing_since_at is None}
        self._folder_message: str | None = None
        self._refused: dict[
            str, ParsedFile
        ] = {}  # another file has their dag_id; tried again when that may be over

    def known_files(self) -> set[str]:
        """Return all files that the metastore knows of."""
        return (self.saved | self.failing | set(self._owners.values())) - {FOLDER}

    def save(self, parsed: ParsedFile, present: Collection[str], now: datetime) -> list[FileChange]:
        """Store a parsed file; ``present`` are the files there are. Returns what changed, other files' too.

        A file that was refused because of another file's dag_id is tried again after each change of a DAG's owner.
        """
        self._refused.pop(parsed.file, None)
        change = self._save(parsed, present, now)
        return [change, *self._try_refused(present, now)] if not change.errors else [change]

    def remove(self, files: Sequence[str], present: Collection[str], now: datetime) -> list[FileChange]:
        """Take note that files are gone for good; their DAGs are missing from now on."""
        self._store.mark_missing(files, now=now)
        for file in files:
            if file in self.failing:
                self._store.clear_import_error(file)
        gone = set(files)
        self.saved -= gone
        self.failing -= gone
        self._owners = {dag_id: file for dag_id, file in self._owners.items() if file not in gone}
        for file in files:
            self._refused.pop(file, None)
            self._log(f"{file} is gone")
        return [*(FileChange(file) for file in files), *self._try_refused(present, now)]

    def folder_error(self, message: str | None, now: datetime) -> None:
        """Show, or with None no longer show, what is wrong with the folder itself; the same again costs nothing."""
        if message == self._folder_message and (message is not None or FOLDER not in self.failing):
            return
        if message is None:
            self._store.clear_import_error(FOLDER)
            self.failing.discard(FOLDER)
        else:
            self._store.save_import_error(FOLDER, message, None, "", now=now)
            self.failing.add(FOLDER)
            self._log(message)
        self._folder_message = message

    def retire(self, before: datetime) -> list[str]:
        """Retire the DAGs that are missing since before an instant; return their ids."""
        return self._store.retire_missing(before)

    def _try_refused(self, present: Collection[str], now: datetime) -> list[FileChange]:
        changes = []
        for file, parsed in list(self._refused.items()):
            if all(self._owner(spec, file, present) is None for spec, _ in parsed.dags):
                del self._refused[file]
                changes.append(self._save(parsed, present, now))
        return changes

    def _owner(self, spec: DagSpec, file: str, present: Collection[str]) -> str | None:
        """Return another file that is there and has the DAG."""
        owner = self._owners.get(spec.dag_id)
        return owner if owner is not None and owner != file and owner in present else None

    def _save(self, parsed: ParsedFile, present: Collection[str], now: datetime) -> FileChange:
        for warning in parsed.warnings:
            self._log(f"{_place(parsed.file, warning.line)}: {warning.message}")
        if parsed.errors:
            return self._save_error(parsed, parsed.errors, now)
        try:
            dags = prepared(parsed.dags, self._rules)
        except AuthorError as error:
            return self._save_error(parsed, (Finding(message=error.message, line=error.line),), now)
        conflict = self._conflict(parsed, present)
        if conflict is None:
            try:
                return self._store_dags(parsed, dags, now)
            except ConflictError as error:  # another processor was quicker
                conflict = Finding(message=str(error))
        self._refused[parsed.file] = parsed
        return self._save_error(parsed, (conflict,), now)

    def _conflict(self, parsed: ParsedFile, present: Collection[str]) -> Finding | None:
        for spec, _hash in parsed.dags:
            owner = self._owner(spec, parsed.file, present)
            if owner is not None:
                text = (
                    f'DAG "{spec.dag_id}" is defined in two files: {owner}, which had it first, and {parsed.file}.'
                    " Rename one of the DAGs, or delete the file that is not wanted."
                )
                return Finding(message=text, line=spec.line)
        return None

    def _store_dags(
        self, parsed: ParsedFile, dags: Sequence[tuple[DagSpec, str]], now: datetime
    ) -> FileChange:
        file = parsed.file
        moved = {owner for spec, _ in dags if (owner := self._owners.get(spec.dag_id, file)) != file}
        if moved:  # files that are not there any more: their DAGs live on here
            self._store.mark_missing(sorted(moved), now=now)
            self.saved -= moved
        had = {dag_id for dag_id, owner in self._owners.items() if owner == file}
        if not dags and not had and file not in self.saved:
            if file in self.failing:
                self._store.clear_import_error(file)
                self.failing.discard(file)
            return FileChange(file)
        saved = self._store.save_file(file, parsed.source, dags, now=now, pause_new=self._pause_new)
        self.saved.add(file)
        self.failing.discard(file)
        ids = {spec.dag_id for spec, _ in dags}
        self._owners = {
            dag_id: owner for dag_id, owner in self._owners.items() if owner != file
        } | dict.fromkeys(ids, file)
        return FileChange(file, dags=tuple(saved))

    def _save_error(self, parsed: ParsedFile, errors: Sequence[Finding], now: datetime) -> FileChange:
        message, line, traceback = combined(errors)
        self._store.save_import_error(parsed.file, message, line, traceback, now=now)
        self.failing.add(parsed.file)
        self._log(f"{_place(parsed.file, line)}: {message}")
        return FileChange(parsed.file, errors=tuple(errors))


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def prepared(dags: Sequence[tuple[DagSpec, str]], rules: Rules) -> list[tuple[DagSpec, str]]:
    """Return DAGs as policies want them, with their hashes; raises AuthorError when one is refused.

    A schedule that names a plugin's timetable must be one that can be made here.
    """
    made = []
    for spec, old_hash in dags:
        changed = rules.apply_policies(spec)
        if changed.schedule is not None:
            try:
                from_spec(changed.schedule, rules.timetables())
            except AuthorError as error:
                raise AuthorError(f'DAG "{spec.dag_id}": {error.message}', line=spec.line) from None
        made.append((changed, old_hash if changed is spec else spec_hash(changed)))
    return made


def combined(errors: Sequence[Finding]) -> tuple[str, int | None, str]:
    """Return the errors of a file as one message, with the first line and the first traceback."""
    first = errors[0]
    line = next((error.line for error in errors if error.line is not None), None)
    traceback = next((error.traceback for error in errors if error.traceback), "")
    if len(errors) == 1:
        return first.message, line, traceback
    shown = [f"  line {error.line or '?'}: {error.message}" for error in errors[:SHOWN_MAX]]
    if len(errors) > SHOWN_MAX:
        shown.append(f"  … and {len(errors) - SHOWN_MAX} more")
    return "\n".join([f"The file has {len(errors)} errors:", *shown]), line, traceback
