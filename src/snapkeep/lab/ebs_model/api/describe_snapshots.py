"""DescribeSnapshots. Source: [EC2 API reference: DescribeSnapshots] and botocore's service model.

An index answers a filter on a volume, a tag or a state. An index with most of the snapshots is not worth sorting, and all
snapshots are read in order instead. In both cases the oldest is first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from snapkeep.lab.ebs_model.api import sharing
from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds, utc
from snapkeep.lab.ebs_model.errors import ApiError, snapshot_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response, check_snapshot_id
from snapkeep.lab.ebs_model.requests.filters import has_wildcard, parsed, tests_for, truth
from snapkeep.lab.ebs_model.requests.paging import encode, limits
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, SnapshotRecord
from snapkeep.lab.ebs_model.store.tags import as_list

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount

_seq = attrgetter("seq")
WORTH_AN_INDEX = 4
Test = Callable[[SnapshotRecord], bool]
Candidates = tuple[int, list[Iterable[SnapshotRecord]]]
"""The greatest number of snapshots, and the index entries to read."""


def progress(snapshot: SnapshotRecord, now: float) -> str:
    """Return a snapshot's progress as a percentage."""
    if snapshot.state == COMPLETED:
        return "100%"
    whole = max(snapshot.due - snapshot.start, 1e-9)
    if snapshot.state == ERROR:
        return "0%"
    return f"{max(0, min(99, int(100 * (now - snapshot.start) / whole)))}%"


def rendered(account: RegionAccount, snapshot: SnapshotRecord, now: float, reader: str) -> Response:
    """Return a snapshot in the form of DescribeSnapshots for an account: only existing fields, and tags only for its owner."""
    answer: Response = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": utc(snapshot.start),
        "Progress": progress(snapshot, now),
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size_gib,
        "Encrypted": snapshot.encrypted,
        "StorageTier": snapshot.tier,
    }
    if snapshot.state == COMPLETED:
        answer["CompletionTime"] = utc(snapshot.completed_at)
        answer["FullSnapshotSizeInBytes"] = snapshot.full_blocks * BLOCK_SIZE
    if snapshot.message:
        answer["StateMessage"] = snapshot.message
    if snapshot.encrypted:
        answer["KmsKeyId"] = snapshot.key_arn
        answer["SseType"] = "sse-kms"
        if snapshot.chain is not None:
            answer["DataEncryptionKeyId"] = snapshot.chain.data_key_id
    if snapshot.source_id:
        answer["TransferType"] = transfer_type(snapshot)
    if snapshot.duration_minutes:
        answer["CompletionDurationMinutes"] = snapshot.duration_minutes
    if snapshot.tags and reader == snapshot.owner_id:
        answer["Tags"] = as_list(snapshot.tags)
    tiering = account.tiering.get(snapshot.id)
    if tiering is not None and tiering.restore_expires:
        answer["RestoreExpiryTime"] = utc(tiering.restore_expires)
    return answer


def transfer_type(snapshot: SnapshotRecord) -> str:
    """Return the transfer type of a copy."""
    return "time-based" if snapshot.duration_minutes else "standard"


FIELDS: Mapping[str, Callable[[SnapshotRecord], Iterable[str]]] = {
    "description": lambda s: (s.description,),
    "encrypted": lambda s: truth(s.encrypted),
    "owner-alias": lambda s: (),  # noqa: ARG005 - only Amazon's own snapshots have one
    "owner-id": lambda s: (s.owner_id,),
    "snapshot-id": lambda s: (s.id,),
    "start-time": lambda s: (iso_milliseconds(s.start),),
    "status": lambda s: (s.state,),
    "storage-tier": lambda s: (s.tier,),
    "transfer-type": lambda s: (transfer_type(s),) if s.source_id else (),
    "volume-id": lambda s: (s.volume_id,),
    "volume-size": lambda s: (str(s.size_gib),),
}
"""The readers of fields for filters; `progress` needs the time too."""
_tags = attrgetter("tags")


