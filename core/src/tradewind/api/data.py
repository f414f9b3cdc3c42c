"""Answers the questions of task processes: XComs, connections, variables, state, other runs.

A question is answered only while its attempt is valid (its token is the instance's and the instance runs);
writes carry that as a guard in their own transaction, so that a fenced attempt changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from tradewind.domain.records import (
    Batch,
    Committed,
    Guard,
    InstanceRow,
    InstanceWrite,
    RunRow,
    XComWrite,
)
from tradewind.domain.states import TaskState
from tradewind.errors import MetastoreUnavailableError, NotFoundError, RuntimeApiError, TradewindError
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import LEASE_SECONDS, XCOM_BYTES_MAX, DataReply, DataRequest
from tradewind.runtime.task.xcom_rows import select_rows

STATE_BYTES_MAX = 64 * 1024  # of one value of a task's state: it is for marks and positions, not for data
WRITE_TRIES = 5  # a guarded write that keeps losing against heartbeats and the scheduler gives up

logger = logging.getLogger(__name__)


class Secrets(Protocol):
    """Where connections and variables come from."""

    def connection_get(self, conn_id: str) -> dict[str, Any] | None:
        """Return the connection's fields, or None."""
        ...

    def variable_get(self, key: str) -> str | None:
        """Return the variable's text, or None."""
        ...

    def variable_set(self, key: str, value: str, *, description: str = "", actor: str) -> None:
        """Create or replace a variable."""
        ...


class Trigger(Protocol):
    """Starts runs for tasks of other runs."""

    def __call__(
        self,
        dag_id: str,
        *,
        run_id: str | None,
        logical_date: datetime | None,
        conf: dict[str, Any],
        note: str,
        actor: str,
    ) -> tuple[RunRow, bool]:
        """Return the run and whether it was created by this call."""
        ...


