"""The emulator's state on disk: ministack writes it only at shutdown, so that a killed server would lose everything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from snapkeep.lab.embedded_aws.patches.patch_tools import replace

_writing = threading.Lock()


def apply() -> None:
    """Apply the patch: one writer at a time, because files have one temporary name."""
    from ministack import app

    replace(app, "save_all", _one_at_a_time)


def save() -> None:
    """Write the state of every service, each file atomically."""
    from ministack import app

    app.save_all(app._build_persistence_save_dict())


def _one_at_a_time(save_all: Callable[[Any], None]) -> Callable[[Any], None]:
    def save_all_locked(services: Any) -> None:
        with _writing:
            save_all(services)

    return save_all_locked
