"""Programs and shell pipelines as tasks: the last line they print is their output, their exit code is their outcome.

Template values in a command are quoted for the shell, so that data cannot become code. A list of arguments needs no
shell at all. Exit code 99 means skipped.
"""

from tradewind import DAG, Param
from tradewind.operators import BashOperator

with DAG(
    "bash_pipeline", params={"weather": Param("snow", enum=["snow", "fog"])}, tags=["example"], doc=__doc__
):
    count = BashOperator(
        task_id="count",
        command="grep --count {{ params.weather }} data/seattle-weather.csv",
        cwd=".",  # seen from this file's folder
    )
    coldest = BashOperator(
        task_id="coldest",
        command="""
            set -eu
            grep "$WEATHER" data/seattle-weather.csv | sort --field-separator=, --key=4 --numeric-sort | head -1
        """,
        cwd=".",
        env={"WEATHER": "{{ params.weather }}"},
        append_env=True,
    )
    report = BashOperator(
        task_id="report",
        command=["echo", "{{ params.weather }} on", count.output, "days; the coldest:", coldest.output],
    )
