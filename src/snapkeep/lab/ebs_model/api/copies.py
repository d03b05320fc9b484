"""CopySnapshot, and the ends of copies. Source of all rules, unless noted otherwise: [EBS user guide: copy a snapshot]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import keys, locks, sharing
from snapkeep.lab.ebs_model.conditions.quotas import GIB, MIB
from snapkeep.lab.ebs_model.errors import ApiError, snapshot_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, BLOCKS_PER_GIB, Chain
from snapkeep.lab.ebs_model.store.content import ContentFaults, content_of, plant
from snapkeep.lab.ebs_model.store.lifecycle import join, leave
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, Key, SnapshotRecord
from snapkeep.lab.ebs_model.store.tags import as_list, flat, from_specifications

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

ARBITRARY_VOLUME = "vol-ffffffff"
KEY_FAILURE = "Given key ID is not accessible"
SOURCE_FAILURE = "Source snapshot ID is not valid"
QUOTA_CAUSE = (
    "Snapshot copy was not able to meet the specified completion duration because your snapshot copy operation "
    "throughput quota was exceeded."
)
DURATION_STEP_MINUTES = 15
LONGEST_MINUTES = 2880


def copy_snapshot(call: Call) -> Response:
    """CopySnapshot [EC2 API reference]: called in the destination; tags only from the call; no client token."""
    account, params = call.account, call.params
    source_account, source = _source(call)
    tags = from_specifications(params, "snapshot", account.quotas.tags_per_resource)
    encrypted = _encrypted(call, source)
    minutes = _duration_minutes(params)
    _check_quotas(call)
    rate = _time_based_rate(call, source_account, source, minutes)
    key, key_arn = keys.for_copy(call, str(params.get("KmsKeyId") or "")) if encrypted else (None, "")
    description = str(params.get("Description") or "")
    copy = pin(call, source_account, source, key_arn if encrypted else "", description, tags)
    copy.duration_minutes = minutes
    copy.failure = _failure(call, source, key, key_arn)
    _plant_faults(call, source, copy)
    _schedule_end(call, copy, rate)
    account.add(copy)
    account.copies_in_flight[copy.id] = copy
    return {"SnapshotId": copy.id, "Tags": as_list(copy.tags)}


def pin(
    call: Call, source_account: RegionAccount, source: SnapshotRecord, key_arn: str, description: str, tags: dict[str, str]
) -> SnapshotRecord:
    """Return a copy of a snapshot that shares all possible blocks; it is not listed yet."""
    world = call.world
    copy = SnapshotRecord(
        seq=world.next_seq(),
        id=world.ids.resource("snap"),
        owner_id=call.account.account_id,
        volume_id=ARBITRARY_VOLUME,
        state=PENDING,
        start=call.now,
        due=0.0,
        size_gib=source.size_gib,
        description=description,
        log=source.log,
        generation=source.generation,
        tags=flat(tags),
        encrypted=bool(key_arn),
        key_arn=key_arn,
        full_blocks=source.full_blocks,
        source_region=source_account.region,
        source_account=source.owner_id,
        source_id=source.id,
        altered=source.altered,
    )
    copy.moved_blocks = _share_blocks(call, source_account, source, copy)
    return copy


def _plant_faults(call: Call, source: SnapshotRecord, copy: SnapshotRecord) -> None:
    """Plant the faults in force in the copy's content."""
    engine, now = call.world.faults, call.world.now()

    def hits(kind: str) -> int:
        rule = engine.hit(kind, now, region=call.account.region, source_id=source.id, volume_id=source.volume_id)
        return rule.blocks if rule else 0

    kinds = ("wrong_blocks", "missing_blocks", "extra_blocks", "swapped_blocks", "wrong_size", "leaves_zeros_out")
    wrong, missing, extra, swapped, size_gib, zeros = (hits(f"copy_{kind}") for kind in kinds)
    if not any((wrong, missing, extra, swapped, size_gib, zeros)):
        return
    content = content_of(copy)
    listed = [block for first, end in content.extents() for block in range(first, end)]
    unlisted = sorted(set(range(copy.size_gib * BLOCKS_PER_GIB)).difference(listed)) if extra else []
    chosen = engine.random.sample(listed, min(len(listed), wrong + missing + 2 * swapped))
    pairs = chosen[wrong + missing :]
    faults = ContentFaults(
        wrong=tuple(chosen[:wrong]),
        missing=tuple(chosen[wrong : wrong + missing]),
        extra=tuple(engine.random.sample(unlisted, min(len(unlisted), extra))),
        swapped=tuple(zip(pairs[::2], pairs[1::2], strict=False)),
        size_gib=copy.size_gib + size_gib if size_gib else 0,
        zeros_left_out=bool(zeros),
    )
    plant(copy, faults)


