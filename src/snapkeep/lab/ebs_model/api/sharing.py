"""Sharing of snapshots: createVolumePermission, and block public access.

Sources: [EC2 API reference: ModifySnapshotAttribute], [EBS user guide: share a snapshot; block public access].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import keys
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.lifecycle import end_shares
from snapkeep.lab.ebs_model.store.records import SnapshotRecord

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

PUBLIC = "all"
ACCOUNT_ID = re.compile(r"^\d{12}$")
MOST_CHANGES = 500
BLOCK_STATES = ("block-all-sharing", "block-new-sharing")


def find_visible(
    world: WorldState, region: str, account_id: str, snapshot_id: str
) -> tuple[RegionAccount, SnapshotRecord | None]:
    """Return a snapshot and the account that owns it, or None if an account cannot see it."""
    own = world.region_account(region, account_id)
    snapshot = own.snapshots.get(snapshot_id)
    if snapshot is not None:
        return own, snapshot
    owner = world.shared_snapshots.get(region, {}).get(snapshot_id)
    if owner is not None:
        account = world.region_account(region, owner)
        return account, find_in(account, account_id, snapshot_id)
    return own, None


def find_in(owner: RegionAccount, account_id: str, snapshot_id: str) -> SnapshotRecord | None:
    """Return a snapshot that an account owns in a region, or None if it does not exist or another account may not use it."""
    if owner.account_id == account_id or visible_to(owner, snapshot_id, account_id):
        return owner.snapshots.get(snapshot_id)
    return None


def visible_to(account: RegionAccount, snapshot_id: str, account_id: str) -> bool:
    """Return whether an account may use a snapshot of another account."""
    permissions = account.permissions.get(snapshot_id, {})
    public = PUBLIC in permissions and account.block_public_access != "block-all-sharing"
    return public or account_id in permissions


def foreign(world: WorldState, region: str, account_id: str) -> Iterator[tuple[RegionAccount, SnapshotRecord]]:
    """Return the snapshots of other accounts in a region that an account can see."""
    for snapshot_id, owner in world.shared_snapshots.get(region, {}).items():
        account = world.region_account(region, owner)
        snapshot = account.snapshots.get(snapshot_id)
        if owner != account_id and snapshot is not None and visible_to(account, snapshot_id, account_id):
            yield account, snapshot


def modify_snapshot_attribute(call: Call) -> Response:
    """ModifySnapshotAttribute: add or remove accounts, or the group `all`.

    Raise InvalidParameterValue, InvalidParameterCombination when no account is named or the request adds and removes, or
    OperationNotPermitted for sharing with all of a snapshot that is encrypted, of AWS Marketplace, or blocked.
    """
    account, snapshot = call.account, call.snapshot()
    if call.params.get("Attribute") not in (None, "createVolumePermission"):
        raise ApiError("InvalidParameterValue", "Attribute can only be createVolumePermission.")
    added, removed = _changes(call)
    if bool(added) == bool(removed):
        raise ApiError("InvalidParameterCombination", "Add accounts or groups, or remove some, in one request.")
    if len(added) + len(removed) > MOST_CHANGES:
        raise ApiError("InvalidParameterValue", f"A request makes at most {MOST_CHANGES} changes.")
    if added:
        _refuse_sharing(call, snapshot)
    if added and PUBLIC in added:
        if snapshot.encrypted or snapshot.billing[2:]:
            message = "Snapshots that are encrypted or have product codes of AWS Marketplace cannot be shared publicly."
            raise ApiError("OperationNotPermitted", message)
        if account.block_public_access in BLOCK_STATES:
            raise ApiError("OperationNotPermitted", "Public sharing is blocked for this account in this Region.")
    permissions = account.permissions.setdefault(snapshot.id, {})
    new = [grantee for grantee in added if grantee not in permissions]
    permissions.update(dict.fromkeys(added))
    for grantee in removed:
        permissions.pop(grantee, None)
    shared = call.world.shared_snapshots.setdefault(account.region, {})
    if permissions:
        shared[snapshot.id] = account.account_id
    else:
        del account.permissions[snapshot.id]
        shared.pop(snapshot.id, None)
    _emit_shares(call, snapshot, new)
    return {}


def _changes(call: Call) -> tuple[list[str], list[str]]:
    change = call.params.get("CreateVolumePermission") or {}
    added = [str(entry.get("UserId") or entry.get("Group")) for entry in change.get("Add") or ()]
    removed = [str(entry.get("UserId") or entry.get("Group")) for entry in change.get("Remove") or ()]
    named = [str(name) for name in (*(call.params.get("UserIds") or ()), *(call.params.get("GroupNames") or ()))]
    groups = [*(call.params.get("GroupNames") or ()), *(e["Group"] for e in _entries(change) if e.get("Group"))]
    for group in groups:
        if group != PUBLIC:
            raise invalid_value(group, "group", "Expected: all.")
    users = [*(call.params.get("UserIds") or ()), *(e["UserId"] for e in _entries(change) if e.get("UserId"))]
    for user in users:
        if not ACCOUNT_ID.match(str(user)):
            raise ApiError("InvalidUserID.Malformed", f'Invalid user id: "{user}"')
    operation = call.params.get("OperationType")
    if named and operation not in ("add", "remove"):
        raise ApiError("InvalidParameterValue", f"Value ({operation}) for parameter OperationType is invalid.")
    (added if operation == "add" else removed).extend(named)
    return added, removed


def _entries(change: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*(change.get("Add") or ()), *(change.get("Remove") or ())]


def _refuse_sharing(call: Call, snapshot: SnapshotRecord) -> None:
    """Raise for a snapshot that cannot be shared at all [EBS user guide: share a snapshot; archive considerations]."""
    if snapshot.tier != "standard":
        raise ApiError("IncorrectState", f"The snapshot '{snapshot.id}' is archived and cannot be shared.")
    key = keys.find(call.world, snapshot.key_arn) if snapshot.key_arn else None
    if key is not None and key.manager == "AWS":
        raise ApiError("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")


def _emit_shares(call: Call, snapshot: SnapshotRecord, new: list[str]) -> None:
    """Emit shareSnapshot in each receiving account: private shares only, source is the sharer's account number."""
    for account_id in new:
        if account_id in (PUBLIC, call.account.account_id):
            continue
        receiver = call.world.region_account(call.account.region, account_id)
        detail = {"event": "shareSnapshot", "result": "succeeded", "source": int(call.account.account_id)}
        shape = call.world.arn_shape()
        events.emit_snapshot_notice(call.world, receiver, snapshot, shape, detail, started=call.now, ended=call.now)


