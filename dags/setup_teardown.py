"""What a setup makes, its teardown takes away, even when the work between them fails.

This run fails on purpose, as its work does. The folder is gone nevertheless, and clearing the failed task would make
it again first.
"""

import shutil
import tempfile
from pathlib import Path

from tradewind import Param, dag, setup, task, teardown
from tradewind.errors import Fail


@dag(
    params={"works": Param(False, type="boolean", description="Let the work succeed")},
    tags=["example"],
    doc=__doc__,
)
def setup_teardown():
    @setup
    def make_folder() -> str:
        return tempfile.mkdtemp(prefix="tradewind-example-")

    @task
    def work(folder: str, params: dict) -> int:
        if not params["works"]:
            raise Fail("the work fails on purpose; --conf '{\"works\": true}' lets it succeed")
        return Path(folder, "result.txt").write_text("done", encoding="utf-8")

    @teardown
    def remove_folder(folder: str) -> None:
        shutil.rmtree(folder)

    folder = make_folder()
    removed = remove_folder(folder)
    folder >> work(folder) >> removed


setup_teardown()
