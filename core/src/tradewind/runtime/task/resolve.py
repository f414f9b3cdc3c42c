"""Replace references and templates in an operator's arguments by the values of this attempt."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from tradewind.authoring.params import DagParam
from tradewind.authoring.xcom import (
    RETURN_VALUE,
    ConcatRef,
    GroupItem,
    MapRef,
    Ref,
    XComRef,
    ZipRef,
    find_refs,
)
from tradewind.errors import Skip, TradewindError
from tradewind.runtime.task.mapping import MappedArguments, Resolved
from tradewind.runtime.task.render import Renderer, is_template, names_file
from tradewind.runtime.task.scopes import Scopes
from tradewind.runtime.task.xcoms import MISSING, XComs

DEPTH_MAX = 64  # nesting of arguments; the compiler refuses deeper ones


class Resolver:
    """Resolves the arguments of one attempt.

    Strings of template fields are rendered; what a reference stood for is data and stays as it is.
    ``rendered`` collects the fields that held a template, as they are after rendering.
    """

    def __init__(
        self,
        context: Any,
        renderer: Renderer,
        scopes: Scopes,
        xcoms: XComs,
        mapped: MappedArguments,
    ) -> None:
        self._context = context
        self._renderer = renderer
        self._scopes = scopes
        self._xcoms = xcoms
        self._mapped = mapped
        self._endings: tuple[str, ...] = ()
        self._shell = False
        self._met_template = False
        self.rendered: dict[str, Any] = {}

    def operator(self, operator: Any) -> Any:
        """Return a copy of ``operator`` whose arguments are values; the original stays as its author wrote it."""
        resolved = copy.copy(operator)
        self._endings = tuple(operator.template_ext)
        shell_fields = getattr(operator, "shell_fields", ())
        for name in operator.template_fields:
            if hasattr(operator, name):
                written = getattr(operator, name)
                # a list is no shell command: its items reach the program as they are
                self._shell, self._met_template = name in shell_fields and isinstance(written, str), False
                value = self.value(written, name)
                setattr(resolved, name, value)
                if self._met_template:
                    self.rendered[name] = value
        for name in operator.given:
            if name not in operator.template_fields and hasattr(operator, name):
                value = getattr(operator, name)
                if not callable(value) and _has_reference(value):
                    setattr(resolved, name, self.value(value, name, template=False))
        return resolved

    def value(self, value: Any, field: str, *, template: bool = True, depth: int = 0) -> Any:
        """Return ``value`` with everything in it resolved; ``field`` names it in messages."""
        if value is None or isinstance(value, bool | int | float | bytes):
            return value
        if isinstance(value, str):
            return self._string(value, field, template=template)
        if isinstance(value, Ref):
            return self._reference(value, field, template=template, depth=depth)
        if depth > DEPTH_MAX:
            return value
        if isinstance(value, dict):
            return {
                self.value(key, field, template=template, depth=depth + 1): self.value(
                    item, f"{field}[{key!r}]", template=template, depth=depth + 1
                )
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            items = [
                self.value(item, f"{field}[{place}]", template=template, depth=depth + 1)
                for place, item in enumerate(value)
            ]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        return self._object(value, field, template=template, depth=depth)

    def _string(self, value: str, field: str, *, template: bool) -> Any:
        if isinstance(value, DagParam):
            self._met_template = True
            found = value.resolve(self._context)
            return self._renderer.text(value, field=field, quoted=True) if self._shell else found
        if not template:
            return value
        if self._endings and names_file(value, self._endings):
            value = self._renderer.file(value, field=field)
            self._met_template = True
        if not is_template(value):
            return value
        self._met_template = True
        return self._renderer.text(value, field=field, quoted=self._shell)

    def _object(self, value: Any, field: str, *, template: bool, depth: int) -> Any:
        """Resolve dataclasses, mappings, and objects that declare template fields; anything else is a value."""
        fields = getattr(value, "template_fields", None)
        if isinstance(fields, tuple | list) and not isinstance(value, type):
            changed = copy.copy(value)
            for name in fields:
                inner = self.value(
                    getattr(value, name, None), f"{field}.{name}", template=template, depth=depth + 1
                )
                setattr(changed, name, inner)
            return changed
        if dataclasses.is_dataclass(value) and not isinstance(value, type) and _has_reference(value):
            names = [one.name for one in dataclasses.fields(value) if one.init]
            return dataclasses.replace(
                value,
                **{
                    name: self.value(getattr(value, name), f"{field}.{name}", template=False, depth=depth + 1)
                    for name in names
                },
            )
        if isinstance(value, Mapping):
            return self.value(dict(value), field, template=template, depth=depth)
        return value

    def _reference(self, ref: Ref, field: str, *, template: bool, depth: int) -> Any:
        match ref:
            case Resolved():
                return ref.value
            case GroupItem():
                found = self._mapped.item(ref)
                return self.value(found, field, template=template, depth=depth + 1)
            case XComRef():
                return self._output(ref)
            case MapRef():
                return list(self._mapped_over(ref, field))
            case ZipRef() | ConcatRef():
                sources = [self.value(one, field, template=False, depth=depth + 1) for one in ref.sources]
                return _joined(ref, [_elements(one) for one in sources])
            case _:
                raise TradewindError(f"{field} holds a {type(ref).__name__}, which cannot be resolved")

    def _output(self, ref: XComRef) -> Any:
        found = self._scopes.pull(self._xcoms, ref.task_id, ref.key)
        if found is not MISSING:
            return found
        if ref.key == RETURN_VALUE:
            return None
        raise TradewindError(
            f'Task "{ref.task_id}" pushed no XCom "{ref.key}". With multiple_outputs=True it pushes each key of the '
            "dict it returns; ti.xcom_push(key, value) pushes one"
        )

    def _mapped_over(self, ref: MapRef, field: str) -> Any:
        for item in _elements(self.value(ref.source, field, template=False)):
            try:
                yield ref.function(item)
            except Skip:
                continue


def _elements(value: Any) -> list[Any]:
    return list(value.items()) if isinstance(value, Mapping) else list(value)


def _joined(ref: ZipRef | ConcatRef, sources: list[list[Any]]) -> list[Any]:
    if isinstance(ref, ConcatRef):
        return [item for source in sources for item in source]
    if not ref.fill:
        return list(zip(*sources, strict=False))
    longest = max(map(len, sources), default=0)
    return list(zip(*(one + [ref.fill_value] * (longest - len(one)) for one in sources), strict=True))


def _has_reference(value: Any) -> bool:
    if isinstance(value, DagParam):
        return True
    if isinstance(value, Mapping):
        return any(_has_reference(item) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_has_reference(item) for item in value)
    return next(find_refs(value), None) is not None
