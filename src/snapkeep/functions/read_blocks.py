"""ReadBlocks: list and read blocks of this region's snapshots for Verify of another region. Hashes travel, blocks do not."""

from __future__ import annotations

from functools import cache
from typing import Any

from snapkeep.adapters.ebs_blocks import EbsBlocks
from snapkeep.adapters.lambda_blocks import BlockCall
from snapkeep.domain.json_codec import to_object
from snapkeep.functions.clients import BLOCK_CONNECTIONS
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.usecases.recovery.read_blocks import ReadBlocks


def build(parts: Composition) -> ReadBlocks:
    """Make the use case of the composition."""
    region = parts.environment.region
    return ReadBlocks(
        api=EbsBlocks(client=parts.clients.get("ebs", once=True), region=region),
        workers=parts.workers(BLOCK_CONNECTIONS),
        clock=parts.clock,
    )


@cache
def _use_case() -> ReadBlocks:
    """Return the use case of the function, with its threads."""
    return build(composition())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """List or read the blocks of a `BlockCall`; return a `BlockAnswer`."""
    started(event, context)
    return to_object(from_json(BlockCall, event).run(_use_case()))
