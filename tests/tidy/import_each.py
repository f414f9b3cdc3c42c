"""Import each named module in a process of its own; run as `python -W error -m tests.tidy.import_each NAME…`.

Every import happens in a fork, so that no module can lean on what another has imported. Only other people's
slow packages are loaded before: that they work is not the question, and it makes a fork cost milliseconds.
Prints one line for each module that fails or leaves a thread behind.
"""

import importlib
import os
import sys
import threading
import traceback
import warnings

SLOW_PACKAGES = (
    "alembic",
    "cryptography.fernet",
    "jinja2",
    "jsonschema",
    "pytest",
    "rich.console",
    "sqlalchemy",
)


def problem_of(name: str) -> str:
    """Import the module here; return what is wrong with that, or nothing."""
    try:
        importlib.import_module(name)
    except BaseException as error:  # noqa: BLE001  a module may even try to exit; that is the finding
        where = traceback.extract_tb(error.__traceback__)[-1]
        return f"{name}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})"
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"{name}: starts threads at import: {', '.join(others)}" if others else ""


def problem_in_a_fork(name: str) -> str:
    """Do the same in a child process and return its answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as answer:
                answer.write(problem_of(name))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answer:
        problem = answer.read()
    _, status = os.waitpid(child, 0)
    return problem or (f"{name}: the import ended the process with status {status}" if status else "")


def main(names: list[str]) -> int:
    """Print the problems of all modules; return 1 if there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for package in SLOW_PACKAGES:
            importlib.import_module(package)
    problems = [problem for name in names if (problem := problem_in_a_fork(name))]
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
