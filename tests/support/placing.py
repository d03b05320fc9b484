"""Holds for tests."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from snapkeep.domain.model import Snapshot
from snapkeep.domain.retention.placed_holds import NOTHING_HELD, PlacedHold, PlacedHolds
from snapkeep.domain.tags import parse_time
from snapkeep.usecases.placed_holds import HoldReader

SINCE = parse_time("2026-01-01T00:00:00Z")
CALLER = "arn:aws:iam::123456789012:user/alice"


class SomeHolds(HoldReader):
    """The same holds at every look."""

    def __init__(self, placed: PlacedHolds = NOTHING_HELD) -> None:
        self.held = placed

    def placed(self, snapshots: Iterable[Snapshot]) -> PlacedHolds:
        assert snapshots is not None
        return self.held


def hold(hold_id: str = "hold-1", since: datetime = SINCE, **covers: Any) -> PlacedHold:
    """A hold of everything, or of what is named."""
    return PlacedHold(hold_id, CALLER, since, "an investigation", **covers)
