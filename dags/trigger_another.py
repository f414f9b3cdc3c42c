"""A task that starts a run of another DAG, gives it parameters, and waits for its end without holding a slot.

The run's id is the task's output. Without `wait_for_completion` the task ends as soon as the other run is queued.
"""

from datetime import timedelta

from tradewind import DAG
from tradewind.operators import BashOperator, TriggerDagRunOperator

with DAG("trigger_another", tags=["example"], doc=__doc__):
    export = TriggerDagRunOperator(
        task_id="export",
        trigger_dag_id="params_form",
        conf={"region": "us", "rows": 10},
        note="started by {{ dag.dag_id }}, {{ run_id }}",
        wait_for_completion=True,
        poke_interval=timedelta(seconds=2),
    )
    export >> BashOperator(task_id="done", command=["echo", "ended:", export.output])
