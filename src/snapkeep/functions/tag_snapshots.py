"""TagSnapshots: a snapshot, or a multi-volume set, has ended in the primary region."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.adapters.ec2_writers import Ec2Tagger
from snapkeep.domain import events
from snapkeep.functions.answers import problems_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.protect import Tagged, TagSnapshots, seconds_to_wait
from snapkeep.usecases.queue_codec import wanted_to_json


def build(parts: Composition) -> TagSnapshots:
    """Given the parts, return the use case."""
    return TagSnapshots(
        system=parts.environment.system,
        reader=parts.reader,
        tagger=Ec2Tagger(client=parts.clients.get("ec2")),
        policies=parts.policies,
    )


@cache
def _ready() -> tuple[Composition, TagSnapshots]:
    parts = composition()
    return parts, build(parts)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Given `event` (EventBridge's, or the sweep's), return what is to be done with its snapshots."""
    log = started(event, context)
    parts, use_case = _ready()
    ended = events.parse_snapshot_event(event["event"])
    if isinstance(ended, events.NotOurs):
        log.info("not ours", extra={"why": ended.why})
        return {"outcome": "NOT_OURS", "volumes": [], "copies": [], "problems": []}
    tagged = use_case.run(ended)
    log.info("tagged", extra={"outcome": str(tagged.outcome), "reasons": list(tagged.reasons)})
    return _answer(tagged, parts)


def _answer(tagged: Tagged, parts: Composition) -> dict[str, Any]:
    now = parts.clock.now()
    return {
        "outcome": str(tagged.outcome),
        "volumes": list(tagged.volume_ids),
        "copies": [
            {
                "snapshot_id": wanted.origin.snapshot_id,
                "volume_id": wanted.origin.volume_id,
                "region": wanted.region,
                "timeout_seconds": seconds_to_wait(wanted, now),
                "wanted": wanted_to_json(wanted),
            }
            for wanted in tagged.copies
        ],
        "problems": problems_answer(tagged.problems),
    }
