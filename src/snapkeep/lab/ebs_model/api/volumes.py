"""CreateVolume, DeleteVolume, DescribeVolumes, and the attributes of a volume. Source: [EC2 API reference]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import keys, sharing
from snapkeep.lab.ebs_model.api.volume_types import Performance, check_size, performance_of
from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds, utc
from snapkeep.lab.ebs_model.conditions.quotas import MIB
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value, missing, snapshot_not_found, volume_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import has_wildcard, parsed, tests_for, truth
from snapkeep.lab.ebs_model.requests.idempotency import earlier_ids, remember_ids
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.blocks import BLOCK_SIZE
from snapkeep.lab.ebs_model.store.content import content_of
from snapkeep.lab.ebs_model.store.records import COMPLETED, Key, SnapshotRecord, VolumeRecord
from snapkeep.lab.ebs_model.store.tags import as_list, flat, from_specifications

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

SLOWEST_RATE, FASTEST_RATE = 100, 300


def create_volume(call: Call) -> Response:
    """CreateVolume: empty, or with a snapshot's content; an unusable key makes it fail later.

    Raise MissingParameter or InvalidZone.NotFound for its zone, and the errors of its size, type, rate and tags.
    """
    for volume_id in earlier_ids(call, "CreateVolume"):
        if volume_id in call.account.volumes:
            return rendered(call.account.volumes[volume_id])
    volume, failure = make(call, from_specifications(call.params, "volume", call.account.quotas.tags_per_resource))
    remember_ids(call, "CreateVolume", [volume.id])
    _start_creation(call, volume, failure)
    return {**rendered(volume), "State": "creating"}


def make(call: Call, tags: Mapping[str, str]) -> tuple[VolumeRecord, str]:
    """Make a volume in state `creating`, and return it with the reason why its key will make it fail ("" if it will not)."""
    params, account = call.params, call.account
    zone = _zone(call)
    snapshot = _base(call)
    kind = str(params.get("VolumeType") or "gp2")
    size_gib = int(params.get("Size") or (snapshot.size_gib if snapshot else 0))
    check_size(kind, size_gib, snapshot.size_gib if snapshot else 0)
    performance = performance_of(kind, size_gib, params, required=True)
    _check_storage(call, kind, size_gib)
    rate = _initialization_rate(call, snapshot)
    key_arn, failure = _key(call, snapshot)
    volume = VolumeRecord(
        seq=call.world.next_seq(),
        id=call.world.ids.resource("vol"),
        owner_id=account.account_id,
        zone=zone,
        size_gib=size_gib,
        type=kind,
        created=call.now,
        log=call.world.new_log("", *content_of(snapshot)) if snapshot else call.world.new_log(""),
        encrypted=bool(key_arn),
        key_arn=key_arn,
        snapshot_id=snapshot.id if snapshot else "",
        tags=flat(tags),
        changed_at=call.now,
        initialization_rate=rate,
        billing=snapshot.billing if snapshot else (),
    )
    set_performance(volume, performance)
    volume.log.origin = volume.id
    account.volumes[volume.id] = volume
    if snapshot is not None:
        _start_initialization(call, volume, snapshot)
    return volume, failure


def set_performance(volume: VolumeRecord, performance: Performance) -> None:
    """Give a volume its IOPS, throughput and Multi-Attach."""
    volume.iops, volume.throughput, volume.multi_attach = performance


def _zone(call: Call) -> str:
    zone = str(call.params.get("AvailabilityZone") or "")
    wish = str(call.params.get("AvailabilityZoneId") or "")
    if wish and not zone:
        zone = next((name for name in (call.account.region + letter for letter in "abc") if zone_id(name) == wish), wish)
    if not zone:
        raise missing("AvailabilityZone")
    if zone[:-1] != call.account.region:
        raise ApiError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    return zone


def _base(call: Call) -> SnapshotRecord | None:
    snapshot_id = call.params.get("SnapshotId")
    if not snapshot_id:
        return None
    _, snapshot = sharing.find_visible(call.world, call.account.region, call.account.account_id, str(snapshot_id))
    if snapshot is None:
        raise snapshot_not_found(str(snapshot_id))
    if snapshot.state != COMPLETED or snapshot.tier != "standard":
        raise ApiError("IncorrectState", f"The snapshot '{snapshot_id}' is not completed in the standard tier.")
    return snapshot


def _check_storage(call: Call, kind: str, size_gib: int) -> None:
    quota = call.account.quotas.storage_tib.get(kind)
    used = sum(volume.size_gib for volume in call.account.volumes.values() if volume.type == kind)
    if quota is not None and used + size_gib > quota * 1024:
        message = f"You have exceeded your maximum {kind} storage limit of {quota:g} TiB in this region."
        raise ApiError("VolumeLimitExceeded", message)


def _initialization_rate(call: Call, snapshot: SnapshotRecord | None) -> int:
    """Return the provisioned rate in MiB/s; 0 for the default one [EBS user guide: initialize a volume].

    100 to 300, only from a snapshot, and at most 5,000 over all volumes that are being initialised in the Region.
    """
    rate = call.params.get("VolumeInitializationRate")
    if rate is None:
        return 0
    if snapshot is None:
        message = "VolumeInitializationRate is supported only for volumes created from snapshots."
        raise ApiError("InvalidParameterCombination", message)
    if not SLOWEST_RATE <= int(rate) <= FASTEST_RATE:
        raise invalid_value(rate, "VolumeInitializationRate", f"Expected: {SLOWEST_RATE} to {FASTEST_RATE} MiB/s.")
    volumes = call.account.volumes.values()
    used = sum(volume.initialization_rate for volume in volumes if volume.initialized_at > call.now)
    if used + int(rate) > call.account.quotas.initialization_mib_per_second:
        # The code is not documented: callers must match only the failure of the request.
        raise ApiError("ResourceLimitExceeded", "Your quota of cumulative volume initialization rate is used up.")
    return int(rate)


def _start_initialization(call: Call, volume: VolumeRecord, snapshot: SnapshotRecord) -> None:
    """Time = snapshot data ÷ rate [EBS user guide: initialize a volume]."""
    speeds = call.world.speeds
    rate = volume.initialization_rate or speeds.initialization_mib_per_second
    volume.initialized_at = call.now + snapshot.full_blocks * BLOCK_SIZE / MIB / rate
    due = volume.initialized_at + speeds.initialize_event_seconds - call.account.skew_seconds
    call.world.schedule(due, "initialized", call.account, volume.id)


def finish_initialization(world: WorldState, account: RegionAccount, volume_id: str, extra: Any) -> None:  # noqa: ARG001
    """Emit the event of a volume that has all its blocks, unless it was deleted before."""
    volume = account.volumes.get(volume_id)
    if volume is not None and volume.state != "creating":
        events.emit_initialized(world, account, volume)


def _key(call: Call, snapshot: SnapshotRecord | None) -> tuple[str, str]:
    """Return the ARN of the key ("" for none), and why the volume will fail because of it ("" if it will not).

    A volume from a snapshot of another account is encrypted with the named key, or with the account's default key, because the
    snapshot's own key stays in its account [EBS user guide: encryption outcomes].
    """
    params, account = call.params, call.account
    if params.get("KmsKeyId") and not params.get("Encrypted") and not (snapshot and snapshot.encrypted):
        raise ApiError("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    own = snapshot is not None and snapshot.owner_id == account.account_id
    inherited = snapshot.key_arn if snapshot is not None and own else ""
    if not (params.get("Encrypted") or (snapshot and snapshot.encrypted) or account.encrypt_by_default):
        return "", ""
    key, key_arn = keys.for_copy(call, str(params.get("KmsKeyId") or inherited))
    failure = _failure_of_key(call, key, key_arn)
    if not failure and snapshot is not None and snapshot.encrypted and snapshot.key_arn != key_arn:
        failure = _failure_of_key(call, keys.find(call.world, snapshot.key_arn), snapshot.key_arn)
    return key_arn, failure


def _failure_of_key(call: Call, key: Key | None, key_arn: str) -> str:
    """Return why EBS cannot use a key; "" when it can."""
    if key is None or key.state == "PendingDeletion":
        return f"{key_arn} is pending deletion." if key else f"{key_arn} does not exist."
    return "" if keys.usable(key, call) else f"{key_arn} is disabled."


def _start_creation(call: Call, volume: VolumeRecord, failure: str) -> None:
    """Schedule the end of the creation. A failure always follows the answer: EC2 reports it only by an event."""
    seconds = call.world.speeds.volume_create_seconds
    if seconds or failure:
        call.world.schedule(call.now - call.account.skew_seconds + seconds, "volume", call.account, volume.id, failure)
    else:
        finish_creation(call.world, call.account, volume.id, "")


def finish_creation(world: WorldState, account: RegionAccount, volume_id: str, failure: Any) -> None:
    """Make a volume available, or remove it if its key makes it fail."""
    volume = account.volumes.get(volume_id)
    if volume is None or volume.state != "creating":
        return
    if failure:
        del account.volumes[volume_id]
        events.emit_volume(world, account, volume, "createVolume", "failed", str(failure))
    else:
        volume.state = "available"
        events.emit_volume(world, account, volume, "createVolume", "available")


def delete_volume(call: Call) -> Response:
    """DeleteVolume: available ones only; its snapshots live on. Raise VolumeInUse when it is attached, else IncorrectState."""
    volume = call.volume()
    if volume.state == "in-use":
        raise ApiError("VolumeInUse", f"Volume {volume.id} is currently attached to {volume.instance_id}")
    if volume.state != "available":
        raise ApiError("IncorrectState", f"The volume '{volume.id}' is in state '{volume.state}'.")
    remove(call.world, call.account, volume)
    return {}


def remove(world: WorldState, account: RegionAccount, volume: VolumeRecord) -> None:
    """Delete a volume."""
    del account.volumes[volume.id]
    volume.state = "deleted"
    events.emit_volume(world, account, volume, "deleteVolume", "deleted")


def modify_attribute(call: Call) -> Response:
    """ModifyVolumeAttribute: AutoEnableIO."""
    volume, change = call.volume(), call.params.get("AutoEnableIO")
    if change is None:
        raise missing("AutoEnableIO")
    volume.auto_enable_io = bool(change.get("Value"))
    return {}


def describe_attribute(call: Call) -> Response:
    """DescribeVolumeAttribute: autoEnableIO or productCodes. Raise InvalidParameterValue on any other."""
    volume, attribute = call.volume(), str(call.params["Attribute"])
    if attribute == "autoEnableIO":
        return {"VolumeId": volume.id, "AutoEnableIO": {"Value": volume.auto_enable_io}}
    if attribute == "productCodes":
        return {"VolumeId": volume.id, "ProductCodes": product_codes(volume.billing)}
    raise invalid_value(attribute, "attribute")


def product_codes(billing: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the product codes in the billing information that a volume or snapshot carries."""
    return [{"ProductCodeId": code, "ProductCodeType": "marketplace"} for code in billing[2:]]


