"""CreateSnapshot, CreateSnapshots, DeleteSnapshot, and the end of a snapshot's creation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import locks, recycle_bin
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.conditions.quotas import MIB, SECONDS_PER_DAY
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE, Chain
from snapkeep.lab.ebs_model.store.lifecycle import join, leave, member_ended, no_longer_pending, remove
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, SnapshotRecord, SnapshotSet, VolumeRecord
from snapkeep.lab.ebs_model.store.tags import BACKUP_TAG, as_dict, as_list, flat, from_specifications, limited

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

THROUGHPUT_TYPES = ("st1", "sc1")


def create_snapshot(call: Call) -> Response:
    """CreateSnapshot [EC2 API reference]: the answer has a pending snapshot at once."""
    volume = call.volume()
    tags = from_specifications(call.params, "snapshot", call.account.quotas.tags_per_resource)
    check_quotas(call, [volume])
    snapshot = start(call, volume, str(call.params.get("Description") or ""), tags, "")
    return created(snapshot)


def create_snapshots(call: Call) -> Response:
    """CreateSnapshots [EC2 API reference]: one pending snapshot for each attached volume that is not excluded.

    Raise InvalidInstanceID.NotFound, or InvalidParameterValue on CopyTagsFromSource.
    """
    specification = call.params["InstanceSpecification"]
    instance = call.account.instances.get(str(specification.get("InstanceId", "")))
    if instance is None or instance.state == "terminated":
        raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{specification.get('InstanceId')}' does not exist")
    chosen = _chosen_volumes(call, instance.root_device, instance.volume_ids, specification)
    limit = call.account.quotas.tags_per_resource
    tags = from_specifications(call.params, "snapshot", limit)
    source = call.params.get("CopyTagsFromSource")
    if source not in (None, "", "volume"):
        raise ApiError("InvalidParameterValue", f"Value ({source}) for parameter CopyTagsFromSource is invalid.")
    tags_of = {v.id: limited({**(_user_tags(v) if source else {}), **tags}, limit) for v in chosen}
    check_quotas(call, chosen)
    set_id = call.world.ids.resource("set")
    description = str(call.params.get("Description") or "")
    made = [start(call, volume, description, tags_of[volume.id], set_id) for volume in chosen]
    members = [(snapshot.id, snapshot.volume_id) for snapshot in made]
    call.account.sets[set_id] = SnapshotSet(set_id, call.account.account_id, call.now, members, len(members))
    answers = [created(snapshot) for snapshot in made]
    for answer in answers:
        answer.setdefault("Tags", [])
    return {"Snapshots": answers}


def _user_tags(volume: VolumeRecord) -> dict[str, str]:
    return {key: value for key, value in as_dict(volume.tags).items() if not key.startswith("aws:")}


def _chosen_volumes(call: Call, root_device: str, volume_ids: list[str], specification: Any) -> list[VolumeRecord]:
    """Return the volumes without the excluded ones.

    Source: [EC2 API reference: InstanceSpecification]: at most 40 excluded data volumes; the root volume has its own flag.
    """
    excluded = [str(volume_id) for volume_id in specification.get("ExcludeDataVolumeIds") or ()]
    if len(excluded) > 40:  # noqa: PLR2004 - documented once, here
        raise ApiError("InvalidParameterValue", "ExcludeDataVolumeIds can hold at most 40 volume ids")
    attached = [call.account.volumes[volume_id] for volume_id in volume_ids]
    for volume_id in excluded:
        volume = next((volume for volume in attached if volume.id == volume_id), None)
        if volume is None or volume.device == root_device:
            raise ApiError("InvalidParameterValue", f"'{volume_id}' is not a data volume attached to the instance")
    boot = bool(specification.get("ExcludeBootVolume"))
    chosen = [v for v in attached if v.id not in excluded and not (boot and v.device == root_device)]
    if not chosen:
        raise ApiError("InvalidParameterValue", "No volumes are left to make snapshots of")
    return chosen


def check_quotas(call: Call, volumes: list[VolumeRecord]) -> None:
    """Raise an error if a snapshot of each of these volumes cannot be started now.

    Sources: [EBS user guide: quotas] for the limits, [EC2 API reference: error codes] for the codes.
    """
    account, quotas = call.account, call.account.quotas
    if len(account.snapshots) + len(volumes) > quotas.snapshots_per_region:
        raise ApiError("SnapshotLimitExceeded", f"You have reached your quota of {quotas.snapshots_per_region} snapshots.")
    if account.pending_creates + len(volumes) > quotas.pending_snapshots:
        raise ApiError(
            "PendingSnapshotLimitExceeded",
            f"You have reached your quota of {quotas.pending_snapshots} concurrent snapshots for this account.",
        )
    for volume in volumes:
        if volume.state not in ("available", "in-use"):
            raise ApiError("IncorrectState", f"The volume '{volume.id}' is in state '{volume.state}'.")
        limit = quotas.snapshots_per_volume
        if volume.type in THROUGHPUT_TYPES:
            limit = quotas.snapshots_per_throughput_volume
        if volume.pending >= limit:
            raise ApiError(
                "ConcurrentSnapshotLimitExceeded",
                f"Maximum allowed in-progress snapshots for a single volume exceeded: {limit} for {volume.id}.",
            )
        if volume.pending and call.now - volume.last_snapshot_at < quotas.seconds_between_snapshots:
            raise ApiError(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. "
                "Use an increasing or variable sleep interval between requests.",
            )


def start(call: Call, volume: VolumeRecord, description: str, tags: dict[str, str], set_id: str) -> SnapshotRecord:
    """Start and return a pending snapshot of a volume, pinned to its current content."""
    world, account = call.world, call.account
    snapshot = pin(call, volume, description, tags, set_id)
    failure = world.faults.hit("snapshot_fails", world.now(), region=account.region, volume_id=volume.id)
    speeds = world.speeds
    seconds = speeds.snapshot_base_seconds + snapshot.moved_blocks * BLOCK_SIZE / MIB / speeds.snapshot_mib_per_second
    slow = world.faults.hit("slow_snapshot", world.now(), region=account.region, volume_id=volume.id)
    seconds = world.stretched(seconds) * (slow.factor if slow else 1.0)
    if failure:
        snapshot.failure = failure.message or "Internal error"
        seconds = min(seconds, speeds.failure_seconds)
    snapshot.due = call.now + seconds
    account.add(snapshot)
    account.pending_creates += 1
    volume.pending += 1
    volume.last_snapshot_at = call.now
    world.schedule(snapshot.due - account.skew_seconds, "snapshot", account, snapshot.id)
    return snapshot


def pin(call: Call, volume: VolumeRecord, description: str, tags: dict[str, str], set_id: str) -> SnapshotRecord:
    """Return a snapshot of a volume's current content that shares blocks with earlier ones; it is not listed yet."""
    world, account = call.world, call.account
    _write_changes(world, volume, call.now)
    log = volume.log
    snapshot = SnapshotRecord(
        seq=world.next_seq(),
        id=world.ids.resource("snap"),
        owner_id=account.account_id,
        volume_id=volume.id,
        state=PENDING,
        start=call.now,
        due=0.0,
        size_gib=volume.size_gib,
        description=description,
        log=log,
        generation=log.generation,
        tags=flat(tags),
        encrypted=volume.encrypted,
        key_arn=volume.key_arn,
        full_blocks=log.covered_blocks,
        billing=volume.billing,
        set_id=set_id,
    )
    chain = account.chains.get(log)
    if chain is None:
        chain = account.chains[log] = Chain(log, log.data_key_id)
    snapshot.moved_blocks = join(account, snapshot, chain)
    return snapshot