def _source(call: Call) -> tuple[RegionAccount, SnapshotRecord]:
    """Return the source and the account that owns it, which may be another one that shares it."""
    region, snapshot_id = str(call.params["SourceRegion"]), str(call.params["SourceSnapshotId"])
    if region not in call.world.regions:
        raise ApiError("InvalidParameterValue", f"Value ({region}) for parameter SourceRegion is invalid.")
    account, source = sharing.find_visible(call.world, region, call.account.account_id, snapshot_id)
    if source is None:
        raise snapshot_not_found(snapshot_id)
    if source.state != COMPLETED:
        raise ApiError("IncorrectState", f"The snapshot '{snapshot_id}' is in state '{source.state}', not 'completed'.")
    if source.tier != "standard":
        # Archived snapshots must be restored before they can be copied [EC2 user guide: archive considerations].
        raise ApiError("IncorrectState", f"The snapshot '{snapshot_id}' is archived.")
    return account, source


def _encrypted(call: Call, source: SnapshotRecord) -> bool:
    """Return whether the copy is encrypted [EC2 API reference: CopySnapshot, Encrypted and KmsKeyId]."""
    requested = call.params.get("Encrypted")
    if requested is False:
        raise ApiError("InvalidParameterValue", "Value (false) for parameter Encrypted is invalid. It can only be true.")
    encrypted = bool(requested) or source.encrypted or call.account.encrypt_by_default
    if call.params.get("KmsKeyId") and not encrypted:
        raise ApiError("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    return encrypted


def _duration_minutes(params: Any) -> int:
    """Return the completion duration; 0 for none. 15 minutes to 48 hours in steps of 15 [EBS user guide: time-based]."""
    minutes = params.get("CompletionDurationMinutes")
    if minutes is None:
        return 0
    if not (0 < int(minutes) <= LONGEST_MINUTES) or int(minutes) % DURATION_STEP_MINUTES:
        raise ApiError(
            "InvalidParameterValue",
            f"Value ({minutes}) for parameter CompletionDurationMinutes is invalid. "
            "Expected: 15 to 2880 minutes, in steps of 15.",
        )
    return int(minutes)


def _check_quotas(call: Call) -> None:
    quotas = call.account.quotas
    if len(call.account.copies_in_flight) >= quotas.copies_per_destination:
        raise ApiError(
            "ResourceLimitExceeded",
            f"Too many snapshot copies in progress. The limit is {quotas.copies_per_destination} for this destination region.",
        )
    if len(call.account.snapshots) >= quotas.snapshots_per_region:
        raise ApiError("SnapshotLimitExceeded", f"You have reached your quota of {quotas.snapshots_per_region} snapshots.")


def _time_based_rate(call: Call, source_account: RegionAccount, source: SnapshotRecord, minutes: int) -> float:
    """Return the MiB/s of a time-based copy; 0 for an ordinary copy.

    Source: [EBS user guide: time-based copies]: throughput = size ÷ duration, at most 500 MiB/s for one operation and
    2,000 for a pair of regions. With less throughput than requested the copy is late; without any the request fails.
    """
    if not minutes:
        return 0.0
    quotas = call.account.quotas
    pace = source.full_blocks * BLOCK_SIZE / MIB / (minutes * 60)
    if pace > quotas.one_copy_mib_per_second:
        raise ApiError(
            "InvalidParameterValue",
            f"A snapshot of {source.full_blocks * BLOCK_SIZE / GIB:.0f} GiB cannot be copied in {minutes} minutes at "
            f"{quotas.one_copy_mib_per_second:.0f} MiB/s.",
        )
    used = sum(
        _rate_in_use(copy)
        for copy in call.account.copies_in_flight.values()
        if copy.duration_minutes and copy.source_region == source_account.region
    )
    free = quotas.copy_mib_per_second - used
    if free <= 0:
        raise ApiError("ResourceLimitExceeded", "Your snapshot copy operation throughput quota is used up.")
    return min(pace, free)


def _rate_in_use(copy: SnapshotRecord) -> float:
    return copy.full_blocks * BLOCK_SIZE / MIB / max(copy.due - copy.start, 1.0)


def _share_blocks(call: Call, source_account: RegionAccount, source: SnapshotRecord, copy: SnapshotRecord) -> int:
    """Add the copy to the chain to which it is incremental, or start one; return the number of blocks to move.

    A copy within an account, a region and a key is always incremental. Another copy is incremental only if a previous copy was
    made, the most recent one still exists and is not archived, and all copies there are unencrypted or use one key.
    """
    account, log = call.account, source.log
    if source_account is account and source.key_arn == copy.key_arn and source.chain is not None:
        _register(account, copy)
        return join(account, copy, source.chain)
    last = account.last_copy.get(log)
    siblings = account.copies_by_log.get(log, {})
    one_key = all(sibling.key_arn == copy.key_arn for sibling in siblings)
    usable = last is not None and account.snapshots.get(last.id) is last and last.tier == "standard" and one_key
    _register(account, copy)
    if last is None or not usable or last.chain is None:
        join(account, copy, Chain(log, call.world.ids.uuid()))
        return copy.full_blocks
    join(account, copy, last.chain)
    low, high = sorted((last.generation, copy.generation))
    return log.changed_blocks(low, high)


def _register(account: RegionAccount, copy: SnapshotRecord) -> None:
    account.copies_by_log.setdefault(copy.log, {})[copy] = None


def _failure(call: Call, source: SnapshotRecord, key: Key | None, key_arn: str) -> str:
    """Return why the copy will fail ("" if it will not), as far as it is known at its start.

    "AWS authenticates the KMS key asynchronously" [EC2 API reference: CopySnapshot]: a wrong key fails it later.
    """
    if key_arn and (key is None or not keys.usable(key, call)):
        return KEY_FAILURE
    source_key = keys.find(call.world, source.key_arn)
    if source.key_arn and (source_key is None or not keys.usable(source_key, call)):
        return KEY_FAILURE
    rule = call.world.faults.hit(
        "copy_fails", call.world.now(), region=call.account.region, source_id=source.id, volume_id=source.volume_id
    )
    return (rule.message or "Internal error") if rule else ""


def _schedule_end(call: Call, copy: SnapshotRecord, rate: float) -> None:
    """Decide the end of a copy, and set its timers."""
    world, account, speeds = call.world, call.account, call.world.speeds
    if rate:
        due = call.now + max(copy.full_blocks * BLOCK_SIZE / MIB / rate, 1.0)
    else:
        moving = copy.moved_blocks * BLOCK_SIZE / MIB / speeds.copy_mib_per_second
        due = call.now + world.stretched(speeds.copy_base_seconds + moving)
    slow = world.faults.hit("slow_copy", world.now(), region=account.region, source_id=copy.source_id)
    if slow:
        due = call.now + (due - call.now) * slow.factor
    if copy.failure:
        wait = speeds.key_check_seconds if copy.failure == KEY_FAILURE else speeds.failure_seconds
        due = call.now + min(due - call.now, wait)
    copy.due = due
    world.schedule(due - account.skew_seconds, "copy", account, copy.id)
    limit = call.now + copy.duration_minutes * 60
    if copy.duration_minutes and due > limit + 1.0 and not copy.failure:
        world.schedule(limit - account.skew_seconds, "copy late", account, copy.id)


def emit_late(world: WorldState, account: RegionAccount, copy_id: str, extra: Any) -> None:  # noqa: ARG001
    """Emit at once that a time-based copy missed its duration; the ordinary event follows at its end."""
    copy = account.snapshots.get(copy_id)
    if copy is not None and copy.state == PENDING:
        events.emit_missed_duration(world, account, copy, QUOTA_CAUSE)


def finish(world: WorldState, account: RegionAccount, copy_id: str, extra: Any) -> None:  # noqa: ARG001
    """Complete a copy, or let it fail."""
    copy = account.snapshots.get(copy_id)
    if copy is None or copy.state != PENDING:
        return
    account.copies_in_flight.pop(copy_id, None)
    ended = world.now() + account.skew_seconds
    source_account = world.region_account(copy.source_region, copy.source_account)
    if not copy.failure and sharing.find_in(source_account, account.account_id, copy.source_id) is None:
        copy.failure = SOURCE_FAILURE
    shares_chain = copy.chain is not None and len(copy.chain.members) > 1
    incremental = shares_chain or copy.moved_blocks < copy.full_blocks  # an empty volume has no blocks to move
    if copy.failure:
        copy.message = copy.failure
        account.set_state(copy, ERROR)
        leave(account, copy)
        account.copies_by_log.get(copy.log, {}).pop(copy, None)
    else:
        copy.completed_at = ended
        account.set_state(copy, COMPLETED)
        account.last_copy[copy.log] = copy
    locks.creation_ended(world, account, copy)
    if copy.failure != KEY_FAILURE or world.event_options.key_failures:
        events.emit_copy_snapshot(world, account, copy, ended, incremental=incremental)
