"""Leadership terms: one row per shard whose number only grows. All times are database time."""

from __future__ import annotations

from datetime import datetime

from tradewind.domain.records import Term
from tradewind.metastore.instants import MICROSECONDS, from_us, seconds_to_us
from tradewind.metastore.session import Tx


def acquire(tx: Tx, shard: str, holder: str, lease_seconds: float) -> Term | None:
    """Take the leadership if it is free, over, or already the holder's. Waits for commits under the old term."""
    lease = seconds_to_us(lease_seconds)
    row = tx.one(
        f"SELECT number, holder, lease_until_at, {tx.now} FROM leader WHERE shard = ?{tx.dialect.update_lock}",
        (shard,),
    )
    if row is None:
        tx.run(
            "INSERT INTO leader (shard, holder, number, lease_us, lease_until_at) "
            f"VALUES (?, ?, ?, ?, {tx.now} + ?)",
            (shard, holder, 1, lease, lease),
        )
        return Term(shard=shard, holder=holder, number=1, lease_seconds=lease_seconds)
    number, present, lease_until, now_us = row
    if present != holder and lease_until > now_us:
        return None
    tx.run(
        f"UPDATE leader SET holder = ?, number = ?, lease_us = ?, lease_until_at = {tx.now} + ? WHERE shard = ?",
        (holder, number + 1, lease, lease, shard),
    )
    return Term(shard=shard, holder=holder, number=number + 1, lease_seconds=lease_seconds)


def renew(tx: Tx, term: Term) -> bool:
    """Extend the lease of the newest term; False for an older one."""
    matched = tx.run(
        f"UPDATE leader SET lease_until_at = {tx.now} + ? WHERE shard = ? AND number = ?",
        (seconds_to_us(term.lease_seconds), term.shard, term.number),
    )
    return matched == 1


def release(tx: Tx, term: Term) -> None:
    """End the lease of the newest term now; an older one changes nothing."""
    tx.run(
        f"UPDATE leader SET lease_until_at = {tx.now} - 1 WHERE shard = ? AND number = ?",
        (term.shard, term.number),
    )


def newest(tx: Tx, shard: str) -> tuple[Term, datetime] | None:
    """Return the newest term and the end of its lease."""
    row = tx.one("SELECT number, holder, lease_us, lease_until_at FROM leader WHERE shard = ?", (shard,))
    if row is None:
        return None
    number, holder, lease, lease_until = row
    return Term(shard=shard, holder=holder, number=number, lease_seconds=lease / MICROSECONDS), from_us(
        lease_until
    )
