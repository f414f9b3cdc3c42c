"""Settings: one frozen tree, read once in bootstrap from ``tradewind.toml`` and the environment.

Order, later wins: built-in defaults, ``tradewind.toml`` in the home folder, ``TRADEWIND__SECTION__KEY``
variables. Unknown sections and keys are refused, so that a typing error cannot silently do nothing.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tradewind.errors import ConfigError

CONFIG_FILE = "tradewind.toml"
ENVIRONMENT_PREFIX = "TRADEWIND__"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class DagsSettings(_Section, frozen=True):
    """The DAG folder and how its files are read."""

    folder: str = "dags"  # relative to the home folder
    paused_on_creation: bool = False
    scan_seconds: float = 2.0  # between two looks at the folder; only changed files are read
    parse_seconds_max: float = 30.0  # a file that takes longer is an import error
    parse_memory_mb_max: int = 2048
    parse_processes: int = 2
    missing_scans: int = 3  # complete scans without the file before its DAGs count as gone


class MetastoreSettings(_Section, frozen=True):
    """Where the truth is."""

    url: str = ""  # empty: sqlite:///<home>/tradewind.db


class ExecutorSettings(_Section, frozen=True):
    """Where attempts go."""

    default: str = "local"
    parallelism: int = 32  # attempts at once on the local executor
    grace_seconds: float = 30.0  # between SIGTERM and SIGKILL of a cancelled attempt
    drain_seconds: float = 60.0  # what running attempts get when their worker is asked to stop
    start_worker: bool = True  # the local executor starts its worker when none is connected


class SchedulerSettings(_Section, frozen=True):
    """The deciding process."""

    shard: str = "main"
    term_seconds: float = 10.0  # leadership lease; a standby takes over that long after the last renewal
    poll_seconds: float = 5.0  # how often to look for hints that were lost
    batch_max: int = 2_000  # inbox messages handled in one commit
    keep_days: int | None = None  # ended runs older than this are deleted; None keeps everything
    keep_last_runs: int = 10  # but never the newest ones of a DAG


class RuntimeApiSettings(_Section, frozen=True):
    """The HTTP door for workers on other machines."""

    host: str = "127.0.0.1"
    port: int = 8793
    url: str = ""  # what workers call; empty: http://host:port


class LogsSettings(_Section, frozen=True):
    """Where task logs lie."""

    folder: str = "logs"


class PluginsSettings(_Section, frozen=True):
    """Drop-in plugins."""

    folder: str = "plugins"
    disabled: tuple[str, ...] = ()


class SecretsSettings(_Section, frozen=True):
    """Keys that encrypt stored connections and variables; the first one encrypts, all decrypt."""

    key_file: str = "secrets.key"


class WebserverSettings(_Section, frozen=True):
    """The web server (distribution tradewind-webserver)."""

    host: str = "127.0.0.1"
    port: int = 8080


class Settings(_Section, frozen=True):
    """Everything an installation can set. Paths are resolved against ``home``."""

    home: str
    dags: DagsSettings = DagsSettings()
    metastore: MetastoreSettings = MetastoreSettings()
    executor: ExecutorSettings = ExecutorSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    runtime_api: RuntimeApiSettings = RuntimeApiSettings()
    logs: LogsSettings = LogsSettings()
    plugins: PluginsSettings = PluginsSettings()
    secrets: SecretsSettings = SecretsSettings()
    webserver: WebserverSettings = WebserverSettings()

    @property
    def home_path(self) -> Path:
        """The installation's folder."""
        return Path(self.home)

    @property
    def dags_path(self) -> Path:
        """The DAG folder."""
        return self.home_path / self.dags.folder

    @property
    def plugins_path(self) -> Path:
        """The folder of drop-in plugins."""
        return self.home_path / self.plugins.folder

    @property
    def logs_path(self) -> Path:
        """The folder of task logs."""
        return self.home_path / self.logs.folder

    @property
    def run_path(self) -> Path:
        """Sockets, locks and process ids."""
        return self.home_path / "run"

    @property
    def key_path(self) -> Path:
        """The file of encryption keys."""
        return self.home_path / self.secrets.key_file

    @property
    def metastore_url(self) -> str:
        """The metastore's URL, the default filled in."""
        return self.metastore.url or f"sqlite:///{self.home_path / 'tradewind.db'}"


