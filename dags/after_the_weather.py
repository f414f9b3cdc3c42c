"""A DAG that waits for a task of another DAG, in the run of the same logical date.

Both start at 06:00. When the other run's report is there, this one goes on; when it failed, this one fails at once
instead of waiting in vain. Started by hand it needs the date of a run that exists: `--logical-date`.
"""

from datetime import UTC, datetime, timedelta

from tradewind import DAG, task
from tradewind.sensors import ExternalTaskSensor

with DAG(
    "after_the_weather",
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    tags=["example", "weather"],
    doc=__doc__,
):
    weather_is_ready = ExternalTaskSensor(
        task_id="weather_is_ready",
        external_dag_id="seattle_weather",
        external_task_ids="report",
        mode="reschedule",
        poke_interval=timedelta(seconds=10),
        timeout=timedelta(hours=3),
    )

    @task
    def announce(ds: str) -> str:
        return f"the weather report of {ds} is there"

    weather_is_ready >> announce()
