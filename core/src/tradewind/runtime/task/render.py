"""Render the templates of one attempt; Jinja is imported when a template is met, not before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradewind.authoring.arguments import nearest
from tradewind.errors import TradewindError
from tradewind.runtime.task.shell import ShellPlaceProblem, mark, place_values

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_FILE_BYTES_MAX = 1024 * 1024  # a script, not data
_SHOWN_CHARS_MAX = 200


class TemplateProblem(TradewindError):
    """A template that cannot be rendered; the message names field, template and what is wrong."""


class Unquoted(str):
    """Text that goes into a shell command as it is: the author said ``| unquoted``."""

    __slots__ = ()


def is_template(text: str) -> bool:
    """Whether a string has anything to render."""
    return "{{" in text or "{%" in text or "{#" in text


class Renderer:
    """Renders strings with the names of ``names``; ``folders`` are searched for template files and includes."""

    def __init__(
        self,
        names: Mapping[str, Any],
        *,
        folders: Iterable[Path] = (),
        filters: Mapping[str, Callable[..., Any]] | None = None,
        macros: Mapping[str, Any] | None = None,
        native: bool = False,
        task_id: str = "",
    ) -> None:
        self._names = names
        self._folders = tuple(folders)
        self._filters = dict(filters or {})
        self._macros = dict(macros or {})
        self._native = native
        self._task_id = task_id
        self._environments: dict[str, ImmutableSandboxedEnvironment] = {}
        self._shell_values: list[str] = []

    def text(self, template: str, *, field: str, quoted: bool = False) -> Any:
        """Return the rendered text (with native rendering: the value); ``TemplateProblem`` names the ``field``.

        With ``quoted`` every value is quoted for its place in the command, unless marked ``| unquoted``.
        """
        if not is_template(template):
            return template
        from jinja2 import TemplateError

        environment = self._environment("shell" if quoted else "native" if self._native else "text")
        try:
            rendered = environment.from_string(template).render()
            if quoted:
                rendered = place_values(rendered, self._shell_values)
        except (TemplateError, ShellPlaceProblem) as error:
            raise TemplateProblem(self._message(error, template, field)) from None
        except TradewindError:
            raise
        except Exception as error:  # a border: filters and macros are the author's code
            raise TemplateProblem(self._message(error, template, field)) from error
        return rendered

    def file(self, name: str, *, field: str) -> str:
        """Return the text of a template file, looked for in the folders; ``TemplateProblem`` when there is none."""
        for folder in self._folders:
            path = folder / name
            if path.is_file():
                if path.stat().st_size > TEMPLATE_FILE_BYTES_MAX:
                    raise TemplateProblem(
                        f'{self._where(field)} names the template file "{path}", which has more than '
                        f"{TEMPLATE_FILE_BYTES_MAX // 2**20} MiB; a template is a script, not data"
                    )
                return path.read_text(encoding="utf-8")
        looked = ", ".join(map(str, self._folders)) or "no folder"
        raise TemplateProblem(
            f'{self._where(field)} names the template file "{name}", which was not found in {looked}. Put it beside '
            "the DAG file, or end the text with a blank if it is no file"
        )

    def _where(self, field: str) -> str:
        return f'Field "{field}" of task "{self._task_id}"'

    def _message(self, error: Exception, template: str, field: str) -> str:
        shown = template if len(template) <= _SHOWN_CHARS_MAX else template[:_SHOWN_CHARS_MAX] + "…"
        line = getattr(error, "lineno", None)
        place = f" (line {line} of the template)" if line else ""
        kind = (
            ""
            if isinstance(error, TradewindError) or hasattr(error, "message")
            else f"{type(error).__name__}: "
        )
        said = f"{kind}{error}".rstrip(".") + place
        end = "" if said.endswith("?") else "."
        return f"{self._where(field)} cannot be rendered: {said}{end} The template: {shown}"

    def _environment(self, kind: str) -> ImmutableSandboxedEnvironment:
        found = self._environments.get(kind)
        if found is None:
            found = self._environments[kind] = self._make(kind)
        return found

    def _make(self, kind: str) -> ImmutableSandboxedEnvironment:
        from jinja2 import FileSystemLoader
        from jinja2.nativetypes import NativeCodeGenerator, NativeTemplate, native_concat
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        class Native(ImmutableSandboxedEnvironment):
            code_generator_class = NativeCodeGenerator
            concat = staticmethod(native_concat)  # type: ignore[assignment]
            template_class = NativeTemplate

        made = (Native if kind == "native" else ImmutableSandboxedEnvironment)(
            undefined=_undefined(self._names, self._macros),
            loader=FileSystemLoader(list(map(str, self._folders))),
            finalize=self._shell_finalize if kind == "shell" else None,
            keep_trailing_newline=True,
            cache_size=0,
        )
        from tradewind.runtime.task.macros import FILTERS

        made.context_class = _lookup(self._names)
        made.globals.update(self._macros)
        made.filters.update({**FILTERS, "unquoted": _unquoted, **self._filters})
        return made

    def _shell_finalize(self, value: Any) -> Any:
        if isinstance(value, Unquoted):
            return value
        self._shell_values.append(str(value))
        return mark(len(self._shell_values) - 1)


def _unquoted(value: Any) -> Unquoted:
    return Unquoted(value)


def _lookup(names: Mapping[str, Any]) -> Any:
    """Return the class of contexts: names are looked up one by one, so that only what is used is asked for."""
    from jinja2.runtime import Context
    from jinja2.utils import missing

    class Lookup(Context):
        def resolve_or_missing(self, key: str) -> Any:
            found = super().resolve_or_missing(key)
            return names[key] if found is missing and key in names else found

    return Lookup


def _undefined(names: Mapping[str, Any], macros: Mapping[str, Any]) -> Any:
    """Return the class of undefined values: strict, and its message names what is near."""
    from jinja2 import StrictUndefined
    from jinja2.utils import missing

    class Named(StrictUndefined):
        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            if self._undefined_hint:
                return self._undefined_hint
            name = str(self._undefined_name)
            if self._undefined_obj is missing:
                what, known = f'"{name}" is not a name of templates', [*names, *macros]
            elif isinstance(self._undefined_obj, Mapping):
                what, known = f'there is no "{name}" in it', list(map(str, self._undefined_obj))
            else:
                owner = type(self._undefined_obj).__name__
                what = f'a {owner} has no "{name}"'
                known = [one for one in dir(self._undefined_obj) if not one.startswith("_")]
            close = nearest(name, known)
            some = ", ".join(known[:20]) or "nothing"
            return f"{what}. " + (f"Did you mean {close}?" if close else f"There is: {some}")

    return Named


_FILE_NAME = re.compile(r"[^\s{}]+\Z")


def names_file(text: str, endings: Iterable[str]) -> bool:
    """Whether a field's text is the name of a template file: it ends in one of ``endings`` and has no blank."""
    return text.endswith(tuple(endings)) and bool(_FILE_NAME.match(text))
