"""Four ways to make instances of one task: each with each, side by side, one dict per instance, and changed on the way.

The lists may be written down, as here, or be the outputs of other tasks; how long they are is found out at run time.
"""

from tradewind import dag, task


@dag(tags=["example"], doc=__doc__)
def expand():
    @task
    def sizes() -> list[int]:
        return [1, 2, 3]

    @task
    def area(width: int, height: int, unit: str) -> str:
        return f"{width * height} {unit}"

    found = sizes()
    # cross product: six instances, the last argument changes fastest
    area.override(task_id="each_with_each").partial(unit="m²").expand(width=found, height=[10, 20])
    # one dict of arguments per instance
    area.override(task_id="one_dict_each").partial(unit="cm²").expand_kwargs(
        [{"width": 2, "height": 3}, {"width": 4, "height": 5}]
    )

    @task
    def describe(pair: tuple[int, str]) -> str:
        return f"{pair[1]} has {pair[0]}"

    # side by side, as long as the shorter list
    describe.override(task_id="side_by_side").expand(pair=found.zip(["a", "b", "c", "d"]))

    @task
    def square(number: int) -> int:
        return number**2

    # changed on the way, without a task of its own
    square.override(task_id="changed").expand(number=found.map(lambda size: size + 10))


expand()
