"""Imports one version of a DAG file as its author would run it."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from typing import Any

from tradewind.runtime.forkserver.messages import DagSource

# All of an error must fit into one packet, whatever its letters.
ERROR_MESSAGE_CHARS_MAX = 2_000
ERROR_TEXT_CHARS_MAX = 8_000
FRAMES_MAX = 20
CODE_CHARS_MAX = 200


def execute_source(source: DagSource) -> types.ModuleType:
    """Run the file's text as a module and return it; raises whatever the file raises.

    ``__file__`` is the file's place in the DAG folder, whose modules it can import; the text is that of
    the version, whatever lies there now.
    """
    with open(source.text_path, encoding="utf-8") as file:
        text = file.read()
    path = f"{source.folder}/{source.file}"
    if source.folder not in sys.path:
        sys.path.insert(0, source.folder)
    # Tracebacks must quote this version, not what the file has become.
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    name = module_name(source.file)
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - this is the task process
    return module


def module_name(file: str) -> str:
    """Return the name a DAG file is imported by; it cannot hide a module of that name."""
    stem = file.removesuffix(".py").replace("/", "_")
    return "tradewind_dag_" + "".join(letter if letter.isalnum() else "_" for letter in stem)


def describe_error(error: BaseException, folder: str) -> dict[str, Any]:
    """Return an import error as a report carries it: the frames of the DAG folder and what they called."""
    trace = error.__traceback__
    own = trace
    while own is not None:  # what stands above the file is our own: nobody wants to read it
        own = own.tb_next
        if own is not None and own.tb_frame.f_code.co_filename == __file__:
            trace = own.tb_next
    frames = [
        {
            "file": frame.filename,
            "line": frame.lineno,
            "function": frame.name,
            "code": (frame.line or "")[:CODE_CHARS_MAX],
            "own": frame.filename.startswith(folder),
        }
        for frame in traceback.extract_tb(trace)
    ]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append(
            {
                "file": error.filename,
                "line": error.lineno,
                "function": "<module>",
                "code": (error.text or "").strip()[:CODE_CHARS_MAX],
                "own": True,
            }
        )
    text = "".join(traceback.format_exception(type(error), error, trace))
    return {
        "type": type(error).__qualname__,
        "message": str(error)[:ERROR_MESSAGE_CHARS_MAX],
        "frames": frames[-FRAMES_MAX:],
        "text": text[-ERROR_TEXT_CHARS_MAX:],
    }
