"""Checks DAG files without database or server, as the DAG processor would: for ``dags check`` and ``dags test``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from tradewind.dagbag.discover import MARK, FolderGoneError, look, read
from tradewind.dagbag.load import split_path
from tradewind.dagbag.messages import SOURCE_BYTES_MAX, Finding, ParseLimits
from tradewind.dagbag.parse import ParsedFile, Parser
from tradewind.dagbag.sync import Rules, prepared
from tradewind.domain.spec import DagSpec
from tradewind.domain.timetable import TimetableFactory
from tradewind.errors import AuthorError, NotFoundError


class CheckError(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a file; ``file`` as it was given, or below the folder that was given."""

    file: str
    line: int | None
    message: str


class _Allows:
    """The rules of an installation without plugins."""

    def apply_policies(self, spec: DagSpec) -> DagSpec:
        """Leave the DAG as it is."""
        return spec

    def timetables(self) -> Mapping[str, TimetableFactory]:
        """Know none."""
        return {}


def check_paths(
    paths: Sequence[Path],
    *,
    folder: Path | None = None,
    limits: ParseLimits | None = None,
    rules: Rules | None = None,
    plugins_folder: Path | None = None,
    warn: Callable[[CheckError], None] | None = None,
) -> tuple[bool, list[CheckError]]:
    """Parse files, and all files of folders, each in a child with limits; return whether all are right, and errors.

    ``folder`` is the DAG folder: what lies in it is imported from there. ``rules`` are the plugins' policies and
    timetables. ``warn`` is told of warnings. Two files with one dag_id are an error of the later one.

    Raises:
        NotFoundError: a path is not there.
    """
    errors: list[CheckError] = []
    parsed: list[tuple[str, ParsedFile]] = []
    for place, files in _by_folder(paths, folder).items():
        sources = _read(files, errors)
        with Parser(place, limits or ParseLimits(), plugins_folder=plugins_folder) as parser:
            parsed += [(str(files[result.file]), result) for result in parser.parse_all(sources)]
    owners: dict[str, str] = {}
    for shown, result in sorted(parsed, key=lambda found: found[0]):
        errors += [_error(shown, finding) for finding in result.errors]
        if warn is not None:
            for finding in result.warnings:
                warn(_error(shown, finding))
        errors += _against_others(shown, result, owners, rules)
    return not errors, sorted(errors, key=lambda error: (error.file, error.line or 0, error.message))


def _read(files: Mapping[str, Path], errors: list[CheckError]) -> dict[str, bytes]:
    sources = {}
    for name, path in files.items():
        try:
            sources[name] = read(str(path), SOURCE_BYTES_MAX)[0]
        except OSError as error:
            errors.append(
                CheckError(
                    file=str(path), line=None, message=f"It cannot be read: {error.strerror or error}."
                )
            )
    return sources


def find_dag_file(
    dag_id: str, *, folder: Path, limits: ParseLimits | None = None, plugins_folder: Path | None = None
) -> Path:
    """Return the file of the DAG folder that makes a DAG; files that name it are tried first.

    Raises:
        NotFoundError: no file makes it; the text names the DAGs there are.
    """
    sources = {}
    for name in _listed(folder):
        source = read(str(folder / name), SOURCE_BYTES_MAX)[0]
        if MARK in source:
            sources[name] = source
    named = {name: source for name, source in sources.items() if dag_id.encode() in source}
    others = {name: source for name, source in sources.items() if name not in named}
    known: set[str] = set()
    for group in (named, others):
        with Parser(folder.absolute(), limits or ParseLimits(), plugins_folder=plugins_folder) as parser:
            for result in parser.parse_all(group):
                ids = {spec.dag_id for spec, _ in result.dags}
                if dag_id in ids:
                    return folder / result.file
                known |= ids
                if group is named and result.errors and not ids:
                    first = result.errors[0]
                    known.add(f"(and what {result.file}:{first.line or '?'} would make: {first.message})")
    raise NotFoundError(
        f'No file in {folder} makes a DAG "{dag_id}". DAGs: {", ".join(sorted(known)) or "none"}.'
    )


def _by_folder(paths: Iterable[Path], folder: Path | None) -> dict[Path, dict[str, Path]]:
    """Return folder to import from -> the name of a file there -> the file as it is shown."""
    found: dict[Path, dict[str, Path]] = {}
    for path in paths:
        if path.is_dir():
            inside = folder is not None and path.absolute().is_relative_to(folder.absolute())
            place = folder.absolute() if folder is not None and inside else path.absolute()
            for name in _listed(path):
                full = path.absolute() / name
                if MARK in read(str(full), SOURCE_BYTES_MAX)[0]:
                    found.setdefault(place, {})[full.relative_to(place).as_posix()] = path / name
        elif path.exists():
            place, name = split_path(path, folder)
            found.setdefault(place, {})[name] = path
        else:
            raise NotFoundError(f"There is no file or folder {path}.")
    return found


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(look(str(folder.absolute())).files)
    except FolderGoneError as error:
        raise NotFoundError(f"The folder {folder} cannot be read: {error}.") from None


def _error(file: str, finding: Finding) -> CheckError:
    return CheckError(file=file, line=finding.line, message=finding.message)


def _against_others(
    file: str, result: ParsedFile, owners: dict[str, str], rules: Rules | None
) -> list[CheckError]:
    errors = []
    for spec, _hash in result.dags:
        owner = owners.setdefault(spec.dag_id, file)
        if owner != file:
            text = f'DAG "{spec.dag_id}" is defined in two files: {owner} and {file}. Rename one of them.'
            errors.append(CheckError(file=file, line=spec.line, message=text))
    try:
        prepared(result.dags, rules or _Allows())
    except AuthorError as error:
        errors.append(CheckError(file=file, line=error.line, message=error.message))
    return errors
