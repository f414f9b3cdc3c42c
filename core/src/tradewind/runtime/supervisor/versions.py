"""The texts of DAG file versions, kept on disk so that a version can be imported whatever the file is now."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tradewind.ports.runtime_api import Launch
from tradewind.runtime.forkserver.messages import DagSource

KEPT_MAX = 500  # texts; the longest unused go first


class VersionCache:
    """Files ``<folder>/<sha>.py``. ``dags`` is the folder the DAG files themselves lie in."""

    def __init__(self, folder: Path, dags: Path) -> None:
        self._folder = folder
        self._dags = dags
        self._known: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._expire()

    def find(self, launch: Launch) -> DagSource | None:
        """Return the version when its text is here, or is what the DAG folder holds now."""
        path = self._path(launch.source_sha)
        if launch.source_sha not in self._known:
            if path.exists():
                os.utime(path)
            elif not self._adopt(launch):
                return None
            self._known.add(launch.source_sha)
        return DagSource(launch.file, launch.source_sha, str(self._dags), str(path))

    def store(self, launch: Launch, text: str) -> DagSource:
        """Keep a text the runtime API gave."""
        self._write(launch.source_sha, text.encode("utf-8", "surrogatepass"))
        found = self.find(launch)
        assert found is not None
        return found

    def _adopt(self, launch: Launch) -> bool:
        try:
            data = (self._dags / launch.file).read_bytes()
        except OSError:
            return False
        if hashlib.sha256(data).hexdigest() != launch.source_sha:
            return False
        self._write(launch.source_sha, data)
        return True

    def _write(self, sha: str, data: bytes) -> None:
        path = self._path(sha)
        part = path.with_suffix(f".part{os.getpid()}")
        part.write_bytes(data)
        part.replace(path)  # whole or not at all: another worker may look now

    def _path(self, sha: str) -> Path:
        if not sha.isalnum():
            raise ValueError(f"{sha!r} is no hash of a source text")
        return self._folder / f"{sha}.py"

    def _expire(self) -> None:
        texts = sorted(self._folder.glob("*.py"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in texts[KEPT_MAX:]:
            path.unlink(missing_ok=True)