def find_home(environment: Mapping[str, str], start: Path) -> Path:
    """Return TRADEWIND_HOME, else the nearest folder upwards with a tradewind.toml, else ~/.tradewind."""
    explicit = environment.get("TRADEWIND_HOME")
    if explicit:
        return Path(explicit).expanduser().absolute()
    for folder in (start, *start.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder
    return Path(environment.get("HOME", "/")) / ".tradewind"


def load_settings(environment: Mapping[str, str] | None = None, home: Path | None = None) -> Settings:
    """Return the settings of ``home``.

    Raises:
        ConfigError: the file is not TOML, or a section, key or value is wrong; the text names place and remedy.
    """
    env = os.environ if environment is None else environment
    root = home if home is not None else find_home(env, Path.cwd())
    values = _read_file(root / CONFIG_FILE)
    for section, key, text in _environment_values(env):
        values.setdefault(section, {})[key] = text
    _refuse_unknown(values, root / CONFIG_FILE)
    values["home"] = str(root)
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_wrong_value(error, root / CONFIG_FILE, env)) from None
    _check(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the settings file {path}: {error}. Mend or remove it.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The settings file {path} is not valid TOML: {error}.") from None


def _environment_values(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    found = []
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX):
            section, _, key = name[len(ENVIRONMENT_PREFIX) :].lower().partition("__")
            if not section or not key or "__" in key:
                raise ConfigError(
                    f"The environment variable {name} does not name a setting. Write TRADEWIND__SECTION__KEY."
                )
            found.append((section, key, text))
    return found


def sections() -> dict[str, type[msgspec.Struct]]:
    """Return section name -> its struct, for ``config list`` and the checks."""
    return {
        field.name: type(field.default)
        for field in msgspec.structs.fields(Settings)
        if isinstance(field.default, msgspec.Struct)
    }


def _refuse_unknown(values: Mapping[str, Any], path: Path) -> None:
    known = sections()
    for section, content in values.items():
        if section not in known:
            raise ConfigError(
                f"Unknown section [{section}] in {path} or the environment.{_near(section, known)}"
            )
        if not isinstance(content, dict):
            raise ConfigError(f"[{section}] in {path} must be a table of settings.")
        keys = {field.name: field for field in msgspec.structs.fields(known[section])}
        for key in content:
            if key not in keys:
                raise ConfigError(
                    f"Unknown setting [{section}] {key} in {path} or the environment.{_near(key, keys)}"
                )


def _near(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f"{hint} Known: {', '.join(sorted(known))}."


def _wrong_value(error: msgspec.ValidationError, path: Path, environment: Mapping[str, str]) -> str:
    what, _, place = str(error).partition(" - at `$.")
    section, _, key = place.rstrip("`").partition(".")
    for name in environment:
        if name.upper() == f"{ENVIRONMENT_PREFIX}{section}__{key}".upper():
            return f"Wrong value of the environment variable {name}: {what}."
    return f"Wrong value of [{section}] {key} in {path}: {what}."


def _check(settings: Settings) -> None:
    positive = {
        "[executor] parallelism": settings.executor.parallelism,
        "[dags] scan_seconds": settings.dags.scan_seconds,
        "[dags] parse_seconds_max": settings.dags.parse_seconds_max,
        "[dags] parse_processes": settings.dags.parse_processes,
        "[scheduler] term_seconds": settings.scheduler.term_seconds,
        "[scheduler] poll_seconds": settings.scheduler.poll_seconds,
        "[scheduler] batch_max": settings.scheduler.batch_max,
    }
    for name, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{name} is {value}; it must be greater than 0.")
