"""Settings from a file: `snapkeep.toml` in the working directory, else in the user's configuration folder."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import typer

from snapkeep.cli.errors import WrongUse
from snapkeep.domain.policy.shapes import REGION_PATTERN

FILE = "snapkeep.toml"
_PREFIX = "SNAPKEEP_"
_REGIONS = frozenset({"region", "dr_region"})


def variable_of(setting: str) -> str:
    """Return the environment variable of a setting."""
    return f"{_PREFIX}{setting.upper()}"


def refuse_mistyped_variables(variables: Collection[str], names: Collection[str]) -> None:
    """Raise WrongUse for a variable that resembles a setting's and is none.

    Others that begin with SNAPKEEP_ stay: Kubernetes sets such variables in every container beside a service `snapkeep`.
    """
    for variable in sorted(variables):
        setting = variable.removeprefix(_PREFIX).lower()
        if variable.startswith(_PREFIX) and setting not in names:
            near = difflib.get_close_matches(setting, names, 1, cutoff=0.7)
            if near:
                meant, all_of_them = variable_of(near[0]), ", ".join(sorted(map(variable_of, names)))
                raise WrongUse(f"{variable} is not a variable of Snapkeep; did you mean {meant}? The variables are {all_of_them}")


def settings_file() -> Path | None:
    """Return the file with the settings; None where there is none.

    The user's folder is `~/.config/snapkeep` on Linux (or below `XDG_CONFIG_HOME`), `~/Library/Application Support/snapkeep` on
    macOS.
    """
    candidates = (Path(FILE), Path(typer.get_app_dir("snapkeep")) / FILE)
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def settings_from_file(names: Collection[str]) -> Mapping[str, str]:
    """Return the settings in the file; none where there is no file. `names` are all that it may have.

    Raise WrongUse, naming the file, the key and what would be right.
    """
    file = settings_file()
    return read_settings(file, frozenset(names)) if file else {}


@cache
def read_settings(file: Path, names: frozenset[str]) -> Mapping[str, str]:
    """Return the settings in a file. Raise WrongUse, as above."""
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise WrongUse(f"{file}: is not text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f'{file}: {error}; write settings as TOML, such as: region = "us-east-1"') from error
    for key, value in data.items():
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise WrongUse(f"{file}: '{key}' is not a setting{meant} The settings are {', '.join(sorted(names))}")
        if not isinstance(value, str):
            raise WrongUse(f'{file}: {key} is a text in quotation marks, such as {key} = "{_example(key)}"')
        if key in _REGIONS and value and not re.fullmatch(REGION_PATTERN, value):
            raise WrongUse(f'{file}: {key} = "{value}" is not a region; a region has a name such as us-east-1')
    return data


def _example(key: str) -> str:
    return "us-east-1" if key in _REGIONS else "http://127.0.0.1:4566" if key == "endpoint_url" else "production"
