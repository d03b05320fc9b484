"""Digest: publish what was collected, one message for each cause."""

from __future__ import annotations

from typing import Any

from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.usecases.notify import Digest


def build(parts: Composition) -> Digest:
    """Make the use case of the composition."""
    return Digest(
        system=parts.environment.system,
        source=parts.notices,
        publisher=parts.publisher,
        clock=parts.clock,
        quiet=parts.environment.digest_quiet,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return how many messages were published."""
    log = started(event, context)
    messages = build(composition()).run()
    log.info("digest", extra={"messages": messages})
    return {"messages": messages}
