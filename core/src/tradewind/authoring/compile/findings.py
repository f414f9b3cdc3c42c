"""What a compilation finds: all errors of a DAG together, and warnings."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradewind.authoring.place import AuthorWarning, Place
from tradewind.errors import AuthorError

_SHOWN_MAX = 20  # errors whose text is in the message of CompileErrors; .errors has all


class CompileErrors(AuthorError):
    """A DAG has errors; ``errors`` has each with its own file and line, in the order of the lines."""

    def __init__(self, dag_id: str, errors: list[AuthorError]) -> None:
        self.errors = errors
        shown = [str(error) for error in errors[:_SHOWN_MAX]]
        if len(errors) > _SHOWN_MAX:
            shown.append(f"… and {len(errors) - _SHOWN_MAX} more.")
        if len(errors) == 1:
            text = shown[0]
        else:
            lines = [
                f"  line {error.line or '?'}: {text}" for error, text in zip(errors, shown, strict=False)
            ]
            text = "\n".join([f'DAG "{dag_id}" has {len(errors)} errors:', *lines, *shown[len(lines) :]])
        super().__init__(text, file=errors[0].file, line=errors[0].line)


@dataclass(slots=True)
class Findings:
    """Errors and warnings, as they are found."""

    errors: list[AuthorError] = field(default_factory=list)
    warnings: list[AuthorWarning] = field(default_factory=list)

    def error(self, kind: type[AuthorError], text: str, place: Place) -> None:
        """Note an error."""
        self.errors.append(kind(text, file=place.file, line=place.line))

    def warn(self, text: str, place: Place) -> None:
        """Note a warning."""
        self.warnings.append(AuthorWarning(text, place.file, place.line))

    def adopt(self, error: AuthorError, prefix: str, place: Place) -> None:
        """Note an error that was raised without a place: its kind stays, ``prefix`` says whose it is."""
        text = f"{prefix}{error.message}"
        self.errors.append(type(error)(text, file=error.file or place.file, line=error.line or place.line))