class DataService:
    """One answer per question; never raises for what a task asks wrongly, the reply carries the text."""

    def __init__(self, store: Metastore, secrets: Secrets, trigger: Trigger) -> None:
        self._store = store
        self._secrets = secrets
        self._trigger = trigger
        self._verbs: Mapping[str, Callable[[InstanceRow, dict[str, Any]], Any]] = {
            "xcom_get": self._xcom_get,
            "xcom_put": self._xcom_put,
            "connection_get": self._connection_get,
            "variable_get": self._variable_get,
            "variable_set": self._variable_set,
            "state_get": self._state_get,
            "state_set": self._state_set,
            "source_get": self._source_get,
            "run_trigger": self._run_trigger,
            "run_state": self._run_state,
            "rendered_put": self._rendered_put,
        }

    def answer(self, request: DataRequest) -> DataReply:
        """Answer one question.

        ``MetastoreUnavailableError`` is raised: the question is asked again, and no task fails of it.
        """
        verb = self._verbs.get(request.verb)
        if verb is None:
            return DataReply(
                error=f'the runtime API has no verb "{request.verb}"; it knows {", ".join(self._verbs)}'
            )
        try:
            if request.verb == "source_get":  # asked before the claim, by the server that imports the file
                return DataReply(value=self._source_get(None, request.arguments))
            return DataReply(value=verb(self._valid_instance(request), request.arguments))
        except KeyError as error:
            return DataReply(error=f"{request.verb} needs the argument {error}")
        except MetastoreUnavailableError:
            raise
        except TradewindError as error:
            return DataReply(error=str(error))
        except Exception as error:  # the border of a request: what one task asks must not end the scheduler
            logger.exception("The question %r of instance %d failed", request.verb, request.instance_id)
            return DataReply(error=f"{request.verb} cannot be answered: {type(error).__name__}: {error}")

    def _valid_instance(self, request: DataRequest) -> InstanceRow:
        rows = self._store.instances([request.instance_id])
        if not rows or rows[0].state is not TaskState.RUNNING or rows[0].token != request.token:
            raise RuntimeApiError(
                "this attempt is no longer the valid one: it was cleared, cancelled or replaced"
            )
        return rows[0]

    # ---- XComs --------------------------------------------------------------------------------------------------

    def _xcom_get(self, row: InstanceRow, arguments: dict[str, Any]) -> Any:
        run_pk = row.run_pk
        if arguments.get("run_id") or arguments.get("dag_id"):
            run_pk = self._other_run(row, arguments).pk
        index = arguments.get("map_index")
        found = self._store.xcoms(
            run_pk,
            arguments["task_id"],
            arguments.get("key", "return_value"),
            None if index is None else tuple(index),
        )
        return select_rows([(map_index, value) for map_index, _key, value, _ref in found], arguments)

    def _other_run(self, row: InstanceRow, arguments: dict[str, Any]) -> RunRow:
        own = self._own_run(row)
        dag_id = arguments.get("dag_id") or own.dag_id
        run_id = arguments.get("run_id") or own.run_id
        run = self._store.find_run(dag_id, run_id)
        if run is None:
            raise NotFoundError(f'DAG "{dag_id}" has no run "{run_id}"')
        return run

    def _own_run(self, row: InstanceRow) -> RunRow:
        run = self._store.run_row(row.run_pk)
        assert run is not None, "a valid instance has a run"
        return run

    def _xcom_put(self, row: InstanceRow, arguments: dict[str, Any]) -> None:
        value: str = arguments["value"]
        if len(value.encode()) > XCOM_BYTES_MAX:
            raise RuntimeApiError(
                f'the value of XCom "{arguments["key"]}" has {len(value.encode()):,} bytes, more than the'
                f" {XCOM_BYTES_MAX:,} allowed. Store the data elsewhere and pass its path or key."
            )
        write = XComWrite(
            run_pk=row.run_pk, task_id=row.task_id, map_index=row.map_index, key=arguments["key"], value=value
        )
        self._guarded(row, Batch(xcoms=(write,)))

    def _guarded(self, row: InstanceRow, batch: Batch) -> None:
        for _try in range(WRITE_TRIES):
            write = InstanceWrite(row=row, guard=Guard(row.state, row.token), lease_seconds=LEASE_SECONDS)
            result = self._store.commit(Batch(instances=(write,), xcoms=batch.xcoms))
            if isinstance(result, Committed):
                return
            rows = self._store.instances([row.id])
            if not rows or rows[0].state is not row.state or rows[0].token != row.token:
                break
            row = rows[0]
        raise RuntimeApiError(
            "this attempt is no longer the valid one: it was cleared, cancelled or replaced"
        )

    # ---- connections, variables, state --------------------------------------------------------------------------

    def _connection_get(self, _row: InstanceRow, arguments: dict[str, Any]) -> dict[str, Any] | None:
        return self._secrets.connection_get(arguments["conn_id"])

    def _variable_get(self, _row: InstanceRow, arguments: dict[str, Any]) -> str | None:
        return self._secrets.variable_get(arguments["key"])

    def _variable_set(self, row: InstanceRow, arguments: dict[str, Any]) -> None:
        self._secrets.variable_set(arguments["key"], arguments["value"], actor=self._actor(row))

    def _state_get(self, row: InstanceRow, _arguments: dict[str, Any]) -> dict[str, str]:
        return self._store.task_state(row.run_pk, row.task_id, row.map_index)

    def _state_set(self, row: InstanceRow, arguments: dict[str, Any]) -> None:
        values: dict[str, str | None] = arguments["values"]
        for key, value in values.items():
            if value is not None and len(value.encode()) > STATE_BYTES_MAX:
                raise RuntimeApiError(
                    f'the state "{key}" has {len(value.encode()):,} bytes, more than the {STATE_BYTES_MAX:,} allowed'
                )
        self._store.set_task_state(row.run_pk, row.task_id, row.map_index, values)

    # ---- other runs ---------------------------------------------------------------------------------------------

    def _source_get(self, _row: InstanceRow | None, arguments: dict[str, Any]) -> dict[str, str]:
        file, sha, text = self._store.source(arguments["version_id"])
        return {"file": file, "sha": sha, "text": text.decode("utf-8", "surrogateescape")}

    def _run_trigger(self, row: InstanceRow, arguments: dict[str, Any]) -> dict[str, Any]:
        logical = arguments.get("logical_date")
        run, created = self._trigger(
            arguments["dag_id"],
            run_id=arguments.get("run_id"),
            logical_date=datetime.fromisoformat(logical) if logical else None,
            conf=arguments.get("conf") or {},
            note=arguments.get("note") or "",
            actor=self._actor(row),
        )
        return {"run_id": run.run_id, "created": created, "state": str(run.state)}

    def _run_state(self, _row: InstanceRow, arguments: dict[str, Any]) -> dict[str, Any]:
        run = self._find(arguments)
        if run is None:
            return {"state": None, "tasks": {}}
        snapshot = self._store.run(run.pk)
        tasks: dict[str, list[str]] = {}
        for instance in snapshot.instances if snapshot else ():
            tasks.setdefault(instance.task_id, []).append(str(instance.state))
        return {"state": str(run.state), "run_id": run.run_id, "tasks": tasks}

    def _find(self, arguments: dict[str, Any]) -> RunRow | None:
        dag_id = arguments["dag_id"]
        if arguments.get("run_id"):
            return self._store.find_run(dag_id, arguments["run_id"])
        at = datetime.fromisoformat(arguments["logical_date"])
        return self._store.find_run_at(dag_id, at)

    def _rendered_put(self, row: InstanceRow, arguments: dict[str, Any]) -> None:
        self._store.set_rendered(row.id, row.token, arguments["fields"])

    def _actor(self, row: InstanceRow) -> str:
        run = self._own_run(row)
        index = f"[{'.'.join(map(str, row.map_index))}]" if row.map_index else ""
        return f"task:{run.dag_id}/{run.run_id}/{row.task_id}{index}"
