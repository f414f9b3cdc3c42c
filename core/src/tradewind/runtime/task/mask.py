"""Hide secrets in bytes that stream by, also when a chunk ends in the middle of one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

SECRET_CHARS_MIN = 5  # shorter ones would blot out half of every log and hide nothing worth hiding
ENCODED_CHARS_MIN = 6  # the inner part of a base64 form; a shorter one is no trace of the secret
REPLACEMENT = b"***"


class Masker:
    """Replaces known secrets by ``***``, in plain, base64, URL, JSON and ``repr`` form.

    :meth:`feed` takes chunks of a stream. What it returns never depends on where the chunks were cut: the
    concatenation of all answers and of the last :meth:`flush` equals :meth:`mask` of the whole. A secret
    added in the middle of a stream counts from the bytes not yet given back.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[bytes] = set()
        self._tail = b""
        self._compile()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: str | bytes) -> None:
        """Hide ``secret`` from now on; one shorter than ``SECRET_CHARS_MIN`` is let through."""
        data = secret.encode("utf-8", "surrogatepass") if isinstance(secret, str) else secret
        found = set(_forms(data)) - self._forms
        if found:
            self._forms |= found
            self._compile()

    def __bool__(self) -> bool:
        return bool(self._forms)

    def mask(self, data: bytes) -> bytes:
        """Return a whole text with its secrets hidden."""
        return self._pattern.sub(REPLACEMENT, data) if self._pattern else data

    def mask_text(self, text: str) -> str:
        """Return a whole ``str`` with its secrets hidden."""
        if not self._forms:
            return text
        return self.mask(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def feed(self, chunk: bytes) -> bytes:
        """Return what can be shown of the stream so far; the possible start of a secret is kept."""
        if self._pattern is None:
            held, self._tail = self._tail, b""
            return held + chunk
        data = self._tail + chunk
        hold = self._hold_from(data, 0)
        shown: list[bytes] = []
        position = 0
        for match in self._pattern.finditer(data):
            if match.start() >= hold:
                break
            shown += (data[position : match.start()], REPLACEMENT)
            position = match.end()
        if position > hold:
            hold = self._hold_from(data, position)
        shown.append(data[position:hold])
        self._tail = data[hold:]
        return b"".join(shown)

    def flush(self) -> bytes:
        """Return what was kept back, masked; the stream has ended."""
        held, self._tail = self._tail, b""
        return self.mask(held)

    def _hold_from(self, data: bytes, start: int) -> int:
        """Return the first position from ``start`` on where a secret may begin that is not complete yet."""
        size = len(data)
        for position in range(max(start, size - self._longest + 1), size):
            if data[position] in self._first and data[position:] in self._prefixes_of(size - position):
                return position
        return size

    def _prefixes_of(self, length: int) -> frozenset[bytes]:
        known = self._prefixes.get(length)
        if known is None:
            known = frozenset(form[:length] for form in self._forms if len(form) > length)
            self._prefixes[length] = known
        return known

    def _compile(self) -> None:
        ordered = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None
        self._longest = max(map(len, ordered), default=0)
        self._first = frozenset(form[0] for form in ordered)
        self._prefixes: dict[int, frozenset[bytes]] = {}


def _forms(secret: bytes) -> set[bytes]:
    """Return every spelling under which ``secret`` could be read; so does each line of a longer one."""
    forms: set[bytes] = set()
    for part in {secret, secret.strip(), *map(bytes.strip, secret.splitlines())}:
        if len(part) >= SECRET_CHARS_MIN and not part.startswith(b"-----"):
            forms |= _spellings(part)
    return forms


def _spellings(part: bytes) -> set[bytes]:
    text = part.decode("utf-8", "surrogateescape")
    plain = {
        text,
        quote(part, safe=""),
        quote(part),
        quote_plus(part),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
    }
    spelled = {form.encode("utf-8", "surrogateescape") for form in plain}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        spelled |= {form for form in _inside(part, encode) if len(form) >= ENCODED_CHARS_MIN}
    return spelled


def _inside(part: bytes, encode: object) -> list[bytes]:
    """Return the base64 characters that only ``part`` decides, for its three places in a longer text."""
    assert callable(encode)
    found: list[bytes] = []
    for before in range(3):
        text = encode(bytes(before) + part).rstrip(b"=")
        first = (before * 8 + 5) // 6
        last = (before + len(part)) * 8 // 6
        found.append(text[first:last])
    return found