def attachment(volume: VolumeRecord) -> Response:
    """Return the attachment of an attached volume."""
    return {
        "AttachTime": utc(volume.attached_at),
        "Device": volume.device,
        "InstanceId": volume.instance_id,
        "State": volume.attachment_state,
        "VolumeId": volume.id,
        "DeleteOnTermination": volume.delete_on_termination,
    }


def rendered(volume: VolumeRecord) -> Response:
    """Return a volume in the form of DescribeVolumes."""
    answer: Response = {
        "VolumeId": volume.id,
        "Size": volume.size_gib,
        "SnapshotId": volume.snapshot_id,
        "AvailabilityZone": volume.zone,
        "State": volume.state,
        "CreateTime": utc(volume.created),
        "VolumeType": volume.type,
        "Encrypted": volume.encrypted,
        "MultiAttachEnabled": volume.multi_attach,
        "Attachments": [attachment(volume)] if volume.instance_id else [],
    }
    if volume.iops:
        answer["Iops"] = volume.iops
    if volume.throughput:
        answer["Throughput"] = volume.throughput
    if volume.key_arn:
        answer["KmsKeyId"] = volume.key_arn
    if volume.initialization_rate:
        answer["VolumeInitializationRate"] = volume.initialization_rate
    if volume.tags:
        answer["Tags"] = as_list(volume.tags)
    return answer


