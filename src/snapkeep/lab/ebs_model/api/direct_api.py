"""The EBS direct APIs: ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock.

Sources: botocore's ebs service model, [EBS user guide: EBS direct APIs; readsnapshots; ebsapi-faq].
"""

from __future__ import annotations

import base64
import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator

from snapkeep.lab.ebs_model.api import keys, sharing
from snapkeep.lab.ebs_model.api.key_policies import NEEDED_TO_READ
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, Extent, merged
from snapkeep.lab.ebs_model.store.content import content_of, planted_extents
from snapkeep.lab.ebs_model.store.records import COMPLETED, SnapshotRecord

FEWEST, MOST = 100, 10_000
BLOCK_TOKEN_SECONDS = 7 * SECONDS_PER_DAY
PAGE_TOKEN_SECONDS = 3600.0


def _invalid(reason: str, message: str) -> ApiError:
    return ApiError("ValidationException", message, 400, reason)


def _readable(call: Call, snapshot_id: str) -> SnapshotRecord:
    """Return a completed snapshot of the standard tier whose key the caller may use. Raise as the service does.

    A public snapshot of another account cannot be read [EBS user guide: ebsapi-faq].
    """
    account, snapshot = sharing.find_visible(call.world, call.account.region, call.account.account_id, snapshot_id)
    if snapshot is None:
        raise ApiError("ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", 404, "SNAPSHOT_NOT_FOUND")
    if account is not call.account and call.account.account_id not in account.permissions.get(snapshot_id, {}):
        raise ApiError("AccessDeniedException", f"The snapshot '{snapshot_id}' is public.", 403, "UNAUTHORIZED_ACCOUNT")
    if snapshot.state != COMPLETED or snapshot.tier != "standard":
        raise _invalid("INVALID_SNAPSHOT_ID", f"The snapshot '{snapshot_id}' is not completed in the standard tier.")
    if snapshot.key_arn:
        key = keys.find(call.world, snapshot.key_arn)
        if key is None or not keys.usable(key, call, NEEDED_TO_READ):
            message = f"The key of '{snapshot_id}' is not accessible."
            raise ApiError("AccessDeniedException", message, 403, "DEPENDENCY_ACCESS_DENIED")
    return snapshot


def _page(call: Call, names: list[str], extents: list[Extent]) -> tuple[list[int], dict[str, str]]:
    """Return the indexes of one page and the token of the next. NextToken takes precedence over StartingBlockIndex."""
    size = int(call.params.get("MaxResults") or MOST)
    if not FEWEST <= size <= MOST:
        raise _invalid("INVALID_PARAMETER_VALUE", f"MaxResults is {size}: from {FEWEST} to {MOST}.")
    first = int(call.params.get("StartingBlockIndex") or 0)
    if first < 0:
        raise _invalid("INVALID_PARAMETER_VALUE", f"StartingBlockIndex is {first}: 0 or more.")
    if call.params.get("NextToken"):
        first = _first_of_page(call, names, str(call.params["NextToken"]))
    action = "ListChangedBlocks" if len(names) > 1 else "ListSnapshotBlocks"
    if call.world.faults.hit("empty_page", call.world.now(), region=call.account.region, action=action):
        return [], {"NextToken": _page_token(call, names, first)}
    chosen: list[int] = []
    for index in _indexes(extents, first):
        if len(chosen) == size:
            return chosen, {"NextToken": _page_token(call, names, index)}
        chosen.append(index)
    return chosen, {}


def _page_token(call: Call, names: list[str], first: int) -> str:
    return base64.b64encode(json.dumps([names, first, call.now + PAGE_TOKEN_SECONDS]).encode()).decode()


def _first_of_page(call: Call, names: list[str], token: str) -> int:
    try:
        named, first, until = json.loads(base64.b64decode(token.encode(), validate=True))
    except (TypeError, ValueError) as error:
        raise _invalid("INVALID_PAGE_TOKEN", "NextToken is not valid.") from error
    if named != names or call.now >= until:
        raise _invalid("INVALID_PAGE_TOKEN", "NextToken is of another request, or older than 60 minutes.")
    return int(first)


