"""The EBS direct APIs: ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock.

Sources: botocore's ebs service model, [EBS user guide: EBS direct APIs].
"""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_right
from collections.abc import Iterator

from snapkeep.lab.ebs_model.api import keys, sharing
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.paging import decode, encode
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, Extent, content
from snapkeep.lab.ebs_model.store.records import COMPLETED, Snapshot

FEWEST, MOST = 100, 10_000
TOKEN_DAYS = 7


def _readable(call: Call, snapshot_id: str) -> Snapshot:
    """Return a completed snapshot of the standard tier whose key the caller may use. Raise as the service does."""
    _, snapshot = sharing.find_visible(call.world, call.account.region, call.account.account_id, snapshot_id)
    if snapshot is None:
        raise ApiError("ResourceNotFoundException", f"The snapshot '{snapshot_id}' does not exist.", 404)
    if snapshot.state != COMPLETED or snapshot.tier != "standard":
        raise ApiError("ValidationException", f"The snapshot '{snapshot_id}' is not completed in the standard tier.")
    if snapshot.key_arn:
        key = keys.find(call.world, snapshot.key_arn)
        if key is None or not keys.usable(key, call.caller):
            raise ApiError("AccessDeniedException", f"The key of '{snapshot_id}' is not accessible.", 403)
    return snapshot


def _page(call: Call, extents: list[Extent]) -> tuple[list[int], dict[str, str]]:
    size = int(call.params.get("MaxResults") or MOST)
    if not FEWEST <= size <= MOST:
        raise ApiError("ValidationException", f"MaxResults is {size}: from {FEWEST} to {MOST}.")
    first = int(call.params.get("StartingBlockIndex") or 0)
    if call.params.get("NextToken"):
        try:
            first = decode(str(call.params["NextToken"])) + 1
        except ApiError as error:
            raise ApiError("ValidationException", "NextToken is not valid.") from error
    chosen: list[int] = []
    for index in _indexes(extents, first):
        if len(chosen) == size:
            return chosen, {"NextToken": encode(chosen[-1])}
        chosen.append(index)
    return chosen, {}


def _indexes(extents: list[Extent], first: int) -> Iterator[int]:
    start = max(0, bisect_right(extents, (first, 1 << 62)) - 1)
    for begin, end in extents[start:]:
        yield from range(max(begin, first), end)


def _token(snapshot: Snapshot, index: int) -> str:
    digest = hashlib.sha256(f"{snapshot.id}/{index}".encode()).digest()
    return base64.b64encode(digest).decode()


def _answer(call: Call, snapshot: Snapshot) -> Response:
    return {
        "ExpiryTime": utc(call.now + TOKEN_DAYS * SECONDS_PER_DAY),
        "VolumeSize": snapshot.size_gib,
        "BlockSize": BLOCK_SIZE,
    }


def list_snapshot_blocks(call: Call) -> Response:
    """ListSnapshotBlocks: the blocks ever written, in pages of 100 to 10,000."""
    snapshot = _readable(call, str(call.params["SnapshotId"]))
    indexes, token = _page(call, snapshot.log.extents(-1, snapshot.generation))
    blocks = [{"BlockIndex": index, "BlockToken": _token(snapshot, index)} for index in indexes]
    return {"Blocks": blocks, **_answer(call, snapshot), **token}


def list_changed_blocks(call: Call) -> Response:
    """ListChangedBlocks: blocks that differ between two snapshots of one lineage, or all without a first one.

    Raise ValidationException when they are of two lineages.
    """
    second = _readable(call, str(call.params["SecondSnapshotId"]))
    first = _readable(call, str(call.params["FirstSnapshotId"])) if call.params.get("FirstSnapshotId") else None
    if first is not None and first.log is not second.log:
        raise ApiError("ValidationException", "The snapshots are not of the same volume lineage.")
    low, high = sorted((first.generation if first else -1, second.generation))
    indexes, token = _page(call, second.log.extents(low, high))
    blocks = []
    for index in indexes:
        entry: Response = {"BlockIndex": index}
        if first is not None and _written(first, index):
            entry["FirstBlockToken"] = _token(first, index)
        if _written(second, index):
            entry["SecondBlockToken"] = _token(second, index)
        blocks.append(entry)
    return {"ChangedBlocks": blocks, **_answer(call, second), **token}


def _written(snapshot: Snapshot, index: int) -> bool:
    return snapshot.log.version(index, snapshot.generation)[1] > 0


def get_snapshot_block(call: Call) -> Response:
    """GetSnapshotBlock: 512 KiB and their SHA-256; the token must be the listing's.

    Raise ValidationException on another token, ResourceNotFoundException for a block that was never written.
    """
    snapshot = _readable(call, str(call.params["SnapshotId"]))
    index = int(call.params["BlockIndex"])
    if call.params["BlockToken"] != _token(snapshot, index):
        raise ApiError("ValidationException", "BlockToken is not valid for this block.")
    if not _written(snapshot, index):
        raise ApiError("ResourceNotFoundException", f"Block {index} was never written.", 404)
    data = read(snapshot, index)
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return {
        "DataLength": BLOCK_SIZE,
        "BlockData": data,
        "Checksum": checksum,
        "ChecksumAlgorithm": "SHA256",
    }


def read(snapshot: Snapshot, index: int) -> bytes:
    """Given a snapshot and a block, return its bytes; zeros when it was never written."""
    origin, generation = snapshot.log.version(index, snapshot.generation)
    return content(origin, index, generation)