FIELDS = {
    "volume-id": lambda volume: (volume.id,),
    "size": lambda volume: (str(volume.size_gib),),
    "status": lambda volume: (volume.state,),
    "volume-type": lambda volume: (volume.type,),
    "encrypted": lambda volume: truth(volume.encrypted),
    "availability-zone": lambda volume: (volume.zone,),
    "availability-zone-id": lambda volume: (zone_id(volume.zone),),
    "snapshot-id": lambda volume: (volume.snapshot_id,),
    "create-time": lambda volume: (iso_milliseconds(volume.created),),
    "multi-attach-enabled": lambda volume: truth(volume.multi_attach),
    "fast-restored": lambda volume: ("false",),  # noqa: ARG005
    "operator.managed": lambda volume: ("false",),  # noqa: ARG005
    "operator.principal": lambda volume: (),  # noqa: ARG005
    "attachment.instance-id": lambda volume: (volume.instance_id,) if volume.instance_id else (),
    "attachment.device": lambda volume: (volume.device,) if volume.instance_id else (),
    "attachment.status": lambda volume: (volume.attachment_state,) if volume.instance_id else (),
    "attachment.delete-on-termination": lambda volume: truth(volume.delete_on_termination) if volume.instance_id else (),
    "attachment.attach-time": lambda volume: (iso_milliseconds(volume.attached_at),) if volume.instance_id else (),
}


