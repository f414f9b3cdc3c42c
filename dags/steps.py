"""A long task that is tried again goes on where it stopped: a step that is done is not done again.

`@step` stores what a function returned with the task instance; `ctx.state` is a small store that survives retries.
"""

from datetime import timedelta

from tradewind import dag, step, task


@step
def order(item: str) -> str:
    """Stand in for something that must not happen twice, such as a payment."""
    return f"{item} ordered"


@dag(tags=["example"], doc=__doc__)
def steps():
    @task(retries=2, retry_delay=timedelta(seconds=5))
    def shop(ctx) -> dict:
        ctx.state["tries"] = ctx.state.get("tries", 0) + 1
        ordered = [order("bread")]
        if ctx.ti.try_number == 1:
            raise ConnectionError("the line broke after the first order")
        ordered.append(order("butter"))
        return {"ordered": ordered, "tries": ctx.state["tries"]}

    shop()


steps()
