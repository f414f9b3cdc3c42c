"""`dags check` and `dags test` need neither database nor server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dagbag.conftest import NoRules
from tradewind.dagbag import CheckError, check_paths, find_dag_file, load_dag_in_process
from tradewind.domain.spec import DagSpec
from tradewind.errors import AuthorError, NotFoundError
from tradewind.hookspecs import TemplateName

Write = Callable[..., Path]


def test_a_good_folder_is_good(write: Write, folder: Path) -> None:
    write("sales.py")
    write("team/stock.py")
    write("broken_but_no_dag.py", "1 / 0")
    assert check_paths([folder]) == (True, [])


def test_every_error_has_its_file_and_line(write: Write, folder: Path) -> None:
    write("good.py")
    write("zero.py", "import tradewind\n\n1 / 0\n")
    write("two.py", "from tradewind import DAG\nDAG('a/b')\nDAG('c/d')\n")
    ok, errors = check_paths([folder])
    assert ok is False
    assert [(error.file, error.line) for error in errors] == [
        (str(folder / "two.py"), 2),
        (str(folder / "two.py"), 3),
        (str(folder / "zero.py"), 3),
    ]
    assert errors[2].message == "ZeroDivisionError: division by zero"


def test_a_single_file_is_checked_as_it_lies_in_the_dag_folder(write: Write, folder: Path) -> None:
    write("tags.py", "TAG = 'x'")
    path = write(
        "team/sales.py", "from tags import TAG\nfrom tradewind import DAG\nDAG('sales', tags=[TAG])\n"
    )
    assert check_paths([path], folder=folder) == (True, [])
    ok, errors = check_paths([path])
    assert (ok, [error.message for error in errors]) == (
        False,
        ["ModuleNotFoundError: No module named 'tags'"],
    )


def test_a_file_that_was_named_is_checked_whatever_is_in_it(write: Write) -> None:
    path = write("notes.py", "1 / 0")
    assert check_paths([path]) == (
        False,
        [CheckError(file=str(path), line=1, message="ZeroDivisionError: division by zero")],
    )


def test_two_files_with_one_dag_id_are_an_error_of_the_later_one(write: Write, folder: Path) -> None:
    first = write("a.py", "from tradewind import DAG\nDAG('sales')\n")
    second = write("b.py", "from tradewind import DAG\n\nDAG('sales')\n")
    message = f'DAG "sales" is defined in two files: {first} and {second}. Rename one of them.'
    assert check_paths([folder]) == (False, [CheckError(file=str(second), line=3, message=message)])


def test_policies_are_asked(write: Write, folder: Path) -> None:
    class NoDags(NoRules):
        def apply_policies(self, spec: DagSpec) -> DagSpec:
            raise AuthorError(f"no {spec.dag_id} here", line=spec.line)

    path = write("sales.py", "from tradewind import DAG\nDAG('sales')\n")
    assert check_paths([folder], rules=NoDags()) == (
        False,
        [CheckError(file=str(path), line=2, message="no sales here")],
    )


def test_warnings_are_told_and_no_error(write: Write, folder: Path) -> None:
    path = write("sales.py", "from tradewind import dag\n\n@dag()\ndef sales():\n    pass\n")
    warnings: list[CheckError] = []
    assert check_paths([folder], warn=warnings.append) == (True, [])
    assert [(warning.file, "sales()" in warning.message) for warning in warnings] == [(str(path), True)]


def test_what_is_not_there_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file or folder"):
        check_paths([folder / "nothing.py"])


def test_a_dag_is_found_by_its_id(write: Write, folder: Path) -> None:
    write("broken.py", "import tradewind\n1 / 0  # sales\n")
    write("stock.py")
    path = write("names.py", "from tradewind import DAG\nfor letter in 'xy':\n    DAG('made_' + letter)\n")
    assert find_dag_file("stock", folder=folder) == folder / "stock.py"
    assert find_dag_file("made_y", folder=folder) == path
    with pytest.raises(NotFoundError) as caught:
        find_dag_file("sales", folder=folder)
    assert str(caught.value) == (
        f'No file in {folder} makes a DAG "sales". DAGs: (and what broken.py:2 would make: ZeroDivisionError:'
        " division by zero), made_x, made_y, stock."
    )


def test_a_dag_is_loaded_into_this_process(write: Write, folder: Path) -> None:
    path = write("sales.py")
    names = [TemplateName(name="shout", target="json:dumps")]
    dag = load_dag_in_process(path, "sales", folder=folder, names=names)
    assert (dag.dag_id, [task.task_id for task in dag.tasks]) == ("sales", ["load"])
    assert dag.user_defined_macros["shout"]("x") == '"x"'
    with pytest.raises(NotFoundError, match=r'makes no DAG "stock". It makes: sales\.'):
        load_dag_in_process(path, "stock", folder=folder)