def _write_changes(world: WorldState, volume: VolumeRecord, now: float) -> None:
    """Write the changes of a volume with a change rate since its last snapshot, at an offset drawn from the seed."""
    if not volume.change_blocks_per_day:
        return
    total = volume.size_gib * 2048
    count = min(total, int(volume.change_blocks_per_day * (now - volume.changed_at) / SECONDS_PER_DAY))
    if count < 1:
        return
    volume.changed_at = now
    volume.log.write(world.random.randrange(total - count + 1), count)


def finish(world: WorldState, account: RegionAccount, snapshot_id: str, extra: Any) -> None:  # noqa: ARG001
    """Complete a pending snapshot, or let it fail."""
    snapshot = account.snapshots.get(snapshot_id)
    if snapshot is None or snapshot.state != PENDING:
        return
    ended = world.now() + account.skew_seconds
    no_longer_pending(account, snapshot)
    if snapshot.failure:
        snapshot.message = snapshot.failure
        account.set_state(snapshot, ERROR)
        leave(account, snapshot)
    else:
        account.set_state(snapshot, COMPLETED)
        snapshot.completed_at = ended
    locks.creation_ended(world, account, snapshot)
    if not snapshot.set_id or world.event_options.members_of_sets:
        events.emit_create_snapshot(world, account, snapshot, ended)
    if snapshot.set_id:
        member_ended(world, account, snapshot.set_id, snapshot_id if snapshot.failure else "")


def delete_snapshot(call: Call) -> Response:
    """DeleteSnapshot [EC2 API reference]: refused for a used or locked snapshot; a rule of Recycle Bin may keep a deleted one.

    AWS Backup's snapshots are refused with InvalidParameterValue [github.com/cloud-custodian/cloud-custodian/issues/9459].
    """
    account = call.account
    snapshot = call.snapshot()
    users = account.image_uses.get(snapshot.id)
    if users:
        # A disabled AMI holds its snapshots like a registered one [EC2 user guide: disable an AMI].
        raise ApiError("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {users[0]}")
    locks.refuse_if_locked(call, snapshot)
    if BACKUP_TAG in snapshot.tags[::2]:
        message = "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 APIs."
        raise ApiError("InvalidParameterValue", message)
    if not recycle_bin.keep(call, snapshot):
        remove(call.world, account, snapshot)
    return {}


def created(snapshot: SnapshotRecord) -> Response:
    """Return the answer of the call that started a snapshot."""
    answer: Response = {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "State": snapshot.state,
        "StartTime": utc(snapshot.start),
        "Progress": "0%",
        "OwnerId": snapshot.owner_id,
        "Description": snapshot.description,
        "VolumeSize": snapshot.size_gib,
        "Encrypted": snapshot.encrypted,
        "Tags": as_list(snapshot.tags),
    }
    return answer
