"""A DAG whose runs take parameters: each with a default, a JSON schema and a sentence that explains it.

`tradewind dags trigger params_form --conf '{"region": "us", "rows": 10}'` starts a run with other values; wrong ones
are refused before anything runs.
"""

from tradewind import Param, dag, task


@dag(
    params={
        "region": Param("eu", enum=["eu", "us", "asia"], description="Whose orders to export"),
        "rows": Param(100, type="integer", minimum=1, maximum=10_000, description="At most so many"),
        "since": Param("2026-01-01", type="string", format="date", description="Orders from this day on"),
        "notify": Param(
            [], type="array", items={"type": "string", "format": "email"}, description="Who is told"
        ),
    },
    tags=["example"],
    doc=__doc__,
)
def params_form():
    @task
    def export(params: dict) -> str:
        return f"{params['rows']} orders from {params['region']} since {params['since']}"

    @task
    def notify(what: str, region: str) -> str:
        return f"[{region}] {what}"

    notify(export(), "{{ params.region }}")


params_form()
