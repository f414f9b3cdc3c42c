"""Logs: keys no id can break out of, lines whatever was printed, limits, full disks."""

import errno
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.clock import StillClock
from tradewind.runtime.logs import AttemptLog, FileLogStore, log_key
from tradewind.runtime.logs.keys import quote_id


def lines(store: FileLogStore, key: str = "k/log.jsonl") -> list[tuple[str, str]]:
    data = store.read(key, 0, 1 << 30)
    assert data == b"" or data.endswith(b"\n")
    return [(line["stream"], line["message"]) for line in map(msgspec.json.decode, data.splitlines())]


@pytest.fixture
def store(tmp_path: Path) -> FileLogStore:
    return FileLogStore(tmp_path)


def new_log(store: FileLogStore, **limits: int) -> AttemptLog:
    return AttemptLog(store, "k/log.jsonl", StillClock(), **limits)


@pytest.mark.parametrize(
    ("ids", "key"),
    [
        (("sales", "manual__1", "load", (), 3), "sales/manual__1/load/000003.jsonl"),
        (("sales", "manual__1", "g.load", (3, 0), 1), "sales/manual__1/g.load@3.0/000001.jsonl"),
        (("..", "../../etc", ".", (), 1), "%2E%2E/..%2F..%2Fetc/%2E/000001.jsonl"),
        (("a b", "ü", "50%@", (), 1), "a%20b/%C3%BC/50%25%40/000001.jsonl"),
        (("", "r", "t", (), 1), "%/r/t/000001.jsonl"),
    ],
)
def test_a_key_is_made_of_ids_that_cannot_leave_their_place(
    ids: tuple[str, str, str, tuple[int, ...], int], key: str
) -> None:
    assert log_key(*ids) == key


@given(st.text(), st.text())
def test_different_ids_have_different_names_and_each_is_one_plain_part(one: str, other: str) -> None:
    quoted = quote_id(one)
    assert (quoted == quote_id(other)) == (one == other)
    assert "/" not in quoted
    assert "\0" not in quoted
    assert quoted not in {"", ".", ".."}
    assert len(quoted.encode()) <= 240


def test_a_long_id_stays_below_the_file_systems_limit(store: FileLogStore) -> None:
    key = log_key("d" * 250, "ü" * 250, "t", (), 1)
    store.append(key, b"{}\n")
    assert store.read(key) == b"{}\n"


def test_the_store_reads_ranges_lists_and_deletes(store: FileLogStore) -> None:
    for key in ("a/r/t/1.jsonl", "a/r/t@3/1.jsonl", "a/s/t/1.jsonl", "b/r/t/1.jsonl"):
        store.append(key, b"one\n")
    store.append("a/r/t/1.jsonl", b"two\n")
    assert (store.size("a/r/t/1.jsonl"), store.size("a/r/u/1.jsonl")) == (8, None)
    assert (store.read("a/r/t/1.jsonl", 4, 2), store.read("a/r/t/1.jsonl", 8), store.read("x/y")) == (
        b"tw",
        b"",
        b"",
    )
    assert list(store.keys("a/r/")) == ["a/r/t/1.jsonl", "a/r/t@3/1.jsonl"]
    assert store.delete("a/") == 3
    assert list(store.keys("")) == ["b/r/t/1.jsonl"]
    with pytest.raises(ValueError, match="is no log key"):
        store.read("../secrets.key")


def test_records_and_plain_lines_keep_their_order(store: FileLogStore) -> None:
    log = new_log(store)
    record = b'\x1e{"at":"t","level":"INFO","logger":"a","message":"rec","stream":"log"}\n'
    log.feed(b"plain\r\n" + record[:10])
    log.feed(record[10:] + b"\x1enot json\n\xff\xfe\nlast")
    log.system("ours")
    log.close()
    assert lines(store) == [
        ("stdout", "plain"),
        ("log", "rec"),
        ("stdout", "\x1enot json"),
        ("stdout", "\ufffd\ufffd"),
        ("system", "ours"),
        ("stdout", "last"),
    ]


@given(st.binary(max_size=300), st.integers(1, 20))
def test_nothing_that_is_printed_is_lost_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    data = data.replace(b"\x1e", b"").replace(b"\r", b"")
    store = FileLogStore(tmp_path_factory.mktemp("logs"))
    log = new_log(store)
    for start in range(0, len(data), size):
        log.feed(data[start : start + size])
        log.flush()
    log.close()
    text = data.decode("utf-8", "replace")
    expected = text.removesuffix("\n").split("\n") if text else []
    assert [message for _, message in lines(store)] == expected


def test_a_log_that_grows_too_long_ends_with_a_marker(store: FileLogStore) -> None:
    log = new_log(store, bytes_max=1_000)
    for number in range(100):
        log.feed(b"line %d\n" % number)
        log.flush()
    log.close()
    messages = [message for _, message in lines(store)]
    assert messages[-1] == "The log has reached 1000 bytes; the rest is dropped."
    assert messages[:-1] == [f"line {number}" for number in range(len(messages) - 1)]
    assert (store.size("k/log.jsonl") or 0) < 1_300


def test_secrets_are_hidden_across_chunks_and_from_the_moment_they_are_known(store: FileLogStore) -> None:
    log = new_log(store)
    log.hide(["s3cret/word"])
    log.feed(b"a s3cret")
    log.feed(b"/word b\nurl s3cret%2Fword\n")
    log.close()
    assert [message for _, message in lines(store)] == ["a *** b", "url ***"]


def test_a_full_disk_costs_lines_but_never_the_writer(
    store: FileLogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = new_log(store)
    log.feed(b"before\n")
    log.flush()
    write = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def part(fd: int, data: bytes) -> int:
        return write(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    log.feed(b"lost one\nlost two\n")
    log.flush()
    monkeypatch.setattr(os, "write", part)
    log.feed(b"half\nmore\n")
    log.flush()
    monkeypatch.setattr(os, "write", write)
    log.feed(b"after\n")
    log.close()
    messages = [message for _, message in lines(store)]
    assert (messages[0], messages[-1]) == ("before", "after")
    assert any(
        message.endswith("lines are missing: the disk of the log folder was full.") for message in messages
    )
