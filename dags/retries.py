"""A task that fails twice and succeeds on its third try.

The delay doubles from try to try: 5, then 10 seconds. What is not worth a second try is named by `no_retry_on`; a
task that knows it can never succeed raises `Fail`. A worker that dies costs no retry.
"""

from datetime import timedelta

from tradewind import dag, task


class ServerIsDownError(Exception):
    """What passes by itself."""


@dag(tags=["example"], doc=__doc__)
def retries():
    @task(
        retries=5,
        retry_delay=timedelta(seconds=5),
        retry_backoff=2,
        retry_delay_max=timedelta(minutes=1),
        no_retry_on=ValueError,
    )
    def fetch(ti) -> str:
        if ti.try_number < 3:
            raise ServerIsDownError(f"try {ti.try_number}: the server does not answer")
        return f"fetched on try {ti.try_number}"

    fetch()


retries()
