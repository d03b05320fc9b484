"""ShareWithVault: share a proved copy with its vault, end the share once the vault has its copy; catch up each hour."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.ec2_exposure import Ec2Exposure
from snapkeep.adapters.ec2_sharing import Ec2Sharer
from snapkeep.domain.records import dataclass
from snapkeep.domain.vault.copy_event import DETAIL_TYPE, parse_vault_copy_event
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.log import logger, started
from snapkeep.functions.payload_reader import from_json
from snapkeep.usecases.vault.share import ShareWithVault


@dataclass(frozen=True, slots=True)
class ShareCall:
    """The call of ShareWithVault for one copy that was proved."""

    copy: str
    """Its id."""


def build(parts: Composition) -> ShareWithVault:
    """Make the use case of the composition."""
    environment = parts.environment
    return ShareWithVault(
        system=environment.system,
        copies=parts.points,
        permissions=Ec2Exposure(client=parts.clients.get("ec2")),
        sharer=Ec2Sharer(client=parts.clients.get("ec2")),
        policies=parts.policies,
        accounts=environment.vault_accounts,
        clock=parts.clock,
        notices=parts.notices,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Share the copy of a `ShareCall`, end a share by a vault's event, or catch up by the schedule. Return what was done.

    Raise InvalidEvent on an event of a vault that cannot be read.
    """
    started(event, context)
    sharing = build(composition())
    # Three callers: an execution of Verify, a vault's event, and the schedule.
    if "copy" in event:
        call = from_json(ShareCall, event)
        vault = sharing.share(call.copy)
        if vault:
            _audit(call.copy, f"shared with vault {vault}")
        return {"vault": vault}
    if event.get("detail-type") == DETAIL_TYPE:
        copied = parse_vault_copy_event(event)
        withdrawn = sharing.withdraw(copied)
        if withdrawn:
            _audit(copied.snapshot_id, f"account {copied.account} has copied it as {copied.copy_id}: no longer shared")
        return {"withdrawn": withdrawn}
    result = sharing.catch_up()
    for copy_id in result.shared:
        _audit(copy_id, "shared with its vault")
    for copy_id in result.withdrawn:
        _audit(copy_id, "no policy names this vault: no longer shared")
    return {"shared": len(result.shared), "withdrawn": len(result.withdrawn), "failed": len(result.failed)}


def _audit(snapshot_id: str, outcome: str) -> None:
    logger().info("share", extra={"audit": "share", "snapshot": snapshot_id, "outcome": outcome})
