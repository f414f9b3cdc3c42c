"""Whatever a DAG file does, it ends as an error on that file, and its neighbours are none the wiser."""

import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.dagbag.conftest import DAG, Driver
from tradewind.dagbag.messages import SOURCE_BYTES_MAX, ParseLimits
from tradewind.dagbag.parse import ParsedFile, Parser

SECONDS_MAX = 2.0
LIMITS = ParseLimits(seconds_max=SECONDS_MAX, memory_mb_max=512, processes=2)

HEAD = "from tradewind import DAG, task\n"
HOSTILE: dict[str, tuple[str, int | None, str]] = {
    "syntax error": ("def (:\n    pass", 2, "SyntaxError: invalid syntax"),
    "an error in what it calls": ("import json\njson.loads('{')", 3, "JSONDecodeError: "),
    "endless loop": (
        "x = 0\nwhile True:\n    x += 1",
        None,
        "Importing it took longer than 2 s and was stopped.",
    ),
    "endless sleep": (
        "import time\ntime.sleep(1e9)",
        3,
        "Importing it took longer than 2 s and was stopped.",
    ),
    "alarms switched off": (
        (
            "import signal\nfor s in range(1, 32):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n"
            "    except OSError:\n        pass\nwhile True:\n    pass"
        ),
        None,
        "Importing it took longer than 2 s and was stopped.",
    ),
    "os._exit": (
        "import os\nos._exit(0)",
        None,
        "It ended the process with exit code 0 while it was imported.",
    ),
    "sys.exit": ("import sys\nsys.exit(3)", 3, "It ended the program while it was imported: SystemExit(3)."),
    "interrupt": ("raise KeyboardInterrupt", 2, "KeyboardInterrupt"),
    "segfault": ("import ctypes\nctypes.string_at(0)", 3, "Importing it crashed the interpreter: SIGSEGV."),
    "abort": ("import os\nos.abort()", 3, "Importing it crashed the interpreter: SIGABRT."),
    "kills itself": (
        "import os\nos.kill(os.getpid(), 9)",
        None,
        "Importing it crashed the interpreter: SIGKILL.",
    ),
    "kills the parse server": (
        "import os\nos.kill(os.getppid(), 9)\nwhile True: pass",
        None,
        "Importing it ended or stopped the process that parses",
    ),
    "stops the parse server": (
        "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)",
        None,
        "Importing it ended or stopped the process that parses",
    ),
    "fork bomb": (
        "import os\nwhile True:\n    os.fork()",
        None,
        "It started more than 64 processes",
    ),
    "fork bomb whose parents leave": (
        "import os\nwhile True:\n    if os.fork():\n        os._exit(0)",
        None,
        "It ended the process with exit code 0 while it was imported.",
    ),
    "threads for ever": (
        "import threading\nfor _ in range(5):\n    threading.Thread(target=threading.Event().wait).start()\n1 / 0",
        5,
        "ZeroDivisionError: division by zero",
    ),
    "memory": ("x = bytearray(2**40)", 2, "MemoryError"),
    "memory by and by": ("x = []\nwhile True:\n    x.append(bytearray(1_000_000))", 4, "MemoryError"),
    "deep recursion": ("def f():\n    return f()\nf()", 3, "RecursionError: "),
    "deep nesting": ("x = " + "(" * 5000 + ")" * 5000, None, "SyntaxError: too many nested parentheses"),
    "100,000 tasks": (
        (
            "from tradewind.operators import EmptyOperator\nwith DAG('many'):\n    for i in range(100_000):\n"
            "        EmptyOperator(task_id=f't{i}')"
        ),
        3,
        'DAG "many" has 100,000 tasks; at most 50,000 are allowed.',
    ),
    "50 MB string": (
        "with DAG('fat', doc='x' * 50_000_000):\n    task(lambda: 1, task_id='t') if False else None",
        2,
        'DAG "fat" has doc=',
    ),
    "a name with ../": (
        "DAG('../../etc/passwd')",
        2,
        "DAG: the dag_id '../../etc/passwd' has '/' at position 3",
    ),
    "one id twice": ("DAG('twin')\nDAG('twin')", 3, 'The dag_id "twin" is given twice:'),
    "a cycle": (
        (
            "with DAG('round'):\n    @task\n    def a(): ...\n    @task\n    def b(): ...\n    x = a()\n    y = b()\n"
            "    x >> y >> x"
        ),
        None,
        'The tasks of DAG "round" wait for each other: a >> b >> a',
    ),
    "an unserialisable default": (
        "DAG('odd', params={'thing': object()})",
        2,
        'DAG "odd": the default of param "thing"',
    ),
    "not UTF-8": ("", None, "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9"),
    "a NUL": ("x = '\0'", None, "SyntaxError: source code string cannot contain null bytes"),
    "an exception without words": (
        "class Bad(Exception):\n    def __str__(self):\n        raise ValueError\nraise Bad",
        5,
        "Bad: (its text cannot be made)",
    ),
    "writes into the channel": (
        (
            "import os\nfor fd in range(3, 40):\n    try:\n        os.write(fd, b'\\x04\\x00\\x00\\x00oops')\n"
            "    except OSError:\n        pass\nos._exit(0)"
        ),
        None,
        "It wrote into the channel of the process that parses DAG files.",
    ),
    "announces a giant answer": (
        (
            "import os\nfor fd in range(3, 40):\n    try:\n        os.write(fd, b'\\xff' * 8)\n"
            "    except OSError:\n        pass\nos._exit(7)"
        ),
        None,
        "It ended the process with exit code 7 while it was imported.",
    ),
    "closes everything": (
        "import os\nos.closerange(0, 1000)",
        None,
        "It ended the process with exit code 1 while it was imported.",
    ),
    "prints without end": ("while True:\n    print('x' * 1000)", None, "Importing it took longer than 2 s"),
}
NEEDS_NOT_UTF8 = {"not UTF-8": HEAD.encode() + b"DAG('caf\xe9')\n"}