def _indexes(extents: list[Extent], first: int) -> Iterator[int]:
    start = max(0, bisect_right(extents, (first, 1 << 62)) - 1)
    for begin, end in extents[start:]:
        yield from range(max(begin, first), end)


def _block_token(snapshot: SnapshotRecord, index: int, until: float) -> str:
    return f"{_signature(snapshot, index, int(until))}{int(until):010x}"


def _signature(snapshot: SnapshotRecord, index: int, until: int) -> str:
    digest = hashlib.sha256(f"{snapshot.id}/{index}/{until}".encode()).digest()
    return base64.b64encode(digest).decode()


def _answer(call: Call, snapshot: SnapshotRecord) -> Response:
    return {
        "ExpiryTime": utc(call.now + BLOCK_TOKEN_SECONDS),
        "VolumeSize": snapshot.size_gib,
        "BlockSize": BLOCK_SIZE,
    }


def list_snapshot_blocks(call: Call) -> Response:
    """ListSnapshotBlocks: the blocks ever written, in pages of 100 to 10,000."""
    snapshot = _readable(call, str(call.params["SnapshotId"]))
    indexes, token = _page(call, [snapshot.id], content_of(snapshot).extents())
    until = call.now + BLOCK_TOKEN_SECONDS
    blocks = [{"BlockIndex": index, "BlockToken": _block_token(snapshot, index, until)} for index in indexes]
    return {"Blocks": blocks, **_answer(call, snapshot), **token}


def list_changed_blocks(call: Call) -> Response:
    """ListChangedBlocks: blocks that differ between two snapshots of one lineage, or all without a first one.

    Raise ValidationException, UNRELATED_SNAPSHOTS, when they are of two lineages.
    """
    second = _readable(call, str(call.params["SecondSnapshotId"]))
    first = _readable(call, str(call.params["FirstSnapshotId"])) if call.params.get("FirstSnapshotId") else None
    if first is not None and first.log is not second.log:
        raise _invalid("UNRELATED_SNAPSHOTS", "The snapshots are not of the same volume lineage.")
    indexes, token = _page(call, [first.id if first else "", second.id], _changed(first, second))
    until = call.now + BLOCK_TOKEN_SECONDS
    blocks = []
    for index in indexes:
        entry: Response = {"BlockIndex": index}
        if first is not None and content_of(first).holds(index):
            entry["FirstBlockToken"] = _block_token(first, index, until)
        if content_of(second).holds(index):
            entry["SecondBlockToken"] = _block_token(second, index, until)
        blocks.append(entry)
    return {"ChangedBlocks": blocks, **_answer(call, second), **token}


def _changed(first: SnapshotRecord | None, second: SnapshotRecord) -> list[Extent]:
    """Return the blocks written between two snapshots, and those that differ because of planted faults."""
    if first is None:
        return content_of(second).extents()
    low, high = sorted((first.generation, second.generation))
    return merged([*second.log.extents(low, high), *planted_extents(first), *planted_extents(second)])


def get_snapshot_block(call: Call) -> Response:
    """GetSnapshotBlock: 512 KiB and their SHA-256; the token must be a listing's of the last 7 days.

    Raise ValidationException, INVALID_BLOCK_TOKEN, on any other token.
    """
    snapshot = _readable(call, str(call.params["SnapshotId"]))
    index, token = int(call.params["BlockIndex"]), str(call.params["BlockToken"])
    signature, until = token[:-10], token[-10:]
    try:
        valid = signature == _signature(snapshot, index, int(until, 16)) and call.now < int(until, 16)
    except ValueError:
        valid = False
    if not valid or not content_of(snapshot).holds(index):
        raise _invalid("INVALID_BLOCK_TOKEN", "BlockToken is not of a listing of this block in the last 7 days.")
    data = read(snapshot, index)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {
        "DataLength": BLOCK_SIZE,
        "BlockData": data,
        "Checksum": checksum,
        "ChecksumAlgorithm": "SHA256",
    }


def read(snapshot: SnapshotRecord, index: int) -> bytes:
    """Return the bytes of a block of a snapshot; zeros when it is not listed."""
    return content_of(snapshot).read(index)
