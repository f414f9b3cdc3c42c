"""Run a command: a program with its arguments, or a line of shell."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

from tradewind.authoring.callables import call_with_context
from tradewind.authoring.context import Context
from tradewind.authoring.operator import ActionOperator
from tradewind.authoring.options import TaskOptions
from tradewind.errors import ArgumentError
from tradewind.operators.processes import CommandError, Program, check_exit

SKIP_EXIT_CODE = 99


class _CommandOperator(ActionOperator):
    """What the operators that run a command share."""

    def __init__(
        self,
        *,
        env: Mapping[str, str] | None = None,
        append_env: bool = False,
        cwd: str | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.env = None if env is None else dict(env) if isinstance(env, Mapping) else env
        self.append_env = append_env
        self.cwd = cwd
        self.skip_on_exit_code = skip_on_exit_code
        self._program = Program()

    def _run(self, command: Any, context: Context) -> str | None:
        argv = self._argv(command)
        with tempfile.TemporaryDirectory(prefix="tradewind-") as scratch:
            cwd = scratch if self.cwd is None else self._folder(self.cwd)
            self._program = Program()
            ended = self._program.run(argv, log=context.log, env=self._environment(), cwd=cwd)
        codes = self.skip_on_exit_code
        check_exit(ended.code, () if codes is None else (codes,) if isinstance(codes, int) else tuple(codes))
        return ended.last_line

    def _argv(self, command: Any) -> list[str]:
        if isinstance(command, str):
            if not command.strip():
                raise CommandError(f'the command of task "{self.task_id}" is empty')
            return [shutil.which("bash") or "/bin/sh", "-c", command]
        if not isinstance(command, list | tuple) or not command:
            raise CommandError(
                f'the command of task "{self.task_id}" is a list of program and arguments or a string, not '
                f"{type(command).__name__} ({command!r:.40})"
            )
        return [os.fspath(one) if isinstance(one, os.PathLike) else str(one) for one in command]

    def _folder(self, cwd: str) -> str:
        path = Path(cwd)
        if not path.is_absolute() and self.dag is not None and getattr(self.dag, "file", None):
            path = Path(self.dag.file).parent / path  # type: ignore[attr-defined]
        if not path.is_dir():
            raise CommandError(
                f'the folder cwd="{path}" of task "{self.task_id}" does not exist; make it first'
            )
        return str(path)

    def _environment(self) -> dict[str, str] | None:
        if self.env is None:
            return None
        given = {name: str(value) for name, value in self.env.items()}
        return {**os.environ, **given} if self.append_env else given

    def on_kill(self) -> None:
        """End the program and everything it started."""
        self._program.kill()


class BashOperator(_CommandOperator):
    """Run ``command``: a list of program and arguments, or a string for bash (``command="run.sh"`` names a file).

    In a string every template value is quoted for the place it stands in, so that data cannot become code;
    ``{{ value | unquoted }}`` takes that back. Its exit code says how it went: 0 success, ``skip_on_exit_code``
    skipped, any other failure. Each line of its output goes to the log; the last line of standard output is the
    task's output. ``env`` replaces the environment, or with ``append_env`` adds to it. ``cwd`` is the folder to run
    in (relative: to the DAG file's), by default a temporary one.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("command", "env", "cwd")
    template_ext: ClassVar[tuple[str, ...]] = (".sh", ".bash")
    shell_fields: ClassVar[tuple[str, ...]] = ("command",)

    def __init__(
        self,
        *,
        command: str | Sequence[Any],
        env: Mapping[str, str] | None = None,
        append_env: bool = False,
        cwd: str | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(
            env=env, append_env=append_env, cwd=cwd, skip_on_exit_code=skip_on_exit_code, **kwargs
        )
        self.command = command

    def execute(self, context: Context) -> str | None:
        """Run the command and return its last line."""
        return self._run(self.command, context)


class BashCallableOperator(_CommandOperator):
    """``@task.bash``: the function returns the command, which is run as it is.

    A list is safest; in a string quote what comes from outside with ``shlex.quote``. What the function returns is no
    template.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("op_args", "op_kwargs", "env", "cwd")

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        append_env: bool = False,
        cwd: str | None = None,
        skip_on_exit_code: int | Sequence[int] | None = SKIP_EXIT_CODE,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(
            env=env, append_env=append_env, cwd=cwd, skip_on_exit_code=skip_on_exit_code, **kwargs
        )
        if not callable(python_callable):
            raise ArgumentError(
                f'python_callable of task "{self.task_id}" cannot be called: {python_callable!r:.60}.'
            )
        self.python_callable = python_callable
        self.op_args = list(op_args)
        self.op_kwargs = dict(op_kwargs or {})

    def execute(self, context: Context) -> str | None:
        """Call the function, run the command it returns, and return the command's last line."""
        command = call_with_context(self.python_callable, self.op_args, self.op_kwargs, context)
        return self._run(command, context)