def source_of(name: str) -> bytes:
    return NEEDS_NOT_UTF8.get(name, (HEAD + HOSTILE[name][0] + "\n").encode())


def good(dag_id: str) -> bytes:
    return textwrap.dedent(DAG.format(dag_id=dag_id)).encode()


def parse(folder: Path, files: dict[str, bytes]) -> dict[str, ParsedFile]:
    with Parser(folder, LIMITS) as parser:
        return {result.file: result for result in parser.parse_all(files)}


def strays() -> list[str]:
    """Return the processes below this one, but for those that only wait to be collected."""
    return [
        process.name()
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_and_its_neighbours_are_fine(name: str, folder: Path) -> None:
    _, line, said = HOSTILE[name]
    files = {
        "good_a.py": good("a"),
        "bad.py": source_of(name),
        "good_b.py": good("b"),
        "good_c.py": good("c"),
    }
    before = strays()
    found = parse(folder, files)
    assert sorted(found) == sorted(files)
    assert {file: [spec.dag_id for spec, _ in result.dags] for file, result in found.items()} == {
        "bad.py": [],
        "good_a.py": ["a"],
        "good_b.py": ["b"],
        "good_c.py": ["c"],
    }
    errors = {file: result.errors for file, result in found.items() if result.errors}
    assert list(errors) == ["bad.py"]
    first = errors["bad.py"][0]
    assert first.message.startswith(said)
    assert len(first.message) < 25_000
    if line is not None:
        assert first.line == line
    assert strays() == before


def test_a_stuck_file_tells_its_line(folder: Path) -> None:
    source = b"import tradewind\n\n\ndef wait():\n    while True:\n        pass\n\n\nwait()\n"
    (error,) = parse(folder, {"stuck.py": source})["stuck.py"].errors
    assert error.line in {5, 6}
    assert f'File "{folder}/stuck.py"' in error.traceback


def test_what_a_failing_file_printed_is_kept_with_its_error(folder: Path) -> None:
    source = b"import sys, tradewind\nprint('badly', file=sys.stderr, flush=True)\n1 / 0\n"
    (error,) = parse(folder, {"bad.py": source})["bad.py"].errors
    assert "badly" in error.traceback
    assert "ZeroDivisionError" in error.traceback
    assert "tradewind/dagbag" not in error.traceback


def test_children_of_a_file_that_is_done_are_ended(folder: Path) -> None:
    source = good("a") + (
        b"\nimport subprocess, os\n"
        b"subprocess.Popen(['sleep', '1000'])\n"
        b"subprocess.Popen(['setsid', 'sleep', '1001'])\n"
        b"if os.fork() == 0:\n    os.setsid()\n    os.fork()\n    import time\n    time.sleep(1000)\n"
    )
    before = strays()
    result = parse(folder, {"a.py": source})["a.py"]
    assert [spec.dag_id for spec, _ in result.dags] == ["a"]
    assert strays() == before


def test_a_file_that_is_too_long_is_not_even_parsed(folder: Path) -> None:
    (error,) = parse(folder, {"long.py": b"#" * (SOURCE_BYTES_MAX + 1)})["long.py"].errors
    assert error.message.startswith("The file has more than 4,194,304 bytes.")


def test_secrets_of_the_installation_are_not_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND__METASTORE__URL", "postgresql://canary")
    monkeypatch.setenv("TRADEWIND_CONN_PROD", "ssh://canary")
    monkeypatch.setenv("HARMLESS", "yes")
    source = (
        b"import os, tradewind\n"
        b"seen = [text for text in os.environ.values() if 'canary' in text]\n"
        b"raise ValueError(seen, os.environ['HARMLESS'])\n"
    )
    (error,) = parse(folder, {"nosy.py": source})["nosy.py"].errors
    assert error.message == "ValueError: ([], 'yes')"


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_do_not_pile_up(folder: Path) -> None:
    source = b"import os, tradewind\nraise ValueError(len(os.listdir('/proc/self/fd')))"
    with Parser(folder, LIMITS) as parser:
        first = [r.errors[0].message for r in parser.parse_all({"a.py": source})]
        for _ in range(5):
            list(parser.parse_all({f"{number}.py": good("x") for number in range(10)}))
        last = [r.errors[0].message for r in parser.parse_all({"a.py": source})]
        ours = descriptors()
    assert first == last
    assert descriptors() == ours - 1


def test_a_folder_of_hostile_files_holds_nobody_up(
    write: Callable[..., Path], drive: Callable[..., Driver]
) -> None:
    names = ("os._exit", "segfault", "syntax error", "kills the parse server", "a name with ../")
    for number, name in enumerate(names):
        write(f"bad_{number}.py", HEAD + HOSTILE[name][0])
    for number in range(20):
        write(f"good_{number}.py")
    driver = drive()
    started = time.monotonic()
    driver.look()
    assert sorted(driver.dags()) == sorted(f"good_{number}" for number in range(20))
    assert sorted(driver.errors()) == [f"bad_{number}.py" for number in range(len(names))]
    assert time.monotonic() - started < 30
