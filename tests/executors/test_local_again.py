"""An executor that was stopped, because its scheduler lost the leadership, can be started again."""

from pathlib import Path

from tradewind.executors.local import LocalExecutor
from tradewind.runtime.clock import SystemClock
from tradewind.runtime.endpoints import connect
from tradewind.runtime.supervisor.options import WorkerOptions


def listens(options: WorkerOptions) -> bool:
    try:
        connect(options.socket_path).close()
    except OSError:
        return False
    return True


def test_it_listens_again_after_a_stop(tmp_path: Path) -> None:
    options = WorkerOptions(home=str(tmp_path), dags=str(tmp_path))
    options.run_path.mkdir(parents=True)
    executor = LocalExecutor(options, clock=SystemClock(), environment={}, spawn_worker=False)
    executor.start()
    executor.start()  # a leader whose first reads failed
    assert listens(options)
    executor.stop(kill_workers=False)
    assert not listens(options)
    executor.start()
    assert listens(options)
    assert executor.poll() == []
    executor.stop(kill_workers=False)
