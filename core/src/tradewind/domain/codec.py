"""Stored and wired values to bytes and back: the only module that knows how they are encoded."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tradewind.domain.spec import DagSpec

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="deterministic")
_dag_decoder = msgspec.json.Decoder(DagSpec)


def encode(value: Any) -> bytes:
    """Return canonical JSON: keys sorted, no blanks; equal values give equal bytes.

    Raises ``TypeError`` for values JSON has no word for.
    """
    return _encoder.encode(value)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return ``data`` as ``kind``; raises ``msgspec.ValidationError`` when it is not one."""
    return msgspec.json.decode(data, type=kind)


def decode_dag(data: bytes | str) -> DagSpec:
    """Return the stored DagSpec; raises ``msgspec.ValidationError`` when it is not one."""
    return _dag_decoder.decode(data)


def spec_hash(spec: DagSpec) -> str:
    """Return the hex SHA-256 of the canonical form without line numbers: moving a DAG down a file changes nothing."""
    import hashlib  # 3 MB of OpenSSL, which processes that only run tasks can do without

    tasks = tuple(msgspec.structs.replace(task, line=None) for task in spec.tasks)
    bare = msgspec.structs.replace(spec, line=None, tasks=tasks)
    return hashlib.sha256(encode(bare)).hexdigest()
