"""Conformance of DAG files and of what tasks, people and processes keep."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from tradewind.domain.codec import spec_hash
from tradewind.domain.records import Batch, PoolRow, XComWrite
from tradewind.errors import ConflictError, NotFoundError
from tradewind.ports.metastore import Metastore
from tradewind.testing.conformance.metastore_rows import (
    AT,
    HOUR,
    add_dag,
    add_run,
    changed,
    committed,
    dag_spec,
    save,
)

NASTY_KEYS = ["A", "a", "é", "e", "😀", "100%", "what?", "it's", "back\\slash", 'quote"', "%s", ":x"]


def _sha(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def _new_events(store: Metastore, seen: int) -> list[tuple[str, str | None]]:
    return [(row.kind, row.dag_id) for row in store.events_after(seen, 100)]


class FileConformance:
    """Cases of DAG files and versions; ``store`` is a fixture, empty and fresh."""

    def test_a_new_dag(self, store: Metastore) -> None:
        spec = dag_spec(paused=True, description="😀 'x' %s")
        dag_id, version_id, new = save(store, spec, b"text \xff\x00")
        row = store.dag_row("sales")
        assert row is not None
        assert (dag_id, new) == ("sales", True)
        assert row == changed(
            add_dag(store, "other"), dag_id="sales", file="sales.py", version_id=version_id, paused=True
        )
        assert (row.version_number, row.first_seen_at, row.cursor_at, row.revision) == (1, AT, None, 0)
        assert store.spec(version_id) == spec
        assert store.source(version_id) == ("sales.py", _sha(b"text \xff\x00"), b"text \xff\x00")
        assert store.versions("sales") == [(version_id, 1, spec_hash(spec), AT)]
        assert [dag.dag_id for dag in store.dags()] == ["other", "sales"]

    def test_a_version_is_new_only_when_its_hash_differs(self, store: Metastore) -> None:
        _id, first, _new = save(store, dag_spec(), b"1")
        seen = store.last_event_id()
        assert save(store, dag_spec(), b"1", AT + HOUR) == ("sales", first, False)
        assert _new_events(store, seen) == []
        assert save(store, dag_spec(), b"1 # a comment", AT + HOUR) == ("sales", first, False)
        assert _new_events(store, seen) == [("dag.source", "sales")]
        assert store.source(first) == ("sales.py", _sha(b"1 # a comment"), b"1 # a comment")
        changed_spec = dag_spec(description="new")
        _id, second, new = save(store, changed_spec, b"2", AT + HOUR)
        assert new
        assert second != first
        assert _new_events(store, seen) == [("dag.source", "sales"), ("dag.version", "sales")]
        assert [row[:2] for row in store.versions("sales")] == [(second, 2), (first, 1)]
        row = store.dag_row("sales")
        assert row is not None
        assert (row.version_id, row.version_number, row.first_seen_at) == (second, 2, AT)
        assert (store.spec(first), store.spec(second)) == (dag_spec(), changed_spec)
        back = save(store, dag_spec(), b"1", AT + 2 * HOUR)
        assert back[2] is True
        assert [row[1] for row in store.versions("sales")] == [3, 2, 1]

    def test_paused_is_asked_only_of_a_new_dag(self, store: Metastore) -> None:
        save(store, dag_spec())
        save(store, dag_spec(paused=True), b"2")
        row = store.dag_row("sales")
        assert row is not None
        assert row.paused is False

    def test_new_dags_can_be_paused_by_the_installation(self, store: Metastore) -> None:
        save(store, dag_spec())
        specs = [(spec, spec_hash(spec)) for spec in (dag_spec(), dag_spec("new"))]
        store.save_file("sales.py", b"2", specs, now=AT, pause_new=True)
        assert {dag.dag_id: dag.paused for dag in store.dags()} == {"new": True, "sales": False}

    def test_several_dags_of_one_file(self, store: Metastore) -> None:
        specs = [dag_spec(name, file="many.py") for name in ("b", "a", "c")]
        saved = store.save_file("many.py", b"x", [(spec, spec_hash(spec)) for spec in specs], now=AT)
        assert [(dag_id, new) for dag_id, _version, new in saved] == [("b", True), ("a", True), ("c", True)]
        seen = store.last_event_id()
        left = specs[:2]
        store.save_file("many.py", b"y", [(spec, spec_hash(spec)) for spec in left], now=AT + HOUR)
        assert [(dag.dag_id, dag.missing_since_at) for dag in store.dags()] == [
            ("a", None),
            ("b", None),
            ("c", AT + HOUR),
        ]
        assert _new_events(store, seen) == [("dag.source", "b"), ("dag.source", "a"), ("dag.missing", "c")]
        assert store.files() == {"many.py": _sha(b"y")}

    def test_a_second_file_with_one_dag_id_is_refused(self, store: Metastore) -> None:
        save(store, dag_spec(file="first.py"))
        thief = dag_spec(file="second.py", description="mine")
        fine = dag_spec("fine", file="second.py")
        with pytest.raises(
            ConflictError, match=r'"sales" is defined in two files: first.py .* and second.py'
        ):
            store.save_file("second.py", b"x", [(s, spec_hash(s)) for s in (fine, thief)], now=AT)
        assert [dag.dag_id for dag in store.dags()] == ["sales"]
        assert store.files() == {"first.py": _sha(b"# v1")}

    def test_a_renamed_file_takes_its_dag_with_it(self, store: Metastore) -> None:
        _id, version, _new = save(store, dag_spec(file="old.py"))
        store.mark_missing(["old.py"], now=AT)
        spec = changed(dag_spec(file="old.py"), file="new.py")
        store.save_file("new.py", b"# v1", [(spec, "0" * 64)], now=AT + HOUR)
        row = store.dag_row("sales")
        assert row is not None
        assert (row.file, row.missing_since_at, row.version_number) == ("new.py", None, 2)
        assert row.version_id != version
        assert store.files() == {"new.py": _sha(b"# v1")}

    def test_missing_then_retired_then_back(self, store: Metastore) -> None:
        dag = add_dag(store)
        stays = add_dag(store, "stays")
        seen = store.last_event_id()
        store.mark_missing(["sales.py", "unknown.py"], now=AT)
        store.mark_missing(["sales.py"], now=AT + HOUR)
        assert store.dags() == [changed(dag, missing_since_at=AT), stays]
        assert "sales.py" not in store.files()
        assert store.retire_missing(AT) == []
        assert store.retire_missing(AT + timedelta(microseconds=1)) == ["sales"]
        assert store.retire_missing(AT + HOUR) == []
        assert store.dags() == [stays]
        assert store.dag_row("sales") == changed(dag, missing_since_at=AT, retired=True)
        assert save(store, dag_spec(), b"# v1", AT + HOUR) == ("sales", dag.version_id, False)
        assert store.dag_row("sales") == dag
        assert _new_events(store, seen) == [
            ("dag.missing", "sales"),
            ("dag.retired", "sales"),
            ("dag.restored", "sales"),
        ]

    def test_a_file_that_stops_parsing_keeps_its_dags(self, store: Metastore) -> None:
        dag = add_dag(store)
        seen = store.last_event_id()
        store.save_import_error("sales.py", "bad 😀 \0 \ud800", 3, "Traceback …", now=AT)
        store.save_import_error("sales.py", "bad 😀 \0 \ud800", 3, "Traceback …", now=AT + HOUR)
        store.save_import_error("other.py", "no module", None, "", now=AT)
        assert store.import_errors() == [
            ("other.py", None, "no module", "", AT),
            ("sales.py", 3, "bad 😀 ␀ ?", "Traceback …", AT),
        ]
        store.save_import_error("sales.py", "worse", 4, "T2", now=AT + HOUR)
        assert store.import_errors()[1] == ("sales.py", 4, "worse", "T2", AT)
        assert store.dag_row("sales") == changed(dag, failing_since_at=AT)
        assert _new_events(store, seen) == [("file.failing", None)] * 3
        assert save(store, dag_spec(), b"# v1", AT + HOUR) == ("sales", dag.version_id, False)
        assert store.dag_row("sales") == dag
        store.clear_import_error("other.py")
        store.clear_import_error("other.py")
        assert store.import_errors() == []

    def test_clearing_an_error_ends_the_failing(self, store: Metastore) -> None:
        dag = add_dag(store)
        store.save_import_error("sales.py", "bad", 1, "T", now=AT)
        store.clear_import_error("sales.py")
        assert store.dag_row("sales") == dag

    def test_a_file_without_dags_is_known(self, store: Metastore) -> None:
        assert store.save_file("empty.py", b"", [], now=AT) == []
        assert store.files() == {"empty.py": _sha(b"")}

    def test_versions_of_nothing(self, store: Metastore) -> None:
        assert store.versions("nothing") == []
        for read in (store.spec, store.source):
            with pytest.raises(NotFoundError, match="no DAG version with id 77"):
                read(77)

    def test_a_large_source_comes_back(self, store: Metastore) -> None:
        source = bytes(range(256)) * 8_192
        _id, version, _new = save(store, dag_spec(), source)
        assert store.source(version)[2] == source


class ValueConformance:
    """Cases of XComs, task state, connections, variables, pools and components."""

    def test_xcoms_come_in_index_order(self, store: Metastore) -> None:
        run_pk = add_run(store, add_dag(store)).run.pk
        indexes = [(10,), (2,), (0, 11), (0, 2), ()]
        writes = tuple(
            XComWrite(run_pk=run_pk, task_id="t", map_index=index, key=key, value=f'"{index}{key}"')
            for index in indexes
            for key in ("b", "a")
        )
        committed(store.commit(Batch(xcoms=writes)))
        ordered: list[tuple[int, ...]] = [(), (0, 2), (0, 11), (2,), (10,)]
        rows = [(index, key, f'"{index}{key}"', None) for index in ordered for key in ("a", "b")]
        assert store.xcoms(run_pk, "t") == rows
        assert store.xcoms(run_pk, "t", "a") == rows[::2]
        assert store.xcoms(run_pk, "t", map_index=(2,)) == rows[6:8]
        assert store.xcoms(run_pk, "t", "b", ()) == [rows[1]]
        assert store.xcoms(run_pk, "u") == []
        assert store.xcoms(run_pk + 1, "t") == []

    def test_xcoms_keep_any_key_and_a_mebibyte(self, store: Metastore) -> None:
        run_pk = add_run(store, add_dag(store)).run.pk
        values = {key: f'"{key}😀"' for key in NASTY_KEYS} | {"big": '"' + "é" * 524_287 + '"'}
        writes = tuple(
            XComWrite(run_pk=run_pk, task_id="t", map_index=(), key=key, value=value)
            for key, value in values.items()
        )
        committed(store.commit(Batch(xcoms=writes)))
        assert {key: value for _index, key, value, _ref in store.xcoms(run_pk, "t")} == values

    def test_task_state(self, store: Metastore) -> None:
        run_pk = add_run(store, add_dag(store)).run.pk
        assert store.task_state(run_pk, "t", ()) == {}
        store.set_task_state(run_pk, "t", (), {"a": "1", "b": "2", "gone": None})
        store.set_task_state(run_pk, "t", (), {"a": None, "b": '"😀"', "c": "3"})
        store.set_task_state(run_pk, "t", (0,), {"a": "other"})
        assert store.task_state(run_pk, "t", ()) == {"b": '"😀"', "c": "3"}
        assert store.task_state(run_pk, "t", (0,)) == {"a": "other"}
        with pytest.raises(NotFoundError, match="was deleted"):
            store.set_task_state(run_pk + 1, "t", (), {"a": "1"})

    def test_rendered_fields_of_the_newest_attempt(self, store: Metastore) -> None:
        assert store.rendered(5) == {}
        store.set_rendered(5, 2, {"sql": "select '😀' -- %s ?"})
        store.set_rendered(5, 1, {"sql": "old"})
        assert store.rendered(5) == {"sql": "select '😀' -- %s ?"}
        store.set_rendered(5, 2, {"sql": "new", "env": "{}"})
        assert store.rendered(5) == {"sql": "new", "env": "{}"}

    def test_connections(self, store: Metastore) -> None:
        assert store.connection("db") is None
        store.set_connection("db", "postgres", b"\x00\xff secret", "old", actor="cli:anna")
        store.set_connection("db", "mysql", b"", "new 😀", actor="cli:anna")
        store.set_connection("Db", "ssh", b"x", "", actor="cli:anna")
        assert store.connection("db") == ("mysql", b"")
        assert store.connections() == [("Db", "ssh", b"x", ""), ("db", "mysql", b"", "new 😀")]
        assert store.delete_connection("db", actor="cli:bo") is True
        assert store.delete_connection("db", actor="cli:bo") is False
        assert store.connections() == [("Db", "ssh", b"x", "")]
        assert [(row.kind, row.actor, row.data) for row in store.events_after(0, 10)] == [
            ("connection.set", "cli:anna", {"conn_id": "db", "conn_type": "postgres"}),
            ("connection.set", "cli:anna", {"conn_id": "db", "conn_type": "mysql"}),
            ("connection.set", "cli:anna", {"conn_id": "Db", "conn_type": "ssh"}),
            ("connection.deleted", "cli:bo", {"conn_id": "db"}),
        ]

    @pytest.mark.parametrize("key", NASTY_KEYS)
    def test_a_variable_of_any_name(self, store: Metastore, key: str) -> None:
        store.set_variable(key, b"1", False, "text", actor="a")
        assert store.variable(key) == (b"1", False)
        assert store.variables() == [(key, b"1", False, "text")]

    def test_variables(self, store: Metastore) -> None:
        for key in NASTY_KEYS:
            store.set_variable(key, b"1", False, "", actor="a")
        store.set_variable("a", b"\x00\xff", True, "secret", actor="a")
        assert store.variable("a") == (b"\x00\xff", True)
        assert store.variable("A") == (b"1", False)
        assert store.variable("missing") is None
        assert [row[0] for row in store.variables()] == sorted(NASTY_KEYS)
        assert store.delete_variable("a", actor="b") is True
        assert store.delete_variable("a", actor="b") is False
        last = store.events_after(store.last_event_id() - 2, 10)
        assert [(row.kind, row.data) for row in last] == [
            ("variable.set", {"key": "a"}),
            ("variable.deleted", {"key": "a"}),
        ]

    def test_pools(self, store: Metastore) -> None:
        store.set_pool("gpu", 2, "cards", actor="cli:anna")
        store.set_pool("gpu", 3, "more cards", actor="cli:anna")
        store.set_pool("default", 5, "", actor="cli:anna")
        assert store.pools() == [
            PoolRow(name="default", slots=5),
            PoolRow(name="gpu", slots=3, description="more cards"),
        ]
        with pytest.raises(ConflictError, match='Pool "default" cannot be deleted'):
            store.delete_pool("default", actor="cli:anna")
        assert store.delete_pool("gpu", actor="cli:anna") is True
        assert store.delete_pool("gpu", actor="cli:anna") is False
        assert [pool.name for pool in store.pools()] == ["default"]
        assert [row.kind for row in store.events_after(0, 10)] == ["pool.set"] * 3 + ["pool.deleted"]

    def test_components(self, store: Metastore) -> None:
        before = store.now()
        store.beat_component("scheduler-1", "scheduler", "höst", 2**22, {"runs": 3, "deep": {"a": [1]}})
        store.beat_component("worker-1", "worker", "h", 7, {})
        store.beat_component("worker-1", "worker", "h", 8, {"slots": 4})
        found = store.components()
        assert [row[:4] + row[5:] for row in found] == [
            ("scheduler-1", "scheduler", "höst", 2**22, {"runs": 3, "deep": {"a": [1]}}),
            ("worker-1", "worker", "h", 8, {"slots": 4}),
        ]
        slack = timedelta(milliseconds=1)
        assert all(before - slack <= row[4] <= store.now() + slack for row in found)
        store.forget_component("scheduler-1")
        store.forget_component("scheduler-1")
        assert [row[0] for row in store.components()] == ["worker-1"]
