"""Drives a DAG folder: sees changes, has them parsed, stores the results; never waits for a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tradewind.dagbag.discover import MARK, FolderGoneError, Listing, Stamp, look, read, stamp_of
from tradewind.dagbag.messages import SOURCE_BYTES_MAX, ParseLimits
from tradewind.dagbag.parse import ParsedFile, Parser, sha_of
from tradewind.dagbag.settings import FolderSettings
from tradewind.dagbag.sync import FileChange, Log, Rules, Sync
from tradewind.ports.metastore import Metastore

FRESH_SECONDS = 2.0  # a file changed so lately may change again without a new stamp: it is read once more
EMPTY_SECONDS = 600.0  # a folder that is suddenly empty may be a missing mount; that long nothing is given up


@dataclass(slots=True)
class Known:
    """A file as it was last seen."""

    stamp: Stamp | None = None  # None: read it at the next chance
    sha: str = ""
    reads: dict[str, Stamp | None] = field(
        default_factory=dict
    )  # what it read in the folder when it was parsed
    failed: bool = False
    misses: int = 0  # complete looks without it


class DagBag:
    """The files of one folder. Use as a context manager, from one thread.

    ``scan`` looks for changes, ``turn`` moves parsing and storing on; neither waits for a DAG file.
    """

    def __init__(
        self,
        store: Metastore,
        folder: Path,
        settings: FolderSettings,
        rules: Rules,
        *,
        plugins_folder: Path | None = None,
        log: Log,
    ) -> None:
        limits = ParseLimits(
            seconds_max=settings.parse_seconds_max,
            memory_mb_max=settings.parse_memory_mb_max,
            processes=settings.parse_processes,
        )
        self.folder = str(folder.absolute())
        self.parser = Parser(Path(self.folder), limits, plugins_folder=plugins_folder)
        self.listing = Listing()
        self._settings = settings
        self._log = log
        self._sync = Sync(store, rules, log, pause_new=settings.paused_on_creation)
        self._known = {file: Known() for file in self._sync.known_files()}
        self._queue: dict[str, None] = {}  # files to look into, in order
        self._forced: set[str] = set()  # of these, to parse even if they did not change
        self._parsing: dict[str, Known] = {}
        self._unsaved: list[ParsedFile] = []
        self._empty_since: datetime | None = None
        self._retire_at: datetime | None = None
        self._marked_at = datetime.min.replace(tzinfo=UTC)
        self._first = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.parser.close()

    @property
    def busy(self) -> bool:
        """Say whether there is something to do before the next scan."""
        return bool(self._queue or self._parsing or self._unsaved)

    @property
    def counts(self) -> dict[str, int]:
        """Return what a person asks first: files, files with an error, files still to be parsed."""
        return {
            "files": len(self.listing.files),
            "failing": len(self._sync.failing),
            "waiting": len(self._queue) + len(self._parsing),
        }

    def scan(self, now: datetime) -> list[FileChange]:
        """Look at the folder and queue what changed; return files that are gone, and what follows from that.

        Raises:
            MetastoreUnavailableError: nothing is lost, the next scan does it again.
        """
        try:
            listing = look(self.folder)
        except FolderGoneError as error:
            self._sync.folder_error(self._folder_gone(str(error)), now)
            self._forget_misses()
            return []
        if self._emptied(listing, now):
            self._forget_misses()
            return []
        self._sync.folder_error("; ".join(listing.problems) or None, now)
        self.listing = listing
        self._queue_changes(listing)
        if not listing.complete:
            return []
        return self._give_up_missing(listing, now)

    def turn(self, now: datetime) -> list[FileChange]:
        """Submit files and store what has been parsed; return what became of them.

        Raises:
            MetastoreUnavailableError: results are kept; the next turn stores them.
            ConfigError: the parse server cannot start; what was to be parsed is kept.
        """
        self._submit(now)
        self._unsaved += self.parser.poll()
        changes: list[FileChange] = []
        while self._unsaved:
            changes += self._save(self._unsaved[0], now)
            del self._unsaved[0]
        self._submit(now)
        return changes

    # ---- what changed -------------------------------------------------------------------------------------------

    def _queue_changes(self, listing: Listing) -> None:
        stamps: dict[str, Stamp | None] = {}
        changed = [
            file for file, stamp in listing.files.items() if self._differs(file, stamp, listing, stamps)
        ]
        # Oldest first: of two files with one dag_id the older one has it.
        self._queue |= dict.fromkeys(sorted(changed, key=lambda file: listing.files[file].changed_ns))

    def _try_failed_again(self) -> None:
        """Queue the files with an error: what they miss may be there now, or what they clash with gone."""
        failed = [file for file, known in self._known.items() if known.failed and file in self.listing.files]
        self._forced.update(failed)
        self._queue |= dict.fromkeys(failed)

    def _differs(self, file: str, stamp: Stamp, listing: Listing, stamps: dict[str, Stamp | None]) -> bool:
        known = self._known.setdefault(file, Known())
        known.misses = 0
        if known.stamp != stamp:
            return True
        return any(self._stamp(name, listing, stamps) != seen for name, seen in known.reads.items())

    def _stamp(self, name: str, listing: Listing, stamps: dict[str, Stamp | None]) -> Stamp | None:
        if name in listing.files:
            return listing.files[name]
        if name not in stamps:
            stamps[name] = stamp_of(f"{self.folder}/{name}")
        return stamps[name]

    # ---- parsing ------------------------------------------------------------------------------------------------

    def _submit(self, now: datetime) -> None:
        while self.parser.wants_more:
            # A file that changed again while it is parsed waits until that is over.
            file = next((file for file in self._queue if file not in self._parsing), None)
            if file is None:
                return
            del self._queue[file]
            self._look_into(file, now)

    def _look_into(self, file: str, now: datetime) -> None:
        """Read a file; have it parsed if it, or what it read, really changed."""
        known = self._known.setdefault(file, Known())
        try:
            source, stamp = read(f"{self.folder}/{file}", SOURCE_BYTES_MAX)
        except OSError as error:
            self._log(f"{file} cannot be read: {error}")
            return  # the next scan sees what it has become
        fresh = stamp.changed_ns > (now.timestamp() - FRESH_SECONDS) * 1e9
        seen = Known(stamp=None if fresh else stamp, sha=sha_of(source), failed=known.failed)
        same = seen.sha == known.sha
        forced = file in self._forced
        self._forced.discard(file)
        if same and not forced and all(self._now(name) == old for name, old in known.reads.items()):
            known.stamp = seen.stamp
            return
        if not same:
            self._try_failed_again()
        if MARK not in source and file not in self._sync.known_files():
            self._known[file] = seen
            return
        self._parsing[file] = seen
        self.parser.submit(file, source)

    def _now(self, name: str) -> Stamp | None:
        return stamp_of(f"{self.folder}/{name}")

    def _save(self, parsed: ParsedFile, now: datetime) -> list[FileChange]:
        changes = self._sync.save(parsed, self.listing.files, now)
        seen = self._parsing.pop(parsed.file)
        seen.reads = {name: self._now(name) for name in parsed.reads}
        self._known[parsed.file] = seen
        for change in changes:
            self._known.setdefault(change.file, Known()).failed = bool(change.errors)
        self._plan_retiring(now)
        return changes

    # ---- what is gone -------------------------------------------------------------------------------------------

    def _give_up_missing(self, listing: Listing, now: datetime) -> list[FileChange]:
        gone = []
        for file, known in self._known.items():
            if file not in listing.files and file not in self._parsing:
                known.misses += 1
                if known.misses == 1:
                    self._try_failed_again()
                if known.misses >= self._settings.missing_scans:
                    gone.append(file)
        stored = sorted(self._sync.known_files().intersection(gone)) if gone else []
        changes = self._sync.remove(stored, listing.files, now) if stored else []
        if stored:
            self._plan_retiring(now)
        for file in gone:
            del self._known[file]
        self._retire(now)
        return changes

    def _plan_retiring(self, now: datetime) -> None:
        """Ask for DAGs to retire when those that may be missing since now have been so for long."""
        self._marked_at = now
        if self._retire_at is None:
            self._retire_at = now + self._missing_for()

    def _retire(self, now: datetime) -> None:
        """End the DAGs that have been missing as long as a file must be; asks only when there can be one."""
        if self._first:
            self._first = False
            self._plan_retiring(now)
        if self._retire_at is not None and now > self._retire_at and not self.busy:
            last = self._marked_at + self._missing_for()
            self._retire_at = last if now <= last else None
            for dag_id in self._sync.retire(now - self._missing_for()):
                self._log(f'DAG "{dag_id}" is retired: no file has it any more')

    def _missing_for(self) -> timedelta:
        return timedelta(seconds=self._settings.scan_seconds * self._settings.missing_scans)

    # ---- the folder itself --------------------------------------------------------------------------------------

    def _folder_gone(self, why: str) -> str:
        return (
            f"The DAG folder {self.folder} cannot be read: {why}. Its DAGs stay as they are. Put it back, mount it, or"
            " set [dags] folder."
        )

    def _emptied(self, listing: Listing, now: datetime) -> bool:
        """Say whether a folder that should have files is wholly empty, and not yet for long."""
        if listing.entries or not self._known.keys() & self._sync.known_files():
            self._empty_since = None
            return False
        if self._empty_since is None:
            self._empty_since = now
            until = now + timedelta(seconds=EMPTY_SECONDS)
            text = (
                f"The DAG folder {self.folder} is empty. In case a mount is missing its DAGs stay until"
                f" {until:%H:%M} UTC. Put the files back, or put any file there to say that it is meant."
            )
            self._sync.folder_error(text, now)
        return now < self._empty_since + timedelta(seconds=EMPTY_SECONDS)

    def _forget_misses(self) -> None:
        """A file is gone after complete looks in a row only."""
        for known in self._known.values():
            known.misses = 0
