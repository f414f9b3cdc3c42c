"""What is answered to ``xcom_get``: no more than was asked for."""

from typing import Any

import pytest

from tradewind.runtime.task.xcom_rows import select_rows

ROWS = [((1, 0), '"b"'), ((0, 1), '"a1"'), ((0, 0), '"a0"'), ((10, 0), '"k"')]


@pytest.mark.parametrize(
    ("rows", "arguments", "answer"),
    [
        (ROWS, {}, [[[0, 0], '"a0"'], [[0, 1], '"a1"'], [[1, 0], '"b"'], [[10, 0], '"k"']]),
        (ROWS, {"prefix": [0]}, [[[0, 0], '"a0"'], [[0, 1], '"a1"']]),
        (ROWS, {"offset": 1, "limit": 2}, [[[0, 1], '"a1"'], [[1, 0], '"b"']]),
        (ROWS, {"prefix": [0], "offset": 1, "limit": 5}, [[[0, 1], '"a1"']]),
        (ROWS, {"offset": 9, "limit": 5}, []),
        ([((), '[1,{"a":[2]},"é"]')], {"item": 1}, {"item": '{"a":[2]}'}),
        ([((), '[1,{"a":[2]},"é"]')], {"item": 2}, {"item": '"é"'}),
        ([((), "[1]")], {"item": 1}, [[[], "[1]"]]),
        ([((), '{"a":1}')], {"item": 0}, [[[], '{"a":1}']]),
        ([], {"item": 0}, []),
    ],
)
def test_rows_that_were_asked_for(rows: Any, arguments: dict[str, Any], answer: Any) -> None:
    assert select_rows(rows, arguments) == answer
