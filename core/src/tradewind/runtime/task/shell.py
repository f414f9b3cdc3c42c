"""Put template values into a shell command so that each stays one piece of text, wherever it stands.

The rendered command holds a mark in the place of each value. This reads the command as a shell would and writes
every value in the spelling of its place: bare, inside ``'…'``, ``"…"`` or ``$'…'``, in a comment. Where no spelling
is safe it refuses, and says what to do instead.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from enum import Enum

from tradewind.errors import TradewindError

_MARK = re.compile("\0([0-9]+)\0")
_HEREDOC = re.compile(r"<<(?!<)-?[ \t]*(\\?['\"]?)([A-Za-z0-9_.!-]+)['\"]?")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./:=@%+,-]*\Z")  # means itself in every place
_SIMPLE_BRACE = re.compile(r"\$\{[^'\"`\\\0{}]*(?:\$\{[^'\"`\\\0{}]*\}[^'\"`\\\0{}]*)*\}")
_WORD_START = frozenset(" \t\n;&|()")


class ShellPlaceProblem(TradewindError, ValueError):
    """A template value stands where no quoting is safe."""


class _In(Enum):
    """Where in a command a character stands."""

    WORD = "word"
    SINGLE = "single"
    DOUBLE = "double"
    DOLLAR_SINGLE = "dollar_single"
    SUBSTITUTION = "substitution"  # $( … ): as WORD, up to its bracket
    BRACKET = "bracket"  # ( … ) inside a substitution
    ARITHMETIC = "arithmetic"  # $(( … ))
    BACKTICK = "backtick"
    COMMENT = "comment"


def mark(number: int) -> str:
    """Return what stands in a rendered command for value ``number``."""
    return f"\0{number}\0"


def _double(value: str) -> str:
    return re.sub(r'([\\$`"])', r"\\\1", value)


def _dollar_single(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _arithmetic(value: str) -> str:
    return value if _NUMBER.match(value) else _refuse(value, "inside $(( … )), where only numbers are safe")


def _backtick(value: str) -> str:
    return _only_plain(value, "inside `…`, where no quoting is safe; write $( … ) instead")


def _only_plain(value: str, where: str) -> str:
    """Let a value through that needs no quoting anywhere."""
    return value if _PLAIN.match(value) else _refuse(value, where)


def _refuse(value: str, where: str) -> str:
    raise ShellPlaceProblem(
        f'the template value {value[:40]!r} stands {where}. Pass it by env= and write "$NAME", or mark it '
        "{{ … | unquoted }} when you made it yourself"
    )


_SPELL: dict[_In, Callable[[str], str]] = {
    _In.WORD: shlex.quote,
    _In.SUBSTITUTION: shlex.quote,
    _In.BRACKET: shlex.quote,
    _In.SINGLE: lambda value: value.replace("'", "'\\''"),
    _In.DOUBLE: _double,
    _In.DOLLAR_SINGLE: _dollar_single,
    _In.ARITHMETIC: _arithmetic,
    _In.BACKTICK: _backtick,
    _In.COMMENT: lambda value: re.sub(r"[\r\n]", " ", value),
}
_BARE = frozenset({_In.WORD, _In.SUBSTITUTION, _In.BRACKET})


def place_values(command: str, values: Sequence[str]) -> str:
    """Return ``command`` with each mark replaced by its value, quoted for its place.

    ``ShellPlaceProblem`` when a value stands in backticks, a here-document, after a backslash, or is no number in
    arithmetic: there a value could become code.
    """
    return _Reader(command, values).read()


class _Reader:
    def __init__(self, command: str, values: Sequence[str]) -> None:
        self.text = command
        self.values = values
        self.at = 0
        self.out: list[str] = []
        self.places = [_In.WORD]
        self.heredocs: list[str] = []
        self.unsure = ""

    def read(self) -> str:
        while self.at < len(self.text):
            found = _MARK.match(self.text, self.at)
            if found:
                self._value(found)
            else:
                self._character()
        return "".join(self.out)

    def _value(self, found: re.Match[str]) -> None:
        value = self.values[int(found[1])]
        if "\0" in value:
            raise ShellPlaceProblem("a template value holds a NUL character, which no command can")
        if self.unsure:
            self.out.append(_only_plain(value, f"{self.unsure}, where its place cannot be told"))
        else:
            self.out.append(_SPELL[self.places[-1]](value))
        self.at = found.end()

    def _take(self, length: int) -> None:
        self.out.append(self.text[self.at : self.at + length])
        self.at += length

    def _character(self) -> None:
        place = self.places[-1]
        if place in _BARE:
            self._bare()
        elif place is _In.SINGLE:
            self._until("'")
        elif place in {_In.DOUBLE, _In.BACKTICK, _In.DOLLAR_SINGLE}:
            self._quoted(place)
        elif place is _In.ARITHMETIC:
            self._until("))")
        else:
            self._until("\n", keep=True)

    def _until(self, end: str, *, keep: bool = False) -> None:
        if self.text.startswith(end, self.at):
            self.places.pop()
            if not keep:
                self._take(len(end))
        else:
            self._take(1)

    def _escape(self) -> None:
        found = _MARK.match(self.text, self.at + 1)
        if found:
            _only_plain(self.values[int(found[1])], "right after a backslash, which would undo its quoting")
            self._take(1)
        else:
            self._take(2)

    def _quoted(self, place: _In) -> None:
        char = self.text[self.at]
        end = {_In.DOUBLE: '"', _In.BACKTICK: "`", _In.DOLLAR_SINGLE: "'"}[place]
        if char == "\\":
            self._escape()
        elif char == end:
            self.places.pop()
            self._take(1)
        elif place is _In.DOUBLE and self._opens_substitution():
            pass
        else:
            self._take(1)

    def _bare(self) -> None:
        char = self.text[self.at]
        starts = self.at == 0 or self.text[self.at - 1] in _WORD_START
        if char == "\\":
            self._escape()
        elif char == "\n":
            self._take(1)
            self._skip_heredocs()
        elif char == "#" and starts:
            self._open(_In.COMMENT, 1)
        elif char == "'":
            self._open(_In.SINGLE, 1)
        elif char == '"':
            self._open(_In.DOUBLE, 1)
        elif self.text.startswith("$'", self.at):
            self._open(_In.DOLLAR_SINGLE, 2)
        elif self._opens_substitution() or self._opens_heredoc():
            pass
        else:
            self._bracket(char, starts=starts)

    def _bracket(self, char: str, *, starts: bool) -> None:
        inside = len(self.places) > 1
        if char == "(" and inside:
            self._open(_In.BRACKET, 1)
        elif char == ")" and inside:
            self.places.pop()
            self._take(1)
        else:
            if inside and starts and re.match(r"case\b", self.text[self.at : self.at + 5]):
                self.unsure = "after a `case` inside $( … )"
            self._take(1)

    def _open(self, place: _In, length: int) -> None:
        self.places.append(place)
        self._take(length)

    def _opens_substitution(self) -> bool:
        if self.text.startswith("${", self.at):
            simple = _SIMPLE_BRACE.match(self.text, self.at)
            if simple is None:  # quotes inside ${ … } follow rules that differ from shell to shell
                self.unsure = "after or inside a ${ … } with quotes or values in it"
            self._take(len(simple[0]) if simple else 2)
            return True
        for start, place in (
            ("$((", _In.ARITHMETIC),
            ("$(", _In.SUBSTITUTION),
            ("<(", _In.SUBSTITUTION),
            (">(", _In.SUBSTITUTION),
            ("`", _In.BACKTICK),
        ):
            if self.text.startswith(start, self.at) and not (
                start[0] in "<>" and self.places[-1] is _In.DOUBLE
            ):
                self._open(place, len(start))
                return True
        return False

    def _opens_heredoc(self) -> bool:
        if self.text.startswith("<<<", self.at):
            self._take(3)
            return True
        found = _HEREDOC.match(self.text, self.at)
        if found is None:
            if re.match(r"<<-?[ \t]*\0", self.text[self.at :]):
                raise ShellPlaceProblem("a here-document cannot be named by a template value")
            return False
        self.heredocs.append(found[2])
        self._take(len(found[0]))
        return True

    def _skip_heredocs(self) -> None:
        while self.heredocs:
            end = self.heredocs.pop(0)
            found = re.compile(rf"^\t*{re.escape(end)}$", re.MULTILINE).search(self.text, self.at)
            stop = found.end() if found else len(self.text)
            self.out.append(_MARK.sub(self._in_heredoc(end), self.text[self.at : stop]))
            self.at = stop

    def _in_heredoc(self, end: str) -> Callable[[re.Match[str]], str]:
        where = f"inside the here-document {end}, where no quoting is safe"

        def spell(found: re.Match[str]) -> str:
            value = self.values[int(found[1])]
            return _refuse(value, where) if value == end else _only_plain(value, where)

        return spell
