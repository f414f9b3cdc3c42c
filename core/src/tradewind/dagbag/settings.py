"""The part of the settings that the DAG processor reads."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class FolderSettings(Protocol):
    """How the DAG folder is read; ``[dags]`` of the settings fulfils it."""

    @property
    def paused_on_creation(self) -> bool:
        """Whether a DAG that is new waits for a person to unpause it."""
        ...

    @property
    def scan_seconds(self) -> float:
        """Between two looks at the folder."""
        ...

    @property
    def missing_scans(self) -> int:
        """Complete looks without a file before its DAGs count as gone."""
        ...

    @property
    def parse_seconds_max(self) -> float:
        """What parsing one file may take."""
        ...

    @property
    def parse_memory_mb_max(self) -> int:
        """What the process that parses a file may have."""
        ...

    @property
    def parse_processes(self) -> int:
        """How many files are parsed at once."""
        ...


class ProcessorSettings(Protocol):
    """All of it."""

    @property
    def dags(self) -> FolderSettings:
        """How the folder is read."""
        ...

    @property
    def dags_path(self) -> Path:
        """The DAG folder."""
        ...

    @property
    def plugins_path(self) -> Path:
        """The plugins folder, whose modules DAG files may import."""
        ...
