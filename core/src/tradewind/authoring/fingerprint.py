"""Names and fingerprints of functions and classes: when code that a task runs changes, its DAG changes.

A fingerprint covers a function's byte code and what it reaches by name in its own file: other functions, classes, and
constants that are written down there. Comments, blank lines and moved code change nothing, and neither do values that
are computed when the file is read: they may be others in each process. It depends on the Python version, never on the
process, so an upgrade of Python makes one new version of each DAG.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

from tradewind.authoring.constants import constant_text, literals_of

_DIGEST_CHARS = 16
_LAYERS_MAX = 100  # of a wrapper around a wrapper; one that wraps itself must not hang the compiler
_REACH_MAX = 2_000  # functions and classes looked through for one callable; more change nothing in practice
# What Python and the checks of arguments keep on a class.
_NOT_THE_AUTHORS = frozenset({"_abc_impl", "_accepted_arguments"})


class Home(NamedTuple):
    """The DAG file, and the name its module has in this process (it varies: ``__main__``, the folder's, a test's)."""

    file: str | None = None
    module: str | None = None
    code: CodeType | None = None  # of the module, when it is known: what is written in it

    def has(self, value: Any) -> bool:
        """Whether a function or class is defined here."""
        if self.module is not None and getattr(value, "__module__", None) == self.module:
            return True
        return self.file is not None and source_file(value) == self.file


def qualified_name(value: Any, home: Home = Home()) -> str:  # noqa: B008 - frozen
    """Return ``module:name``, or the name alone for what ``home`` defines."""
    value = unwrapped(value)
    named = value if hasattr(value, "__qualname__") else type(value)
    if home.has(named):
        return str(named.__qualname__)
    return f"{getattr(named, '__module__', None) or '?'}:{named.__qualname__}"


def fingerprint(value: Any, dag_home: Home = Home()) -> str:  # noqa: B008 - frozen
    """Return a short digest of the code of a function, method, class or callable object; empty for built-ins."""
    target = unwrapped(value)
    if not isinstance(target, type | FunctionType):
        target = type(target)
    file = source_file(target)
    home = Home(file, target.__module__, dag_home.code if file == dag_home.file else None)
    if home.file is None and not vars(target).get("__annotations__"):
        return ""  # built in, or nothing in it but its name
    walk = _Walk(home)
    for layer in layers(value):
        if layer is target or (isinstance(layer, FunctionType) and home.has(layer)):
            walk.add(layer)
    walk.add(target)
    return walk.digest()


def unwrapped(value: Any) -> Any:
    """Return the function below partials, methods and decorators that keep ``__wrapped__``."""
    return layers(value)[-1]


def layers(value: Any) -> list[Any]:
    """Return a callable and what it wraps, from outside in."""
    found = [value]
    while len(found) < _LAYERS_MAX:
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType):
            value = value.__func__
        else:
            inner = None if isinstance(value, type) else getattr(value, "__wrapped__", None)
            if inner is None:
                break
            value = inner
        found.append(value)
    return found


def source_file(value: Any) -> str | None:
    """Return the file that defines a Python function or class; None for built-ins."""
    code = getattr(value, "__code__", None)
    if isinstance(code, CodeType):
        return code.co_filename
    kind = value if isinstance(value, type) else type(value)
    for member in vars(kind).values():
        code = getattr(_function_of(member), "__code__", None)
        # dataclasses and named tuples have generated methods, whose file is not one
        if isinstance(code, CodeType) and not code.co_filename.startswith("<"):
            return code.co_filename
    return None


def _function_of(member: Any) -> Any:
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    if isinstance(member, property):
        return member.fget
    if isinstance(member, functools.cached_property):
        return member.func
    return unwrapped(member)


@dataclass
class _Walk:
    """Looks through everything one callable reaches in its file, each thing once."""

    home: Home
    parts: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    waiting: list[Any] = field(default_factory=list)
    literals: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.home.code is not None:
            self.literals = literals_of(self.home.code)

    def add(self, value: Any) -> None:
        if id(value) not in self.seen and len(self.seen) < _REACH_MAX:
            self.seen.add(id(value))
            self.waiting.append(value)

    def digest(self) -> str:
        while self.waiting:
            value = self.waiting.pop(0)
            if isinstance(value, type):
                self._class(value)
            else:
                self._function(value)
        from hashlib import sha256  # 3 MB of OpenSSL, which processes that only run tasks can do without

        text = "\n".join(self.parts)
        return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST_CHARS]

    def _function(self, function: FunctionType) -> None:
        self.parts.append(f"def {function.__qualname__}")
        self._values("defaults", [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()])
        self._code(function.__code__, function.__globals__)
        for cell in function.__closure__ or ():
            try:
                self._values("closure", [cell.cell_contents])
            except ValueError:  # a name that is bound later
                continue

    def _class(self, kind: type) -> None:
        for name, annotation in vars(kind).get("__annotations__", {}).items():
            text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", "")
            self.parts.append(f"{name}: {text}")
        self.parts.append(
            f"class {kind.__qualname__}({', '.join(base.__qualname__ for base in kind.__bases__)})"
        )
        for base in kind.__bases__:
            self._name("base", base)
        for name, member in sorted(vars(kind).items()):
            inner = _function_of(member)
            if isinstance(inner, FunctionType) and inner.__code__.co_filename == self.home.file:
                self.add(inner)
            elif not name.startswith("__") and name not in _NOT_THE_AUTHORS:
                self._name(name, member)

    def _code(self, code: CodeType, scope: dict[str, Any]) -> None:
        self.parts.append(f"{code.co_name} {code.co_code.hex()} {code.co_varnames} {code.co_names}")
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant, scope)
            else:
                self.parts.append(constant_text(constant))
        for name in code.co_names:
            if name in scope:
                self._name(name, scope[name])

    def _name(self, name: str, value: Any) -> None:
        """Note what a name means: a constant by value, code of the same file by its own code, else by its name."""
        self._values(name, [value])

    def _values(self, name: str, values: list[Any]) -> None:
        for value in values:
            ours = [
                one for one in layers(value) if isinstance(one, type | FunctionType) and self.home.has(one)
            ]
            if ours:
                self.parts.append(f"{name} -> {ours[-1].__qualname__}")
                for one in ours:
                    self.add(one)
                continue
            self.parts.append(f"{name} = {constant_text(value, self.literals)}")
