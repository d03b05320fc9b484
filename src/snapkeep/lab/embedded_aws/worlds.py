"""The world that a server starts with: new, from a file that describes it, or as it was when the last run ended."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.api import actions
from snapkeep.lab.ebs_model.conditions.clock import Clock
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.embedded_aws.clock import AdjustableClock
from snapkeep.lab.embedded_aws.host import Host
from snapkeep.lab.embedded_aws.settings import Settings
from snapkeep.policyfile.load import why_not_readable

_STATE_FILE = "world.json"
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws")


class WorldFileError(InvalidConfiguration):
    """A world file that cannot be read; the message names the file and what is wrong."""


def read_document(path: Path) -> dict[str, Any]:
    """Given a world file (YAML or JSON), return the document. Raise WorldFileError if it cannot be read."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorldFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorldFileError(f"{path}: is not text in UTF-8") from error
    except yaml.YAMLError as error:
        raise WorldFileError(f"{path}: {': '.join(why_not_readable(error))}") from error
    except ValueError as error:  # a date or a number that is none, such as the 45th of a month
        raise WorldFileError(f"{path}: not readable: {error}") from error
    if not isinstance(document, dict):
        raise WorldFileError(f"{path}: a world is an object with keys and values, not {type(document).__name__}")
    return document


def open_world(settings: Settings) -> Host:
    """Given the settings, return the host of the world: the kept state if there is one, else the file's, else an empty world."""
    clock = AdjustableClock(settings.scale)
    kept = settings.state_dir / _STATE_FILE if settings.state_dir else None
    if kept is not None and kept.exists():
        world = World.from_saved(json.loads(kept.read_text(encoding="utf-8")), clock=clock)
    elif settings.world_file is not None:
        world = world_of_file(settings.world_file, clock)
    else:
        world = World(clock=clock)
    return Host(world, clock, settings.scale, handles)


def world_of_file(path: Path, clock: Clock) -> World:
    """Given a world file and a clock, return the world that it describes. Raise WorldFileError with all that is wrong with it."""
    try:
        return World.from_document(read_document(path), clock=clock)
    except ValueError as error:
        raise WorldFileError(f"{path}: {'; '.join(str(error).splitlines())}") from error


@lru_cache(maxsize=1024)
def handles(service: str, action: str) -> bool:
    """Given a service and an action, return whether the model has it."""
    try:
        actions.find(service, action)
    except ApiError:
        return False
    return True


def save_world(host: Host, settings: Settings) -> None:
    """Given the host, keep its world for the next start, when a state directory was given: whole or not at all."""
    if settings.state_dir is None:
        return
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    kept = settings.state_dir / _STATE_FILE
    new = kept.with_suffix(".new")
    with host.locked():
        new.write_text(json.dumps(host.world.save()), encoding="utf-8")
    new.replace(kept)
