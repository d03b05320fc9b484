"""The holders of a snapshot in its tags: the recoveries that restore it, until each of them ends (INV-18).

IAM compares whole tag keys, and EC2 overwrites a tag without a check of its value. Each holder therefore has a key of its own,
and one more key is the same for all holders.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from snapkeep.domain.tag_names import HOLD, HOLDER
from snapkeep.domain.tags import format_time

TRIAL_HOLD = {HOLD: "dry-run", f"{HOLDER}dry-run": ""}
"""The tags with which a plan checks its permission to hold points."""


def holder_tag(run_id: str, since: datetime) -> dict[str, str]:
    """Return the tag of one holder."""
    return {f"{HOLDER}{run_id}": format_time(since)}


def holders_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the time since which each holder holds a snapshot; empty if it is not known, as for a tag that a person wrote."""
    holders = {key.removeprefix(HOLDER): since for key, since in tags.items() if key.startswith(HOLDER)}
    # Without a key of its own, a person placed the hold, or a version that wrote only this tag.
    return {tags[HOLD]: ""} | holders if HOLD in tags else holders


def is_held(tags: Mapping[str, str]) -> bool:
    """Whether a snapshot must not be deleted."""
    # By one search in all keys: a sweep asks for each deletion.
    return HOLD in tags or f"\n{HOLDER}" in "\n".join(("", *tags))
