"""MakeSnapshots: make the snapshots that policies request. A schedule invokes it every five minutes."""

from __future__ import annotations

from typing import Any

from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.creation.make import MakeSnapshots


def build(parts: Composition) -> MakeSnapshots:
    """Make the use case of the composition."""
    return MakeSnapshots(
        reader=parts.reader,
        reader_of=parts.reader_of,
        maker=parts.maker,
        commands=parts.commands,
        intentions=parts.documents,
        policies=parts.policies,
        holds=lambda: parts.hold_store_of(parts.environment.region),
        notices=parts.notices,
        clock=parts.clock,
        quota=parts.environment.snapshot_quota,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return how many volumes were due, and how many snapshots were made."""
    log = started(event, context)
    result = build(composition()).run()
    log.info("snapshots made", extra={"due": result.due, "made": list(result.made), "stopped": result.stopped})
    return {"due": result.due, "made": len(result.made), "stopped": result.stopped}
