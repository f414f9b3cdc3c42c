"""What tasks wrote down about themselves, compared with what the database says of their attempts."""

from __future__ import annotations

from collections import Counter

from tests.acceptance.house import House
from tradewind.domain.records import MapIndex, format_map_index, parse_map_index

Ledger = dict[tuple[str, MapIndex], list[int]]  # tokens of the attempts that ran, in their order


def read(house: House) -> Ledger:
    """Return the ledger of the weather example."""
    path = house.home / "ledger.txt"
    found: Ledger = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        task_id, index, token = line.split()
        found.setdefault((task_id, parse_map_index(index.strip("-"))), []).append(int(token))
    return found


def check(house: House, dag_id: str, run_id: str) -> None:
    """No attempt ran twice, none ran unknown to the database, and each instance has one that counts."""
    attempts = house.attempts(dag_id, run_id)
    for place, tokens in read(house).items():
        assert Counter(tokens) == Counter(set(tokens)), f"{place} ran twice with one token"
        assert set(tokens) <= {attempt.token for attempt in attempts[place]}, f"{place} ran unknown"
    for row in house.snapshot(dag_id, run_id).instances:
        valid = [a.token for a in attempts[row.task_id, row.map_index] if a.outcome == "success"]
        ran = row.state.value == "success"
        assert valid == ([row.token] if ran else []), (row.task_id, format_map_index(row.map_index))
        # Tasks end in the order of their tokens: what ran last is what counts.
        assert not ran or read(house)[row.task_id, row.map_index][-1] == row.token
