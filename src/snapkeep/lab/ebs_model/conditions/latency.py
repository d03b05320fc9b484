"""The duration of requests in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from snapkeep.lab.ebs_model.conditions.clock import finite
from snapkeep.lab.ebs_model.conditions.throttling import is_read


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from a request to its answer: for a read, for a change, and for each item of a page.

    The default is zero. AWS documents no latency of EC2's API: `ASSUMED_LATENCY` is an assumption.
    """

    read_seconds: float = 0.0
    change_seconds: float = 0.0
    item_seconds: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            seconds = getattr(self, field.name)
            if finite(seconds, field.name) < 0:
                raise ValueError(f"{field.name} is {seconds}: must be 0 or more")

    def seconds_of(self, action: str, answer: Mapping[str, Any]) -> float:
        """Return the duration of a request with this answer (empty for an error) in seconds."""
        if not is_read(action):
            return self.change_seconds
        items = sum(len(value) for value in answer.values() if isinstance(value, list))
        return self.read_seconds + items * self.item_seconds


ASSUMED_LATENCY = Latency(read_seconds=0.1, change_seconds=0.25, item_seconds=0.0008)
"""The latency that measurements assume. It is slow on purpose: a full page of 1,000 snapshots takes 0.9 seconds. AWS's only
figure is an example: 100 ms for a request [EBS user guide: optimize performance for EBS direct APIs].
"""