def describe_snapshot_attribute(call: Call) -> Response:
    """DescribeSnapshotAttribute: createVolumePermission or productCodes. Raise InvalidParameterValue on any other."""
    snapshot = call.snapshot()
    attribute = call.params["Attribute"]
    if attribute == "productCodes":
        return {"SnapshotId": snapshot.id, "ProductCodes": []}
    if attribute != "createVolumePermission":
        raise ApiError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
    permissions = call.account.permissions.get(snapshot.id, {})
    entries = [{"Group": name} if name == PUBLIC else {"UserId": name} for name in permissions]
    return {"SnapshotId": snapshot.id, "CreateVolumePermissions": entries}


def reset_snapshot_attribute(call: Call) -> Response:
    """ResetSnapshotAttribute: only the owner may use the snapshot."""
    end_shares(call.world, call.account, call.snapshot().id)
    return {}


def get_block_public_access(call: Call) -> Response:
    """GetSnapshotBlockPublicAccessState."""
    return {"State": call.account.block_public_access, "ManagedBy": "account"}


def enable_block_public_access(call: Call) -> Response:
    """EnableSnapshotBlockPublicAccess: block-all-sharing or block-new-sharing. Raise InvalidParameterValue on any other."""
    state = str(call.params["State"])
    if state not in BLOCK_STATES:
        raise ApiError("InvalidParameterValue", f"Value ({state}) for parameter State is invalid.")
    call.account.block_public_access = state
    return {"State": state}


def disable_block_public_access(call: Call) -> Response:
    """DisableSnapshotBlockPublicAccess."""
    call.account.block_public_access = "unblocked"
    return {"State": "unblocked"}
