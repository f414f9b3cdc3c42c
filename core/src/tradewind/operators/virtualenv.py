"""Call a function in another Python: a virtual environment made for it, or an interpreter that is there."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from tradewind.authoring.callables import PythonOperator, context_arguments
from tradewind.authoring.options import TaskOptions
from tradewind.errors import ArgumentError, Skip, TradewindError
from tradewind.operators.processes import CommandError, Program, check_exit

SKIP_EXIT_CODE = 99
_READY = "ready"  # the file that says: the environment is complete

_RUNNER = '''"""Calls the task's function; made by Tradewind."""
import asyncio, inspect, json, sys

{source}

with open(sys.argv[1], encoding="utf-8") as given:
    arguments = json.load(given)
result = {name}(*arguments["args"], **arguments["kwargs"])
if inspect.isawaitable(result):
    async def wait(awaitable):
        return await awaitable
    result = asyncio.run(wait(result))
try:
    text = json.dumps(result, allow_nan=False)
except (TypeError, ValueError) as error:
    raise SystemExit("the result of {name}() must be JSON: " + str(error))
with open(sys.argv[2], "w", encoding="utf-8") as answer:
    answer.write(text)
'''


class OtherPythonError(TradewindError):
    """A function cannot be called in another Python; the message says what to change."""


class _OtherPythonOperator(PythonOperator):
    """What the operators that use another Python share.

    The function's source is taken as it is, without its decorators: it imports what it needs inside, and uses nothing
    from around it. Arguments and result are JSON. Exit code ``skip_on_exit_code`` skips the task.
    """

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)
        self.skip_on_exit_code = skip_on_exit_code
        self._program = Program()

    def execute(self, context: Any) -> Any:
        """Call the function in the other Python and return its result."""
        name, source = function_source(self.python_callable)
        given = context_arguments(self.python_callable, len(self.op_args), self.op_kwargs, context)
        arguments = self._as_json({"args": list(self.op_args), "kwargs": {**given, **self.op_kwargs}})
        python = self.interpreter(context)
        with tempfile.TemporaryDirectory(prefix="tradewind-") as folder:
            script, ask, answer = (Path(folder) / part for part in ("call.py", "ask.json", "answer.json"))
            script.write_text(_RUNNER.format(source=source, name=name), encoding="utf-8")
            ask.write_text(arguments, encoding="utf-8")
            self._program = Program()
            argv = [python, *self._flags(), str(script), str(ask), str(answer)]
            ended = self._program.run(argv, log=context.log, env=_clean_environment(), cwd=folder)
            codes = self.skip_on_exit_code
            check_exit(
                ended.code, () if codes is None else (codes,) if isinstance(codes, int) else tuple(codes)
            )
            if not answer.exists():
                raise Skip("the function ended its process without a result")
            return json.loads(answer.read_text(encoding="utf-8"))

    def interpreter(self, context: Any) -> str:
        """Return the path of the Python to call."""
        raise NotImplementedError

    def _flags(self) -> list[str]:
        return ["-u", "-X", "utf8"]

    def _as_json(self, arguments: dict[str, Any]) -> str:
        for name, value in (*enumerate(arguments["args"]), *arguments["kwargs"].items()):
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise OtherPythonError(
                    f'argument {name!r} of task "{self.task_id}" cannot go to another Python: {error}. '
                    "Pass JSON types; for a date pass its text, such as ds"
                ) from None
        return json.dumps(arguments, allow_nan=False)

    def on_kill(self) -> None:
        """End the other Python."""
        self._program.kill()


class ExternalPythonOperator(_OtherPythonOperator):
    """Call a function with the interpreter ``python``, an absolute path such as ``/opt/models/bin/python``."""

    def __init__(
        self,
        *,
        python: str,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            skip_on_exit_code=skip_on_exit_code,
            **kwargs,
        )
        self.python = python

    def interpreter(self, context: Any) -> str:
        """Return ``python``."""
        if not os.access(self.python, os.X_OK) or Path(self.python).is_dir():
            raise OtherPythonError(
                f'task "{self.task_id}" needs the interpreter {self.python}, which is not on this machine; give the '
                "absolute path of one that is"
            )
        return str(self.python)


class PythonVirtualenvOperator(_OtherPythonOperator):
    """Call a function in a virtual environment with ``requirements`` installed.

    Environments are kept under the cache folder (``TRADEWIND_CACHE``, by default ``~/.cache/tradewind``) by what is
    installed in them; two tasks with the same requirements share one, and it is made once. ``python`` is the
    interpreter it is made with (default: this one), ``system_site_packages`` shows it that interpreter's packages,
    ``pip_arguments`` are more arguments for ``pip install``.
    """

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        requirements: str | Sequence[str] = (),
        python: str | None = None,
        system_site_packages: bool = False,
        pip_arguments: Sequence[str] = (),
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            skip_on_exit_code=skip_on_exit_code,
            **kwargs,
        )
        lines = requirements.splitlines() if isinstance(requirements, str) else list(requirements)
        if not all(isinstance(line, str) for line in lines):
            raise ArgumentError(f'requirements of task "{self.task_id}" are texts like "pandas>=2".')
        self.requirements = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        self.python = python
        self.system_site_packages = system_site_packages
        self.pip_arguments = list(pip_arguments)

    def interpreter(self, context: Any) -> str:
        """Return the environment's Python; make the environment when it is not there."""
        base = self.python or sys.executable
        kind = [base, sys.version, self.system_site_packages, self.pip_arguments, sorted(self.requirements)]
        digest = hashlib.sha256(json.dumps(kind).encode()).hexdigest()[:24]
        folder = cache_folder() / "environments" / digest
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        python = folder / "venv" / "bin" / "python"
        with _locked(folder / "lock"):
            if not (folder / _READY).exists():
                shutil.rmtree(folder / "venv", ignore_errors=True)
                self._make(base, folder / "venv", python, context)
                (folder / _READY).touch()
        return str(python)

    def _make(self, base: str, folder: Path, python: Path, context: Any) -> None:
        context.log.info("making an environment with %s", ", ".join(self.requirements) or "no packages")
        options = ["--system-site-packages"] if self.system_site_packages else []
        options += [] if self.requirements else ["--without-pip"]
        self._do([base, "-m", "venv", *options, str(folder)], "make the environment", context)
        if self.requirements:
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            self._do([*pip, *self.pip_arguments, *self.requirements], "install the requirements", context)

    def _do(self, argv: list[str], what: str, context: Any) -> None:
        self._program = Program()
        ended = self._program.run(argv, log=context.log, cwd=str(cache_folder()))
        if ended.code:
            raise CommandError(
                f'task "{self.task_id}" could not {what}: exit code {ended.code}; the log has its output'
            )


def cache_folder() -> Path:
    """Return the folder for what can be made again."""
    given = os.environ.get("TRADEWIND_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "tradewind"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's lock: one process makes the environment, the others wait for it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _clean_environment() -> dict[str, str]:
    """Return this process's environment without what would lead the other Python to this one's packages."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"}
    }


def function_source(function: Callable[..., Any]) -> tuple[str, str]:
    """Return a function's name and its source without decorators; ``OtherPythonError`` when it has none of its own."""
    plain = inspect.unwrap(function)
    try:
        text = textwrap.dedent(inspect.getsource(plain))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError):
        raise OtherPythonError(
            f"the source of {getattr(plain, '__name__', plain)!r} cannot be read; write it as a def of its own"
        ) from None
    made = tree.body[0]
    if not isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef):
        raise OtherPythonError("a lambda cannot go to another Python; write a def")
    if getattr(plain, "__closure__", None):
        names = ", ".join(plain.__code__.co_freevars)
        raise OtherPythonError(
            f"{made.name}() uses {names} from the function around it, which the other Python does not have; pass it as "
            "an argument"
        )
    made.decorator_list = []
    for argument in ast.walk(made.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None  # it may name what only this Python has
    made.returns = None
    return made.name, ast.unparse(tree)
