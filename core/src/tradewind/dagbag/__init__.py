"""DAG files: found, parsed in limited children, compared with what is stored, stored.

Theory of operation
-------------------
``discover`` looks at the folder by stat alone. A file whose stamp, or that of anything it read in the folder when it
was imported, differs from what was seen is read and hashed; only if that differs too is it parsed. Parsing happens in
forks of a small warm server (``parse_server``): one file, one process, with limits on time, memory and processes, that
is killed with all it started. Whatever a file does ends as an error on that file. ``sync`` lets policies see the DAGs
and stores them; a file with an error keeps its last good version.

A file that is gone is gone only when the folder is there, and several complete looks at it have missed the file. A
folder that has vanished, cannot be read, or is suddenly empty is an error of the folder (shown under the file name
``.``), and its DAGs stay.
"""

from __future__ import annotations

from tradewind.dagbag.bag import DagBag
from tradewind.dagbag.check import CheckError, check_paths, find_dag_file
from tradewind.dagbag.load import load_dag_in_process
from tradewind.dagbag.messages import ParseLimits
from tradewind.dagbag.processor import run

__all__ = [
    "CheckError",
    "DagBag",
    "ParseLimits",
    "check_paths",
    "find_dag_file",
    "load_dag_in_process",
    "run",
]
