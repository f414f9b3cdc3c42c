"""What tidy means: each check reads one file's text and returns what is wrong with it, a sentence each."""

import ast
import re
from collections.abc import Iterator
from typing import Final

FILE_LINES_MAX: Final = 500
FUNCTION_LINES_MAX: Final = 60
VAGUE_NAMES: Final = frozenset(
    {"base", "common", "helper", "helpers", "manager", "misc", "shared", "stuff", "util", "utils"}
)
MACHINE_PATHS: Final = re.compile(
    r"(?<![\w./$}~])/(?:home|root|Users|work|mnt|media)/[\w.-]+|[A-Z]:\\Users\\"
)
POSTPONED: Final = re.compile(r"\b(?:T[O]DO|FI[X]ME|X[X]X|HA[C]K)\b")


def long_file(text: str) -> list[str]:
    """Refuse a file with more lines than anybody reads at once."""
    lines = len(text.splitlines())
    return [f"has {lines} lines, over {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []


def functions(
    tree: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function with its qualified name, outer before inner."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        else:
            yield from functions(node, prefix)


def long_functions(text: str) -> dict[str, int]:
    """Return the functions that do not fit a screen, with their number of lines."""
    sizes = {
        name: (node.end_lineno or node.lineno) - node.lineno + 1 for name, node in functions(ast.parse(text))
    }
    return {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX}


def vague_name(path: str) -> list[str]:
    """Refuse a module or folder whose name does not say what it is for."""
    words = path.removesuffix(".py").split("/")
    return [f"is called {word!r}, which does not say what it is for" for word in words if word in VAGUE_NAMES]


def docstring(text: str) -> list[str]:
    """Ask for the sentence that says why the module exists, ending its first line."""
    if not text.strip():
        return ["is empty; say in a docstring what the package holds"]
    lines = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    if not lines:
        return ["has no docstring that says why it exists"]
    return [] if lines[0].endswith((".", ":", "?")) else [f"starts with half a sentence: {lines[0]!r}"]


def machine_paths(text: str) -> list[str]:
    """Refuse paths that exist on one person's machine only."""
    return [f"line {number} names {found[0]}" for number, found in found_in(MACHINE_PATHS, text)]


def postponed(text: str) -> list[str]:
    """Refuse notes about work to be done: it is done, or it is an issue."""
    return [f"line {number} postpones work: {found[0]}" for number, found in found_in(POSTPONED, text)]


def found_in(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield each match with its line number."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in pattern.finditer(line):
            yield number, match


def broad_handlers(text: str) -> list[str]:
    """Refuse `except Exception` without a reason on its line: it stands only where bad things must stop."""
    lines = text.splitlines()
    return [
        f"line {node.lineno} catches everything without saying why (# noqa: BLE001 - why here)"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or any(name in {"Exception", "BaseException"} for name in caught(node.type)))
        and not re.search(r"#.*\w{3,}.* .*\w{3,}", lines[node.lineno - 1].replace("noqa: BLE001", ""))
        and not reraises(node)
    ]


def caught(expression: ast.expr) -> list[str]:
    """Return the plain names in an `except` clause."""
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def reraises(handler: ast.ExceptHandler) -> bool:
    """Say whether the handler ends by raising what it caught: such a one hides nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def public_names(text: str) -> tuple[set[str], set[str]]:
    """Return what a package's `__init__` shows of our own, and what its `__all__` promises."""
    visible: set[str] = set()
    promised: set[str] = set()
    for node in top_level(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=source, names=names, level=level):
                if level or str(source).startswith("tradewind"):
                    visible |= {alias.asname or alias.name for alias in names}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                visible.add(name)
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                promised = set(ast.literal_eval(value))
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                visible.add(name)
            case _:
                pass
    return {name for name in visible if not name.startswith("_")}, promised


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a module, with those under `if TYPE_CHECKING:` in their place."""
    for node in tree.body:
        if isinstance(node, ast.If):
            yield from node.body
        else:
            yield node
