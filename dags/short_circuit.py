"""A short circuit ends the run early: when its function returns something false, all that follows is skipped.

`skip_if` does the same for a single task, and a task can raise `Skip` itself.
"""

from tradewind import Param, dag, task
from tradewind.errors import Skip


@dag(params={"new_files": Param(0, type="integer", minimum=0)}, tags=["example"], doc=__doc__)
def short_circuit():
    @task.short_circuit
    def anything_new(params) -> bool:
        return params["new_files"] > 0

    @task
    def import_files(params) -> int:
        return params["new_files"]

    @task.skip_if(lambda context: context.params["new_files"] < 10, message="not worth a mail")
    @task
    def send_mail() -> str:
        return "sent"

    @task
    def archive(count: int) -> int:
        if count > 100:
            raise Skip("too many to archive by day")
        return count

    imported = import_files()
    anything_new() >> imported >> [send_mail(), archive(imported)]


short_circuit()
