"""Many tasks may run at once, but only so many of them as a pool has slots.

Each download takes 32 slots of the pool "default", which has 128 unless you change it: four run at a time, the others
wait, and `tradewind tasks why` says for whom. A pool of your own is made by `tradewind pools set downloads 4`.
"""

from datetime import timedelta

from tradewind import DAG
from tradewind.operators import EmptyOperator, PythonOperator

STATIONS = ("airport", "harbour", "university", "stadium", "lake", "hill")
SECONDS = 0.5


def download(station, ctx):
    """Stand in for something slow that a server allows only a few times at once."""
    ctx.wait(SECONDS)
    return f"{station}: done"


with DAG("parallel_with_pool", tags=["example"], doc=__doc__):
    begin = EmptyOperator(task_id="begin")
    end = EmptyOperator(task_id="end")
    downloads = [
        PythonOperator(
            task_id=f"download_{station}",
            python_callable=download,
            op_kwargs={"station": station},
            pool="default",
            pool_slots=32,
            priority_weight=10 if station == "airport" else 1,  # it goes first when slots are short
            execution_timeout=timedelta(minutes=5),
        )
        for station in STATIONS
    ]
    begin >> downloads >> end
