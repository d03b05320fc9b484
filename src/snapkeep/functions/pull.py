"""Pull: copy what production shares with this vault, and send an event for each complete copy.

EC2's event of a share invokes it, and a schedule.
"""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.ec2_shares import Ec2Shares
from snapkeep.adapters.events_owner_buses import EventOwnerBuses
from snapkeep.domain.events import parse_share
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.copy_snapshot_to_dr import build as build_enqueue
from snapkeep.functions.log import audit_copy, started
from snapkeep.usecases.copies.pull import PullShares


def build(parts: Composition) -> PullShares:
    """Make the use case of the composition."""
    environment = parts.environment

    def shares_of(region: str) -> Ec2Shares:
        return Ec2Shares(client=parts.clients.get("ec2", region=region), region=region, owners=environment.owner_accounts)

    return PullShares(
        system=environment.system,
        reader=parts.points,
        owners=environment.owner_accounts,
        shares_of=shares_of,
        queue=parts.queue_of(environment.region),
        enqueue=build_enqueue(parts),
        buses=EventOwnerBuses(
            client_of=lambda region: parts.clients.get("events", region=region), partition=environment.partition
        ),
        policies=parts.policies,
        clock=parts.clock,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle the shared snapshot of an event, or all shared ones; return how many copies were requested and complete."""
    log = started(event, context)
    result = build(composition()).run(parse_share(event))
    for key in result.requested:
        audit_copy(key, "", "requested")
    if result.problem:
        log.error(result.problem)
    for refused in result.refused:
        log.warning("a shared snapshot is not copied", extra={"snapshot": refused.snapshot_id, "cause": refused.why})
    return {"requested": len(result.requested), "complete": len(result.complete), "refused": len(result.refused)}
