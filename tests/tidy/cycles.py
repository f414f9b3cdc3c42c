"""Find import cycles: which of our modules imports which, wherever the import stands."""

import ast
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path


def imports(name: str, is_package: bool, text: str, known: frozenset[str]) -> set[str]:
    """Return the known modules that a module imports, also in functions and under TYPE_CHECKING.

    `from package import name` counts for the submodule of that name where there is one, and for the package
    otherwise. A module's own parents are left out: Python imports them before it, whatever it says.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        for target in targets(node, name if is_package else name.rpartition(".")[0]):
            while target and target not in known:
                target = target.rpartition(".")[0]  # noqa: PLW2901  a name inside a module means the module
            if target and target != name and not name.startswith(f"{target}."):
                found.add(target)
    return found


def targets(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the dotted names that an import statement may mean."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = node.module or ""
        if node.level:
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1]
            source = ".".join([*above, source] if source else above)
        yield from (f"{source}.{alias.name}" for alias in node.names)


def import_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for each module the modules it imports."""
    known = frozenset(modules)
    return {
        name: imports(name, path.name == "__init__.py", path.read_text(encoding="utf-8"), known)
        for name, path in modules.items()
    }


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return every group of modules that reach each other: Tarjan's strongly connected components."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_nodes: list[str] = []
    counter = count()
    groups: list[list[str]] = []

    def enter(node: str) -> Iterator[str]:
        numbers[node] = lowest[node] = next(counter)
        open_nodes.append(node)
        return iter(sorted(graph.get(node, ())))

    def leave(node: str) -> None:
        if lowest[node] == numbers[node]:
            at = open_nodes.index(node)
            group = sorted(open_nodes[at:])
            del open_nodes[at:]
            if len(group) > 1:
                groups.append(group)

    for start in sorted(graph):
        path = [] if start in numbers else [(start, enter(start))]
        while path:
            node, rest = path[-1]
            child = next(rest, None)
            if child is None:
                path.pop()
                leave(node)
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
            elif child not in numbers:
                path.append((child, enter(child)))
            elif child in open_nodes:
                lowest[node] = min(lowest[node], numbers[child])
    return sorted(groups)
