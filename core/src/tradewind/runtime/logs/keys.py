"""Names a log: ids to path parts that no id can break out of."""

from __future__ import annotations

from tradewind.domain.records import MapIndex, format_map_index

PART_BYTES_MAX = 240  # file systems take 255
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~:+-")


def log_key(dag_id: str, run_id: str, task_id: str, map_index: MapIndex, token: int) -> str:
    """Return the key of an attempt's log: ``<dag>/<run>/<task>[@<map index>]/<token>.jsonl``.

    Different attempts have different keys. What is not a plain letter is written as ``%XX``.
    """
    task = quote_id(task_id)
    if map_index:
        task += "@" + format_map_index(map_index)
    return f"{run_prefix(dag_id, run_id)}{task}/{token:06d}.jsonl"


def run_prefix(dag_id: str, run_id: str) -> str:
    """Return what the keys of all logs of a run begin with."""
    return f"{quote_id(dag_id)}/{quote_id(run_id)}/"


def quote_id(text: str) -> str:
    """Return ``text`` as one part of a path; equal parts mean equal texts."""
    data = text.encode("utf-8", "surrogatepass")
    if text.strip(".") and len(data) <= PART_BYTES_MAX and _SAFE.issuperset(data):
        return text
    quoted = "".join(chr(byte) if byte in _SAFE else f"%{byte:02X}" for byte in data)
    if not text.strip("."):
        quoted = quoted.replace(".", "%2E") or "%"
    if len(quoted) > PART_BYTES_MAX:
        import hashlib

        quoted = quoted[: PART_BYTES_MAX - 65] + "%" + hashlib.sha256(data).hexdigest()
    return quoted