def describe_snapshots(call: Call) -> Response:
    """DescribeSnapshots: own, shared and public ones; by id, owner, who may restore, filters; pages of 5 to 1,000.

    Raise InvalidParameterCombination on ids with a page size, and the errors of the other parameters.
    """
    params, account, now = call.params, call.account, call.now
    after, size = limits(params)
    ids = [str(snapshot_id) for snapshot_id in params.get("SnapshotIds") or ()]
    if ids and params.get("MaxResults"):
        message = "The parameter snapshotSet cannot be used with the parameter maxResults"
        raise ApiError("InvalidParameterCombination", message)
    filters = parsed(params.get("Filters"))
    fields = FIELDS
    if any(name == "progress" for name, _ in filters):
        fields = {**FIELDS, "progress": lambda snapshot: (progress(snapshot, now),)}
    # Other accounts see no tags. If nothing is shared, all snapshots are own ones: the readers of the fast path apply.
    shared = bool(call.world.shared_snapshots.get(account.region))
    own_tags = (lambda s: s.tags if s.owner_id == account.account_id else ()) if shared else _tags
    tests: list[Test] = tests_for(filters, fields, own_tags)
    tests.extend(_scope(call))
    passing = _by_id(call, ids) if ids else _candidates(call, filters, after, size, tests)
    for test in tests:
        passing = filter(test, passing)
    chosen = list(islice(passing, size + 1)) if size else list(passing)
    token = {}
    if size and len(chosen) > size:
        chosen.pop()
        token = {"NextToken": encode(chosen[-1].seq)}
    homes = call.world.region_accounts
    return {"Snapshots": [rendered(homes[s.owner_id, account.region], s, now, account.account_id) for s in chosen], **token}


def _scope(call: Call) -> list[Test]:
    """Return the tests of OwnerIds and RestorableByUserIds."""
    account_id, account = call.account.account_id, call.account
    tests: list[Test] = []
    owners = {account_id if owner == "self" else str(owner) for owner in call.params.get("OwnerIds") or ()}
    if owners:
        tests.append(lambda snapshot: snapshot.owner_id in owners)
    users = {str(user) for user in call.params.get("RestorableByUserIds") or ()}
    if users:
        world, region = call.world, account.region
        permitted = (users - {"self"}) | ({account_id} if "self" in users else set())

        def restorable(snapshot: SnapshotRecord) -> bool:
            granted = world.region_accounts[snapshot.owner_id, region].permissions.get(snapshot.id, {})
            if "self" in users and snapshot.owner_id == account_id:
                return True
            return any(user in granted for user in permitted)

        tests.append(restorable)
    return tests


def _by_id(call: Call, ids: list[str]) -> Iterator[SnapshotRecord]:
    """Return the snapshots with these ids. An unknown one is an error; one without access is left out (botocore)."""
    snapshots = []
    for snapshot_id in dict.fromkeys(ids):
        _, snapshot = sharing.find_visible(call.world, call.account.region, call.account.account_id, snapshot_id)
        if snapshot is not None:
            snapshots.append(snapshot)
        elif not _exists_elsewhere(call, snapshot_id):
            check_snapshot_id(snapshot_id)
            raise snapshot_not_found(snapshot_id)
    return iter(sorted(snapshots, key=_seq))


def _exists_elsewhere(call: Call, snapshot_id: str) -> bool:
    region = call.account.region
    return any(key[1] == region and snapshot_id in account.snapshots for key, account in call.world.region_accounts.items())


def _candidates(
    call: Call, filters: list[tuple[str, list[str]]], after: int, size: int, tests: list[Test]
) -> Iterator[SnapshotRecord]:
    """Return the snapshots after an order number that may pass, in order, from the smallest index."""
    account = call.account
    entries = [candidates for name, values in filters if (candidates := _indexed(account, name, values)) is not None]
    foreign = [s for _, s in sharing.foreign(call.world, account.region, account.account_id) if s.seq > after]
    if entries:
        count, buckets = min(entries, key=lambda entry: entry[0])
        if count * WORTH_AN_INDEX <= len(account.snapshots) or count <= (size or 1):
            indexed = [s for bucket in buckets for s in bucket if s.seq > after]
            return _in_order([*indexed, *foreign], size, tests)
    if foreign:
        return iter(sorted([*account.ordered(after), *foreign], key=_seq))
    return account.ordered(after)


def _in_order(snapshots: list[SnapshotRecord], size: int, tests: list[Test]) -> Iterator[SnapshotRecord]:
    if size and len(snapshots) > size * WORTH_AN_INDEX:
        passing = [s for s in snapshots if all(test(s) for test in tests)]
        return iter(nsmallest(size + 1, passing, key=_seq))
    return iter(sorted(snapshots, key=_seq))


def _indexed(account: RegionAccount, name: str, values: list[str]) -> Candidates | None:
    """Return the index entries that match a filter, or None when no index covers it."""
    if any(has_wildcard(value) for value in values):
        return None
    distinct = dict.fromkeys(values)
    if name == "volume-id":
        index = account.by_volume
    elif name.startswith("tag:"):
        by_value = account.by_tag.get(name[4:])
        if by_value is None:
            return 0, []
        index = by_value
    elif name == "status" and COMPLETED not in distinct:
        states = [account.by_state[state] for state in distinct if state in (PENDING, ERROR)]
        return sum(map(len, states)), list(states)
    elif name == "snapshot-id":
        known = [account.snapshots[value] for value in distinct if value in account.snapshots]
        return len(known), [known]
    else:
        return None
    return sum(index.size(value) for value in distinct), [index.get(value) for value in distinct]