def zone_id(zone: str) -> str:
    """Return the id of an Availability Zone, which is the same for every account of this world."""
    return f"{zone[:-1].replace('-', '')}-az{ord(zone[-1]) - ord('a') + 1}"


def describe_volumes(call: Call) -> Response:
    """DescribeVolumes: by id, filters, pages of 5 to 1,000.

    Raise InvalidVolume.NotFound, or InvalidParameterCombination on ids with a page size.
    """
    store = call.account.volumes
    ids = call.params.get("VolumeIds")
    for volume_id in ids or ():
        if volume_id not in store:
            raise volume_not_found(volume_id)
    if ids and call.params.get("MaxResults"):
        raise ApiError("InvalidParameterCombination", "The parameter volumeSet cannot be used with the parameter maxResults")
    filters = parsed(call.params.get("Filters"))
    named = list(ids or _ids_in(filters, store))
    volumes: list[VolumeRecord] = [store[volume_id] for volume_id in dict.fromkeys(named)] if named else list(store.values())
    tests = tests_for(filters, FIELDS, lambda volume: volume.tags)
    volumes = [volume for volume in volumes if all(test(volume) for test in tests)]
    chosen, token = page(volumes, lambda volume: volume.seq, call.params)
    return {"Volumes": [rendered(volume) for volume in chosen], **token}


def _ids_in(filters: list[tuple[str, list[str]]], store: Mapping[str, VolumeRecord]) -> list[str]:
    """Return the volumes that a filter names by id, the oldest first, without a search of all volumes."""
    named = next((values for name, values in filters if name == "volume-id" and not any(map(has_wildcard, values))), [])
    return sorted((volume_id for volume_id in named if volume_id in store), key=lambda volume_id: store[volume_id].seq)
