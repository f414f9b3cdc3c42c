"""Connections written as URLs and as JSON mean what their authors meant."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.api.connection_text import (
    connection_from_fields,
    connection_from_text,
    connection_to_url,
)
from tradewind.errors import ConfigError


def fields(**given: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("type", "host", "login", "password", "port", "schema"))
    return {**empty, "extra": {}, **given}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ssh://host", fields(type="ssh", host="host")),
        (
            "postgres://anna:p%40ss%2Fword@db.example.org:5432/sales?sslmode=require&x=",
            fields(
                type="postgres",
                login="anna",
                password="p@ss/word",
                host="db.example.org",
                port=5432,
                schema="sales",
                extra={"sslmode": "require", "x": ""},
            ),
        ),
        ("my_type://host", fields(type="my_type", host="host")),
        ("My-Type://HOST", fields(type="my_type", host="HOST")),
        ("s3://", fields(type="s3")),
        ("s3://key:secret@", fields(type="s3", login="key", password="secret")),
        ("s3://:secret@bucket", fields(type="s3", password="secret", host="bucket")),
        ("ssh://[::1]:22/a%2Fb", fields(type="ssh", host="::1", port=22, schema="a/b")),
        (
            "postgres://%2Fvar%2Frun%2FPostgres/db",
            fields(type="postgres", host="/var/run/Postgres", schema="db"),
        ),
        (
            "s3://b?__extra__=%7B%22n%22%3A%20%5B1%5D%7D&a=b",
            fields(type="s3", host="b", extra={"n": [1], "a": "b"}),
        ),
        ('{"type": "ssh", "host": "h", "port": "22"}', fields(type="ssh", host="h", port=22)),
        (
            '  {"conn_type": "ssh", "user": "anna", "extra": "{\\"a\\": 1}"}',
            fields(type="ssh", login="anna", extra={"a": 1}),
        ),
    ],
)
def test_a_text_means_these_fields(text: str, meant: dict[str, Any]) -> None:
    assert connection_from_text(text, what="It") == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret", "It is no URL: it does not start with a type and ://."),
        ("://secret", "It is no URL"),
        ("9x://secret", "It is no URL"),
        ("ssh://host secret", "It has a blank in its URL."),
        ("ssh://host:secret", "It has a host or port that cannot be read."),
        ("ssh://host:99999", "It has a host or port that cannot be read."),
        ("ssh://[secret", "It has a host or port that cannot be read."),
        ("ssh://h?a=1&a=secret", 'It gives "a" twice.'),
        ("ssh://h?__extra__=secret", "It has an extra that is no JSON."),
        ("ssh://h?__extra__=[1]", "It has an extra that is no JSON object."),
        ('{"secret', "It starts like JSON but is none."),
        ('{"host": "secret"}', "It has no type."),
        ('{"type": 3}', "It has no type."),
        ('{"type": "ssh", "hots": "secret"}', 'It has the unknown field "hots". Known: type, host, login,'),
        ('{"type": "ssh", "password": ["secret"]}', 'It: the field "password" must be text.'),
        ('{"type": "ssh", "port": "secret"}', "It has a port that is no number from 0 to 65535."),
        ('{"type": "ssh", "port": true}', "It has a port that is no number from 0 to 65535."),
    ],
)
def test_a_wrong_text_is_refused_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connection_from_text(text, what="It")
    assert str(caught.value).startswith(said)
    assert "secret" not in str(caught.value)


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(
    st.fixed_dictionaries(
        {
            "type": st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
            "host": st.none() | st.from_regex(r"[A-Za-z0-9.-]{1,20}|/[a-z/]{1,9}", fullmatch=True),
            "login": st.none() | TEXT,
            "password": st.none() | TEXT,
            "port": st.none() | st.integers(0, 65_535),
            "schema": st.none() | TEXT,
            "extra": st.dictionaries(TEXT, TEXT, max_size=3)
            | st.fixed_dictionaries({"a": st.lists(st.integers())}),
        }
    )
)
def test_a_connection_survives_its_url_and_its_json(connection: dict[str, Any]) -> None:
    made = connection_from_fields(connection, what="It")
    assert made == connection
    assert connection_from_text(connection_to_url(made), what="It") == made
    assert connection_from_text(json.dumps(made), what="It") == made
