"""Answers a task's questions in this process, from memory: for ``dag.test()`` and for tests of operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tradewind.domain.records import MapIndex
from tradewind.errors import RuntimeApiError
from tradewind.runtime.task.xcom_rows import select_rows

Pushed = dict[str, dict[MapIndex, dict[str, str]]]  # task id -> map index -> key -> JSON text


class LocalStore:
    """What the tasks of one run share: XComs, states, rendered fields, connections, variables.

    ``connection`` and ``variable`` look one up and return None when there is none. ``trigger`` and ``run_state``
    answer the verbs about other runs; without them such a question is refused.
    """

    def __init__(
        self,
        *,
        connection: Callable[[str], Mapping[str, Any] | None] = lambda _: None,
        variable: Callable[[str], str | None] = lambda _: None,
        trigger: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        run_state: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.xcoms: Pushed = {}
        self.states: dict[tuple[str, MapIndex], dict[str, str]] = {}
        self.rendered: dict[tuple[str, MapIndex], dict[str, str]] = {}
        self.variables: dict[str, str] = {}
        self.connection = connection
        self.variable = variable
        self.trigger = trigger
        self.run_state = run_state

    def put(self, task_id: str, index: MapIndex, xcoms: Mapping[str, str]) -> None:
        """Store an attempt's XComs as JSON texts."""
        if xcoms:
            self.xcoms.setdefault(task_id, {}).setdefault(index, {}).update(xcoms)

    def clear(self, task_id: str, index: MapIndex) -> None:
        """Forget an instance's XComs: a new try starts."""
        self.xcoms.get(task_id, {}).pop(index, None)


class LocalData:
    """The questions of one instance, answered from a :class:`LocalStore`."""

    def __init__(self, store: LocalStore, task_id: str, index: MapIndex = ()) -> None:
        self._store = store
        self._task_id = task_id
        self._index = index
        self._verbs: dict[str, Callable[[dict[str, Any]], Any]] = {
            "xcom_get": self._xcom_get,
            "xcom_put": self._xcom_put,
            "connection_get": self._connection_get,
            "variable_get": self._variable_get,
            "variable_set": self._variable_set,
            "state_get": self._state_get,
            "state_set": self._state_set,
            "run_trigger": self._run_trigger,
            "run_state": self._run_state,
            "rendered_put": self._rendered_put,
        }

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Return the answer; ``RuntimeApiError`` for a verb that is not known."""
        answer = self._verbs.get(verb)
        if answer is None:
            raise RuntimeApiError(f"a task cannot ask for {verb!r}; it may ask for {', '.join(self._verbs)}")
        return answer(arguments)

    def _xcom_get(self, arguments: dict[str, Any]) -> Any:
        if arguments.get("run_id") or arguments.get("dag_id"):
            raise RuntimeApiError("a test run has no other runs, so their XComs cannot be read")
        exact = arguments.get("map_index")
        pushed = self._store.xcoms.get(arguments["task_id"], {})
        chosen = pushed if exact is None else {tuple(exact): pushed.get(tuple(exact), {})}
        key = arguments["key"]
        rows = [(index, texts[key]) for index, texts in chosen.items() if key in texts]
        return select_rows(rows, arguments)

    def _xcom_put(self, arguments: dict[str, Any]) -> None:
        self._store.put(self._task_id, self._index, {arguments["key"]: arguments["value"]})

    def _connection_get(self, arguments: dict[str, Any]) -> dict[str, Any] | None:
        found = self._store.connection(arguments["conn_id"])
        return None if found is None else dict(found)

    def _variable_get(self, arguments: dict[str, Any]) -> str | None:
        key = arguments["key"]
        return self._store.variables[key] if key in self._store.variables else self._store.variable(key)

    def _variable_set(self, arguments: dict[str, Any]) -> None:
        self._store.variables[arguments["key"]] = arguments["value"]

    def _state_get(self, _arguments: dict[str, Any]) -> dict[str, str]:
        return dict(self._store.states.get((self._task_id, self._index), {}))

    def _state_set(self, arguments: dict[str, Any]) -> None:
        state = self._store.states.setdefault((self._task_id, self._index), {})
        for key, text in arguments["values"].items():
            if text is None:
                state.pop(key, None)
            else:
                state[key] = text

    def _run_trigger(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._store.trigger is None:
            raise RuntimeApiError(
                f'a test run starts no other runs, so DAG "{arguments["dag_id"]}" was not triggered'
            )
        return self._store.trigger(arguments)

    def _run_state(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if self._store.run_state is None:
            return {"state": None, "tasks": {}}
        return self._store.run_state(arguments)

    def _rendered_put(self, arguments: dict[str, Any]) -> None:
        self._store.rendered.setdefault((self._task_id, self._index), {}).update(arguments["fields"])
