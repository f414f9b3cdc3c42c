"""What a task process loads before user code runs: little."""

import subprocess
import sys

HEAVY = (
    "sqlalchemy",
    "jinja2",
    "click",
    "croniter",
    "jsonschema",
    "flask",
    "asyncio.events",
    "pluggy",
    "alembic",
    "rich",
)


def test_the_engine_loads_nothing_heavy() -> None:
    script = (
        "import sys, tradewind.runtime.task.execute, tradewind.runtime.task.logs, tradewind.runtime.task.mask\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() in {"[]", "['asyncio.events']"}


def test_one_operator_loads_no_other() -> None:
    script = (
        "import sys\n"
        "from tradewind.operators import EmptyOperator\n"
        "from tradewind.sensors import PokeReturn\n"
        "print(sorted(name for name in sys.modules if name.startswith(('tradewind.operators.', 'tradewind.sensors.'))))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "['tradewind.operators.empty', 'tradewind.sensors.waiting']"


def test_warming_loads_the_template_engine_only_for_templates() -> None:
    script = (
        "import sys\n"
        "from tradewind import DAG\n"
        "from tradewind.operators import BashOperator\n"
        "from tradewind.runtime.task.warm import warm\n"
        "with DAG('plain') as plain:\n"
        "    BashOperator(task_id='t', command='echo')\n"
        "with DAG('templated') as templated:\n"
        "    BashOperator.partial(task_id='t', env={'DAY': '{{ ds }}'}).expand(command=['echo'])\n"
        "for dag in (plain, templated):\n"
        "    warm([dag], 'dags.py')\n"
        "    print('jinja2' in sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]
