"""The holders of a snapshot, as its tags name them: recoveries that restore it, until each of them ends (INV-18).

IAM compares whole tag keys, and EC2 overwrites a tag without looking at its value. Therefore each holder has a key of its own,
and one more key is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from snapkeep.domain.tag_names import HOLD, HOLDER
from snapkeep.domain.tags import format_time

TRIAL_HOLD = {HOLD: "dry-run", f"{HOLDER}dry-run": ""}
"""The tags with which a plan tries whether it may hold its points."""


def holder_tag(run_id: str, since: datetime) -> dict[str, str]:
    """Return the tag of one holder."""
    return {f"{HOLDER}{run_id}": format_time(since)}


def holders_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return since when each holder holds a snapshot; empty where it is not known, as of a tag that a person wrote."""
    holders = {key.removeprefix(HOLDER): since for key, since in tags.items() if key.startswith(HOLDER)}
    # Without a key of its own it is a person's hold, or one of a version that wrote this tag alone.
    return {tags[HOLD]: ""} | holders if HOLD in tags else holders


def is_held(tags: Mapping[str, str]) -> bool:
    """Whether a snapshot must not be deleted."""
    return HOLD in tags or any(key.startswith(HOLDER) for key in tags)
