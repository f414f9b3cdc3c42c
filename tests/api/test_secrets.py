"""Connections and variables: where they are looked for, how they are stored, what nobody may ever read."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tradewind.api.secret_keys import KeyRing, open_keys
from tradewind.api.secrets import (
    VALUE_BYTES_MAX,
    Found,
    Rotated,
    SecretsStore,
    anything_stored,
    environment_name,
    masked,
)
from tradewind.errors import ConfigError, LimitError, PluginError
from tradewind.hookspecs import ConnectionType, FormField
from tradewind.ports.metastore import Metastore
from tradewind.testing.memory import InMemoryMetastore

SECRET = "s3cr3t-canary"
FIELDS: dict[str, Any] = {
    "type": "ssh",
    "host": "example.org",
    "login": "anna",
    "password": SECRET,
    "port": 22,
    "schema": None,
    "extra": {"timeout": 5},
}

Make = Callable[..., SecretsStore]


class Backend:
    """A secrets backend that knows some things."""

    def __init__(
        self,
        connections: Mapping[str, dict[str, Any]] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.connections = connections or {}
        self.variables = variables or {}

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        return self.connections.get(conn_id)

    def variable(self, key: str) -> str | None:
        return self.variables.get(key)


class BrokenBackend(Backend):
    """A secrets backend that fails, talkatively."""

    def connection(self, conn_id: str) -> dict[str, Any] | None:
        raise OSError(f"refused for {SECRET}")


@pytest.fixture
def store() -> Metastore:
    return InMemoryMetastore()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.key"


@pytest.fixture
def make(store: Metastore, path: Path) -> Make:
    """Return a function that makes the store; its key file is made once."""

    def made(**options: Any) -> SecretsStore:
        options = {"environment": {}, **options}
        return SecretsStore(store, open_keys(path, anything_stored=anything_stored(store)), **options)

    return made


def test_a_connection_comes_back_as_it_was_set(make: Make, store: Metastore) -> None:
    make().connection_set("prod", FIELDS, description="the server", actor="cli:anna")
    assert make().connection_get("prod") == FIELDS
    ((conn_id, kind, stored, description),) = store.connections()
    assert (conn_id, kind, description) == ("prod", "ssh", "the server")
    assert SECRET.encode() not in stored
    assert make().connection_get("other") is None


def test_a_variable_comes_back_as_it_was_set(make: Make, store: Metastore) -> None:
    make().variable_set("limit", SECRET, actor="cli:anna")
    assert make().variable_get("limit") == SECRET
    ((key, stored, encrypted, _description),) = store.variables()
    assert (key, encrypted, SECRET.encode() in stored) == ("limit", True, False)
    assert make().variable_get("other") is None


def test_backends_are_asked_first_then_the_environment_then_the_metastore(make: Make) -> None:
    make().connection_set("my-s3", "s3://stored", actor="x")
    make().variable_set("my-key", "stored", actor="x")
    environment = {"TRADEWIND_CONN_MY_S3": "s3://environment", "TRADEWIND_VAR_MY_KEY": "environment"}
    backends = [
        ("empty", Backend()),
        ("vault", Backend({"my-s3": {"type": "s3", "host": "vault"}}, {"my-key": "vault"})),
        ("late", Backend({"my-s3": {"type": "s3", "host": "late"}}, {"my-key": "late"})),
    ]
    stores = [make(), make(environment=environment), make(environment=environment, backends=backends)]
    connections = [store.connection_get("my-s3") for store in stores]
    assert [found and found["host"] for found in connections] == ["stored", "environment", "vault"]
    assert [store.variable_get("my-key") for store in stores] == ["stored", "environment", "vault"]


def test_a_backend_that_fails_is_an_error_without_its_words(make: Make) -> None:
    with pytest.raises(PluginError) as caught:
        make(backends=[("vault", BrokenBackend())]).connection_get("prod")
    assert str(caught.value) == (
        'The connection "prod" was not looked up: the secrets backend vault failed with OSError.'
        " Mend the backend, or disable its plugin."
    )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ is True


def test_lists_name_what_there_is_and_show_nothing(make: Make) -> None:
    make().connection_set("prod", FIELDS, description="the server", actor="x")
    make().connection_set("my-s3", "s3://stored", actor="x")
    make().variable_set("limit", SECRET, description="how many", actor="x")
    environment = {
        "TRADEWIND_CONN_MY_S3": f"s3://:{SECRET}@bucket",
        "TRADEWIND_CONN_BAD": SECRET,
        "TRADEWIND_VAR_REGION": SECRET,
        "PATH": "/bin",
    }
    secrets = make(environment=environment)
    listed = [*secrets.connection_list(), *secrets.variable_list()]
    assert listed == [
        Found(name="bad", source="environment"),
        Found(name="my-s3", source="environment", type="s3"),
        Found(name="prod", source="metastore", type="ssh", description="the server"),
        Found(name="limit", source="metastore", description="how many"),
        Found(name="region", source="environment"),
    ]
    assert SECRET not in repr(listed)


def test_what_is_deleted_is_gone(make: Make) -> None:
    secrets = make()
    secrets.connection_set("prod", FIELDS, actor="x")
    secrets.variable_set("limit", "3", actor="x")
    deleted = [secrets.connection_delete("prod", actor="x"), secrets.variable_delete("limit", actor="x")]
    again = [secrets.connection_delete("prod", actor="x"), secrets.variable_delete("limit", actor="x")]
    assert (deleted, again) == ([True, True], [False, False])
    assert (secrets.connection_get("prod"), secrets.variable_get("limit")) == (None, None)


def test_a_value_copied_to_another_row_is_refused(make: Make, store: Metastore) -> None:
    make().connection_set("prod", FIELDS, actor="x")
    found = store.connection("prod")
    assert found is not None
    store.set_connection("test", *found, "", actor="x")
    with pytest.raises(
        ConfigError, match='The connection "test" holds a value that was stored for another name'
    ):
        make().connection_get("test")


def test_a_value_nobody_can_store_is_refused_without_being_shown(make: Make) -> None:
    with pytest.raises(ConfigError) as unfit:
        make().connection_set("prod", {**FIELDS, "extra": {"key": object()}}, actor="x")
    assert str(unfit.value) == "The value of connection prod cannot be stored: it is no JSON."
    with pytest.raises(LimitError, match="The value of variable big has"):
        make().variable_set("big", "x" * VALUE_BYTES_MAX, actor="x")


@pytest.mark.parametrize("name", ["", "a b", "a\n", "ü", "x" * 201])
def test_a_wrong_id_is_refused(name: str, make: Make) -> None:
    with pytest.raises(ConfigError, match="cannot be the id of a connection"):
        make().connection_set(name, FIELDS, actor="x")
    with pytest.raises(ConfigError, match="cannot be the id of a variable"):
        make().variable_set(name, "x", actor="x")


def test_ids_become_names_of_the_environment() -> None:
    assert environment_name("TRADEWIND_CONN_", "my-s3.eu/1") == "TRADEWIND_CONN_MY_S3_EU_1"


def test_people_are_shown_a_mask() -> None:
    assert masked(FIELDS) == {**FIELDS, "password": "•••", "extra": {"timeout": "•••"}}
    assert masked({"type": "s3", "password": None, "extra": {}}) == {
        "type": "s3",
        "password": None,
        "extra": {},
    }


# ---- connection types ------------------------------------------------------------------------------------------------

SSH = ConnectionType(
    name="ssh",
    target="ssh:Hook",
    title="SSH",
    fields=(
        FormField(name="host", label="Host", required=True),
        FormField(name="key_file", label="Key", required=True),
    ),
    extra_schema={
        "type": "object",
        "properties": {"key_file": {"type": "string"}, "timeout": {"type": "number", "maximum": 60}},
        "additionalProperties": False,
    },
    url_schemes=("sftp",),
)


def test_a_scheme_stands_for_its_type(make: Make) -> None:
    secrets = make(types={"ssh": SSH}, environment={"TRADEWIND_CONN_A": "sftp://host"})
    found = secrets.connection_get("a")
    assert found is not None
    assert found["type"] == "ssh"


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ("ssh://?key_file=k", 'The connection "a" needs "host": a SSH connection cannot do without.'),
        ("ssh://h", 'The connection "a" needs "key_file": a SSH connection cannot do without.'),
        (
            f"ssh://h?key_file=k&proxy={SECRET}",
            'The connection "a": extra has keys a SSH connection does not know: proxy. Known: key_file, timeout.',
        ),
        (
            f"ssh://h?key_file=k&timeout={SECRET}",
            'The connection "a": extra.timeout must satisfy type: number.',
        ),
        (
            {"type": "ssh", "host": "h", "extra": {"key_file": "k", "timeout": 77}},
            'The connection "a": extra.timeout must satisfy maximum: 60.',
        ),
    ],
)
def test_a_connection_of_a_known_type_is_checked_when_it_is_set(
    connection: Any, message: str, make: Make
) -> None:
    secrets = make(types={"ssh": SSH})
    with pytest.raises(ConfigError) as caught:
        secrets.connection_set("a", connection, actor="x")
    assert str(caught.value) == message
    assert secrets.connection_get("a") is None


# ---- keys ------------------------------------------------------------------------------------------------------------


def test_the_first_start_makes_a_key_that_only_its_owner_reads(path: Path) -> None:
    ring = open_keys(path, anything_stored=False)
    assert (stat.S_IMODE(path.stat().st_mode), len(path.read_bytes().splitlines())) == (0o600, 1)
    again = open_keys(path, anything_stored=True)
    assert again.decrypt(ring.encrypt(b"x"), what="it") == b"x"


def test_a_lost_key_is_no_first_start(make: Make, path: Path) -> None:
    make().variable_set("limit", "3", actor="x")
    path.unlink()
    with pytest.raises(ConfigError, match=r"The key file .* is missing, but the metastore holds encrypted"):
        make()
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"", 0o600, "has no key in it"),
        (b"\n\n", 0o600, "has no key in it"),
        (b"hello\n", 0o600, "Line 1 of the key file"),
        (b"hello\n", 0o640, "chmod 600"),
    ],
)
def test_a_wrong_key_file_is_refused(content: bytes, mode: int, said: str, path: Path) -> None:
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=said) as caught:
        KeyRing(path)
    assert "hello" not in str(caught.value)


def test_a_folder_nobody_can_write_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Cannot make the key file"):
        open_keys(tmp_path / "file" / "secrets.key", anything_stored=False)


def test_a_value_of_another_key_says_what_to_do(make: Make, path: Path) -> None:
    make().connection_set("prod", FIELDS, actor="x")
    path.unlink()
    other = open_keys(path, anything_stored=False)
    with pytest.raises(ConfigError, match='The connection "prod" was encrypted with a key that is not in'):
        SecretsStore(make()._store, other, environment={}).connection_get("prod")


def test_rotating_encrypts_everything_with_a_new_key(make: Make, store: Metastore, path: Path) -> None:
    secrets = make()
    secrets.connection_set("prod", FIELDS, description="the server", actor="x")
    secrets.variable_set("limit", "3", description="how many", actor="x")
    store.set_variable("plain", b"old", False, "from before", actor="x")
    first = path.read_bytes()
    assert secrets.rotate(actor="cli:anna") == Rotated(connections=1, variables=2, keys_kept=2)
    new_key = path.read_bytes().splitlines()[0]
    path.write_bytes(new_key + b"\n")  # the old key is not needed any more
    assert (new_key + b"\n" == first, stat.S_IMODE(path.stat().st_mode)) == (False, 0o600)
    fresh = make()
    assert (fresh.connection_get("prod"), fresh.variable_get("limit"), fresh.variable_get("plain")) == (
        FIELDS,
        "3",
        "old",
    )
    assert [(key, encrypted, description) for key, _, encrypted, description in store.variables()] == [
        ("limit", True, "how many"),
        ("plain", True, "from before"),
    ]


def test_a_process_with_the_old_keys_goes_on_after_a_rotation(make: Make) -> None:
    old = make()
    old.variable_set("limit", "3", actor="x")
    make().rotate(actor="x")
    assert old.variable_get("limit") == "3"
    other = make()
    other.variable_set("limit", "4", actor="x")
    assert old.variable_get("limit") == "4"


def test_only_the_newest_keys_are_kept(make: Make, path: Path) -> None:
    secrets = make()
    kept = [secrets.rotate(actor="x").keys_kept for _ in range(4)]
    assert (kept, len(path.read_bytes().splitlines())) == ([2, 2, 2, 2], 2)


def test_two_rotations_at_once_are_refused(make: Make, path: Path) -> None:
    secrets = make()
    before = path.read_bytes()
    path.with_name("secrets.key.new").write_bytes(b"")
    with pytest.raises(ConfigError, match="another rotation is running, or one was interrupted"):
        secrets.rotate(actor="x")
    assert path.read_bytes() == before


def test_the_real_environment_is_the_default(
    make: Make, store: Metastore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TRADEWIND_VAR_REGION", "eu")
    assert SecretsStore(store, open_keys(path, anything_stored=False)).variable_get("region") == "eu"
