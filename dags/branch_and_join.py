"""A branch chooses what runs; the tasks it did not choose are skipped, and a join goes on after any of them.

The join's trigger rule says so: `none_failed_min_one_success`. With the usual rule, `all_success`, it would be skipped
together with the branch that was not taken.
"""

from tradewind import Label, Param, dag, task


@dag(params={"amount": Param(120, type="integer", minimum=0)}, tags=["example"], doc=__doc__)
def branch_and_join():
    @task.branch
    def by_size(params) -> str:
        return "ask_manager" if params["amount"] > 100 else "approve"

    @task
    def ask_manager() -> str:
        return "a person decides"

    @task
    def approve() -> str:
        return "approved by rule"

    @task(trigger_rule="none_failed_min_one_success")
    def record(ti) -> str:
        taken = [one for one in ti.xcom_pull(["ask_manager", "approve"]) if one is not None]
        return f"recorded: {', '.join(taken)}"

    size, asked, approved, recorded = by_size(), ask_manager(), approve(), record()
    size >> Label("over 100") >> asked
    size >> Label("small") >> approved
    [asked, approved] >> recorded


branch_and_join()
