"""The world at the start of a server: empty, from a world file, or saved by an earlier run."""

from __future__ import annotations

import json
import logging
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.lab.ebs_model import World
from snapkeep.lab.ebs_model.api import actions
from snapkeep.lab.ebs_model.conditions.clock import WorldClock
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.embedded_aws.world.clock import AdjustableClock
from snapkeep.lab.embedded_aws.world.locked_world import LockedWorld
from snapkeep.policyfile.load import why_not_readable

_STATE_FILE = "world.json"
_writing = threading.Lock()
_LOGGER = logging.getLogger("snapkeep.lab.embedded_aws")


class WorldUnreadable(InvalidConfiguration):
    """A world file that cannot be read; the message names the file and the fault."""


def read_document(path: Path) -> dict[str, Any]:
    """Return the document in a world file (YAML or JSON). Raise WorldUnreadable if it cannot be read."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorldUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorldUnreadable(f"{path}: is not text in UTF-8") from error
    except yaml.YAMLError as error:
        raise WorldUnreadable(f"{path}: {': '.join(why_not_readable(error))}") from error
    except ValueError as error:  # an invalid date or number, such as the 45th of a month
        raise WorldUnreadable(f"{path}: not readable: {error}") from error
    if not isinstance(document, dict):
        raise WorldUnreadable(f"{path}: a world is an object with keys and values, not {type(document).__name__}")
    return document


def open_world(state_dir: Path | None, world_file: Path | None, scale: float) -> LockedWorld:
    """Return the saved world of the state directory, or else the world of the file, or else an empty world."""
    clock = AdjustableClock(scale)
    saved = state_dir / _STATE_FILE if state_dir else None
    if saved is not None and saved.exists():
        world = World.from_saved(json.loads(saved.read_text(encoding="utf-8")), clock=clock)
    elif world_file is not None:
        world = world_of_file(world_file, clock)
    else:
        world = World(clock=clock)
    return LockedWorld(world, clock, scale, handles)


def world_of_file(path: Path, clock: WorldClock) -> World:
    """Return the world that the file describes. Raise WorldUnreadable with all its faults."""
    try:
        return World.from_document(read_document(path), clock=clock)
    except ValueError as error:
        raise WorldUnreadable(f"{path}: {'; '.join(str(error).splitlines())}") from error


@lru_cache(maxsize=1024)
def handles(service: str, action: str) -> bool:
    """Return whether the model has the action."""
    try:
        actions.find(service, action)
    except ApiError:
        return False
    return True


def save_world(locked_world: LockedWorld, state_dir: Path) -> None:
    """Write the world into the state directory atomically, for the next start."""
    state_dir.mkdir(parents=True, exist_ok=True)
    saved = state_dir / _STATE_FILE
    new = saved.with_suffix(".new")
    with _writing, new.open("w", encoding="utf-8") as file:
        with locked_world.lock():
            document = json.dumps(locked_world.world.save())
        file.write(document)
        file.flush()
        os.fsync(file.fileno())
        new.replace(saved)
