"""A sensor waits until something is so; in the mode "reschedule" it needs neither slot nor process between two looks.

`deliver` stands in for the partner who brings the file late: the sensor looks before, and finds nothing.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

from tradewind import DAG, task
from tradewind.sensors import PythonSensor


def place_of(run_id: str) -> Path:
    return Path(tempfile.gettempdir(), f"tradewind-example-{run_id.replace(':', '')}.txt")


def has_come(run_id: str) -> bool:
    return place_of(run_id).exists()


with DAG("wait_for_file", tags=["example"], doc=__doc__):
    wait = PythonSensor(
        task_id="wait",
        python_callable=has_come,
        mode="reschedule",
        poke_interval=timedelta(seconds=10),
        timeout=timedelta(hours=1),  # from the first look; then it fails, with soft_fail=True it is skipped
        priority_weight=5,
    )

    @task(weight_rule="absolute")
    def deliver(run_id: str) -> None:
        place_of(run_id).write_text("42", encoding="utf-8")

    @task
    def read(run_id: str) -> int:
        found = int(place_of(run_id).read_text(encoding="utf-8"))
        place_of(run_id).unlink()
        return found

    deliver()
    wait >> read()
