"""Options of events, for details that the documents leave open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
ARN_SHAPES = ("A", "B", "C")
"""The documented shapes of ARNs in events: see `store.arns`."""


@dataclass(frozen=True, slots=True)
class EventOptions:
    """Options of events.

    ``arn_shape``: A, B, C, or ``mixed`` (drawn from the seed). ``members_of_sets``: whether each member of a
    multi-volume set emits its own createSnapshot event too (not stated). ``key_failures``: whether a copy that fails
    for its key emits a failed event ("the operation fails silently" [EBS user guide: copy a snapshot] can be read
    both ways). ``leading_space``: whether `initializeVolume` has the leading space that the page shows.
    """

    arn_shape: str = "A"
    members_of_sets: bool = False
    key_failures: bool = True
    leading_space: bool = False

    def __post_init__(self) -> None:
        if self.arn_shape not in (*ARN_SHAPES, "mixed"):
            raise ValueError(f"arn_shape is {self.arn_shape!r}: one of A, B, C, mixed")
