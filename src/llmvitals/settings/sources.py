"""Reads settings: flags go before environment variables `LLMVITALS_*`, these before `llmvitals.toml`."""

from __future__ import annotations

import difflib
import os
from contextlib import contextmanager
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_settings import SettingsError, TomlConfigSettingsSource

from llmvitals import environment
from llmvitals.connection import Connection
from llmvitals.environment import PREFIX, config_file
from llmvitals.errors import ConfigError
from llmvitals.scorers import ScorerSetting
from llmvitals.settings.settings import Settings, ViewSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails


def load(**flags: Any) -> Settings:
    """The settings of this process; flags that are not None go before everything else.

    Raises ConfigError that names each wrong key.
    """
    if _missing():
        raise ConfigError(f"{config_file()}, which {PREFIX}CONFIG names, is not there")
    with _explained_errors():
        return Settings(**{key: value for key, value in flags.items() if value is not None})


def connection(**flags: Any) -> Connection:
    """How a publisher reaches Kafka, from the environment, the file that LLMVITALS_CONFIG names, and flags.

    A publisher lives in another application: it reads no other file, and ignores settings that it does not
    use, even wrong ones. Raises ConfigError that names each wrong key.
    """
    with _explained_errors():
        given_file = f"{PREFIX}CONFIG" in os.environ and not _missing()
        file = TomlConfigSettingsSource(Settings, config_file())() if given_file else {}
        given = {key: value for key, value in flags.items() if value is not None}
        values = {**file, **environment.settings(Connection.model_fields), **given}
        made = Connection(**Connection.needed(values))
    made.tls()
    return made


def unknown() -> list[str]:
    """A sentence for each environment variable that looks like a setting and has no effect."""
    missing = [f"{config_file()}, which {PREFIX}CONFIG names, is not there"] if _missing() else []
    return [*missing, *environment.unknown(Settings.model_fields)]


def check_name(name: str) -> None:
    """Raises ConfigError when there is no such setting."""
    if name.lower() not in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        near = environment.near(variable, Settings.model_fields)
        raise ConfigError(f"There is no such setting (by --set): {variable}{near}")


@contextmanager
def _explained_errors() -> Iterator[None]:
    try:
        yield
    except TOMLDecodeError as error:
        raise ConfigError(f"{config_file()} is no TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(
            f"The settings, here or in {config_file()}, are nested too deeply to be read"
        ) from error
    except SettingsError as error:
        raise ConfigError(f"The settings are wrong: {error}; lists and tables are written as JSON") from error
    except ValidationError as error:
        raise ConfigError("The settings are wrong:\n  " + "\n  ".join(map(_fault, error.errors()))) from error


def _missing() -> bool:
    return f"{PREFIX}CONFIG" in os.environ and not Path(config_file()).is_file()


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {near[0]}?" if near else ""


def _fault(error: ErrorDetails) -> str:
    """Where and what; never the value, which may be a secret."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        if len(error["loc"]) > 1:
            table = ScorerSetting if error["loc"][0] == "scorers" else ViewSetting
            return f"{place}: there is no such setting{_near(str(error['loc'][-1]), table.model_fields)}"
        return f"{place} in {config_file()}: there is no such setting{_near(place, Settings.model_fields)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
