"""Secrets are hidden whatever their spelling, and wherever a stream is cut."""

import base64
import json
from itertools import pairwise
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.runtime.task.mask import Masker

SECRET = 'p4ss w/rd"é'


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr({"key": SECRET})[9:-2],
    ],
)
def test_every_spelling_is_hidden(spelled: str) -> None:
    assert Masker([SECRET]).mask_text(f"<{spelled}>") == "<***>"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_longer_text_hides_the_secret_inside(before: str, encode: object) -> None:
    assert callable(encode)
    text = encode(f"{before}hunter2-hunter2".encode()).decode()
    shown = Masker(["hunter2-hunter2"]).mask_text(text)
    assert "***" in shown
    assert len(shown) <= len(base64.b64encode(before.encode())) + 3 + 4


def test_each_line_of_a_key_is_hidden_but_its_header_is_not() -> None:
    key = "-----BEGIN KEY-----\nMIIEow1234567890\nQWERTYUIOP\n-----END KEY-----\n"
    shown = Masker([key]).mask_text("-----BEGIN KEY-----|MIIEow1234567890|QWERTYUIOP")
    assert shown == "-----BEGIN KEY-----|***|***"


def test_a_short_secret_is_let_through() -> None:
    assert Masker(["abcd"]).mask(b"abcd") == b"abcd"


def test_the_longer_of_two_secrets_wins() -> None:
    assert Masker(["abcde", "abcdefgh"]).mask(b"-abcdefgh-abcdefg-") == b"-***-***fg-"


def test_only_the_start_of_a_secret_is_kept_back() -> None:
    masker = Masker(["hunter2"])
    assert (masker.feed(b"a line\nhun"), masker.feed(b"ter"), masker.feed(b"2!\n"), masker.flush()) == (
        b"a line\n",
        b"",
        b"***!\n",
        b"",
    )
    assert (masker.feed(b"hunt"), masker.flush()) == (b"", b"hunt")


def test_a_secret_learnt_in_the_middle_counts_from_there() -> None:
    masker = Masker()
    shown = masker.feed(b"hunter2 ")
    masker.add("hunter2")
    assert shown + masker.feed(b"hunter2") + masker.flush() == b"hunter2 ***"


texts = st.text(alphabet="abcx\n", max_size=60)


@given(
    secrets=st.lists(st.text(alphabet="abc", min_size=5, max_size=9), max_size=4),
    text=texts,
    cuts=st.lists(st.integers(0, 60), max_size=6),
    planted=st.lists(st.integers(0, 3), max_size=4),
)
def test_where_the_stream_is_cut_makes_no_difference(
    secrets: list[str], text: str, cuts: list[int], planted: list[int]
) -> None:
    whole = (text + "".join(secrets[place % len(secrets)] for place in planted if secrets) + text).encode()
    masker = Masker(secrets)
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    shown = b"".join(masker.feed(whole[start:end]) for start, end in pairwise(edges))
    shown += masker.flush()
    assert shown == Masker(secrets).mask(whole)
    assert not any(secret.encode() in shown for secret in secrets)
