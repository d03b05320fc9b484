"""TagSnapshots: a snapshot, or a multi-volume set, has ended in the primary region."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from snapkeep.domain import events
from snapkeep.functions.answers import copies_answer, problems_answer
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.protect import TagResult, TagSnapshots

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


def build(parts: Composition) -> TagSnapshots:
    """Given the parts, return the use case."""
    return TagSnapshots(
        system=parts.environment.system,
        reader=parts.reader,
        tagger=parts.tagger,
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
    return _answer(tagged, parts, log)


def _answer(tagged: TagResult, parts: Composition, log: Logger) -> dict[str, Any]:
    copies, left, cut = copies_answer(tagged.copies, parts.clock.now())
    if cut:
        log.warning("tags that copies do not carry: the set has too many for one run", extra={"left_out": cut})
    return {
        "outcome": str(tagged.outcome),
        "volumes": list(tagged.volume_ids),
        "copies": copies,
        "problems": problems_answer([*tagged.problems, *left]),
    }
