"""CreateVolume, DeleteVolume, ModifyVolume, AttachVolume, DetachVolume, DescribeVolumes. Source: [EC2 API reference]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import keys, sharing
from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds, utc
from snapkeep.lab.ebs_model.errors import ApiError, missing, snapshot_not_found, volume_not_found
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import has_wildcard, parsed, tests_for, truth
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store import events
from snapkeep.lab.ebs_model.store.records import COMPLETED, Instance, Snapshot, Volume
from snapkeep.lab.ebs_model.store.tags import as_list, flat, from_specifications

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

# Largest sizes in GiB [EBS user guide: volume types].
LARGEST_GIB = {"gp2": 16_384, "gp3": 65_536, "io1": 16_384, "io2": 65_536, "st1": 16_384, "sc1": 16_384, "standard": 1024}
SMALLEST_GIB = {"io1": 4, "io2": 4, "st1": 125, "sc1": 125}
GP3_IOPS, GP3_THROUGHPUT, GP2_IOPS_PER_GIB = 3000, 125, 3


def create_volume(call: Call) -> Response:
    """CreateVolume: empty, or with a snapshot's content; a key that cannot be used fails it later.

    Raise MissingParameter or InvalidZone.NotFound for its zone, and what its size, type and tags are refused by.
    """
    params, account = call.params, call.account
    token = str(params.get("ClientToken") or "")
    made = next((v for v in account.volumes.values() if token and v.client_token == token), None)
    if made is not None:
        return rendered(made)
    zone = _zone(call)
    snapshot = _base(call)
    kind = str(params.get("VolumeType") or "gp2")
    size_gib = int(params.get("Size") or (snapshot.size_gib if snapshot else 0))
    _check_size(kind, size_gib, snapshot)
    given = from_specifications(params, "volume", account.quotas.tags_per_resource)
    key_arn, failure = _key(call, snapshot)
    volume = Volume(
        seq=call.world.next_seq(),
        id=call.world.ids.resource("vol"),
        owner_id=account.account_id,
        zone=zone,
        size_gib=size_gib,
        type=kind,
        created=call.now,
        log=call.world.new_log("") if snapshot is None else call.world.new_log("", snapshot.log, snapshot.generation),
        encrypted=bool(key_arn),
        key_arn=key_arn,
        snapshot_id=snapshot.id if snapshot else "",
        tags=flat(given),
        iops=int(params.get("Iops") or _usual_iops(kind, size_gib)),
        throughput=int(params.get("Throughput") or (GP3_THROUGHPUT if kind == "gp3" else 0)),
        changed_at=call.now,
        client_token=token,
    )
    volume.log.origin = volume.id
    account.volumes[volume.id] = volume
    _let_be_created(call, volume, failure)
    return {**rendered(volume), "State": "creating"}


def _let_be_created(call: Call, volume: Volume, failure: str) -> None:
    """A failure comes later than the answer, however fast volumes are created: EC2 tells it by an event alone."""
    seconds = call.world.speeds.volume_create_seconds
    if seconds or failure:
        call.world.schedule(call.now - call.account.skew_seconds + seconds, "volume", call.account, volume.id, failure)
    else:
        finish_create(call.world, call.account, volume.id, "")


def _zone(call: Call) -> str:
    zone = str(call.params.get("AvailabilityZone") or "")
    if not zone:
        raise missing("AvailabilityZone")
    if zone[:-1] != call.account.region:
        raise ApiError("InvalidZone.NotFound", f"The zone '{zone}' does not exist.")
    return zone


def _base(call: Call) -> Snapshot | None:
    snapshot_id = call.params.get("SnapshotId")
    if not snapshot_id:
        return None
    _, snapshot = sharing.find_visible(call.world, call.account.region, call.account.account_id, str(snapshot_id))
    if snapshot is None:
        raise snapshot_not_found(str(snapshot_id))
    if snapshot.state != COMPLETED or snapshot.tier != "standard":
        raise ApiError("IncorrectState", f"The snapshot '{snapshot_id}' is not completed in the standard tier.")
    return snapshot


def _check_size(kind: str, size_gib: int, snapshot: Snapshot | None) -> None:
    if kind not in LARGEST_GIB:
        raise ApiError("InvalidParameterValue", f"Value ({kind}) for parameter VolumeType is invalid.")
    if not size_gib:
        raise ApiError("MissingParameter", "The request must contain the parameter size/snapshot")
    if snapshot is not None and size_gib < snapshot.size_gib:
        raise ApiError("InvalidParameterValue", f"The volume size must be at least the snapshot's {snapshot.size_gib} GiB.")
    if not SMALLEST_GIB.get(kind, 1) <= size_gib <= LARGEST_GIB[kind]:
        raise ApiError("InvalidParameterValue", f"Volume of {size_gib} GiB is invalid for volume type {kind}.")


def _usual_iops(kind: str, size_gib: int) -> int:
    if kind == "gp3":
        return GP3_IOPS
    return min(16_000, max(100, GP2_IOPS_PER_GIB * size_gib)) if kind in ("gp2", "io1", "io2") else 0


def _key(call: Call, snapshot: Snapshot | None) -> tuple[str, str]:
    """Return the ARN of the key ("" for none), and why the volume will fail for it ("" when it will not)."""
    params, account = call.params, call.account
    if params.get("KmsKeyId") and not params.get("Encrypted") and not (snapshot and snapshot.encrypted):
        raise ApiError("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
    inherited = snapshot.key_arn if snapshot is not None else ""
    if not (params.get("Encrypted") or inherited or account.encrypt_by_default):
        return "", ""
    key, key_arn = keys.for_copy(call, str(params.get("KmsKeyId") or inherited))
    if key is None or key.state == "PendingDeletion":
        return key_arn, f"{key_arn} is pending deletion." if key else f"{key_arn} does not exist."
    return key_arn, "" if keys.usable(key, call.caller) else f"{key_arn} is disabled."


def finish_create(world: WorldState, account: RegionAccount, volume_id: str, failure: Any) -> None:
    """A volume becomes available, or fails for its key (and is gone)."""
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


def remove(world: WorldState, account: RegionAccount, volume: Volume) -> None:
    """Given a volume, let it be gone."""
    del account.volumes[volume.id]
    volume.state = "deleted"
    events.emit_volume(world, account, volume, "deleteVolume", "deleted")


def modify_volume(call: Call) -> Response:
    """ModifyVolume: larger, another type, other speeds; at once in this model.

    Raise InvalidParameterValue for a smaller one.
    """
    volume = call.volume()
    size_gib = int(call.params.get("Size") or volume.size_gib)
    kind = str(call.params.get("VolumeType") or volume.type)
    if size_gib < volume.size_gib:
        raise ApiError("InvalidParameterValue", "New size cannot be smaller than existing size")
    _check_size(kind, size_gib, None)
    change: Response = {
        "VolumeId": volume.id,
        "ModificationState": "modifying",
        "TargetSize": size_gib,
        "TargetVolumeType": kind,
        "OriginalSize": volume.size_gib,
        "OriginalVolumeType": volume.type,
        "Progress": 0,
        "StartTime": utc(call.now),
    }
    volume.size_gib, volume.type = size_gib, kind
    volume.iops = int(call.params.get("Iops") or volume.iops)
    volume.throughput = int(call.params.get("Throughput") or volume.throughput)
    events.emit_volume(call.world, call.account, volume, "modifyVolume", "optimizing")
    return {"VolumeModification": change}


def attach_volume(call: Call) -> Response:
    """AttachVolume: an available volume to an instance of its zone, under a free device name.

    Raise VolumeInUse, InvalidVolume.ZoneMismatch, or InvalidParameterValue when the device is taken.
    """
    volume = call.volume()
    instance = instance_of(call, str(call.params["InstanceId"]))
    device = str(call.params["Device"])
    if volume.state != "available":
        raise ApiError("VolumeInUse", f"{volume.id} is in state {volume.state}, not available")
    if volume.zone != instance.zone:
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
        raise ApiError("InvalidVolume.ZoneMismatch", message)
    if any(call.account.volumes[volume_id].device == device for volume_id in instance.volume_ids):
        raise ApiError("InvalidParameterValue", f"Invalid value '{device}' for unixDevice. Attachment point is already in use")
    attach(volume, instance, device, call.now)
    return attachment(volume)


def instance_of(call: Call, instance_id: str) -> Instance:
    """Given an id, return the instance. Raise InvalidInstanceID.NotFound."""
    instance = call.account.instances.get(instance_id)
    if instance is None or instance.state == "terminated":
        raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return instance


def attach(volume: Volume, instance: Instance, device: str, now: float) -> None:
    """Attach a volume."""
    volume.state, volume.instance_id, volume.device, volume.attached_at = "in-use", instance.id, device, now
    instance.volume_ids.append(volume.id)


def detach_volume(call: Call) -> Response:
    """DetachVolume.

    Raise IncorrectState when it is attached to nothing, InvalidAttachment.NotFound when to another instance.
    """
    volume = call.volume()
    if volume.state != "in-use":
        raise ApiError("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
    wanted = call.params.get("InstanceId")
    if wanted and wanted != volume.instance_id:
        raise ApiError("InvalidAttachment.NotFound", f"Volume '{volume.id}' is not attached to instance '{wanted}'.")
    answer = {**attachment(volume), "State": "detaching"}
    detach(call.account, volume)
    return answer


def detach(account: RegionAccount, volume: Volume) -> None:
    """Detach a volume."""
    account.instances[volume.instance_id].volume_ids.remove(volume.id)
    volume.state, volume.instance_id, volume.device = "available", "", ""


def attachment(volume: Volume) -> Response:
    """Given an attached volume, return its attachment."""
    return {
        "AttachTime": utc(volume.attached_at),
        "Device": volume.device,
        "InstanceId": volume.instance_id,
        "State": "attached",
        "VolumeId": volume.id,
        "DeleteOnTermination": volume.delete_on_termination,
    }


def rendered(volume: Volume) -> Response:
    """Given a volume, return it as DescribeVolumes has it."""
    answer: Response = {
        "VolumeId": volume.id,
        "Size": volume.size_gib,
        "SnapshotId": volume.snapshot_id,
        "AvailabilityZone": volume.zone,
        "State": volume.state,
        "CreateTime": utc(volume.created),
        "VolumeType": volume.type,
        "Encrypted": volume.encrypted,
        "MultiAttachEnabled": False,
        "Attachments": [attachment(volume)] if volume.instance_id else [],
    }
    if volume.iops:
        answer["Iops"] = volume.iops
    if volume.throughput:
        answer["Throughput"] = volume.throughput
    if volume.key_arn:
        answer["KmsKeyId"] = volume.key_arn
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
    "snapshot-id": lambda volume: (volume.snapshot_id,),
    "create-time": lambda volume: (iso_milliseconds(volume.created),),
    "multi-attach-enabled": lambda volume: ("false",),  # noqa: ARG005
    "fast-restored": lambda volume: ("false",),  # noqa: ARG005
    "attachment.instance-id": lambda volume: (volume.instance_id,) if volume.instance_id else (),
    "attachment.device": lambda volume: (volume.device,) if volume.instance_id else (),
    "attachment.status": lambda volume: ("attached",) if volume.instance_id else (),
    "attachment.delete-on-termination": lambda volume: truth(volume.delete_on_termination) if volume.instance_id else (),
    "attachment.attach-time": lambda volume: (iso_milliseconds(volume.attached_at),) if volume.instance_id else (),
}


def describe_volumes(call: Call) -> Response:
    """DescribeVolumes: by id, filters, pages of 5 to 1,000.

    Raise InvalidVolume.NotFound, or InvalidParameterCombination on ids with a page size.
    """
    store = call.account.volumes
    wanted = call.params.get("VolumeIds")
    for volume_id in wanted or ():
        if volume_id not in store:
            raise volume_not_found(volume_id)
    if wanted and call.params.get("MaxResults"):
        raise ApiError("InvalidParameterCombination", "The parameter volumeSet cannot be used with the parameter maxResults")
    filters = parsed(call.params.get("Filters"))
    named = list(wanted or _ids_in(filters, store))
    found: list[Volume] = [store[volume_id] for volume_id in dict.fromkeys(named)] if named else list(store.values())
    tests = tests_for(filters, FIELDS, lambda volume: volume.tags)
    found = [volume for volume in found if all(test(volume) for test in tests)]
    chosen, token = page(found, lambda volume: volume.seq, call.params)
    return {"Volumes": [rendered(volume) for volume in chosen], **token}


def _ids_in(filters: list[tuple[str, list[str]]], store: Mapping[str, Volume]) -> list[str]:
    """Return the volumes that a filter names by id, in the order of their making: no need to go through all of them."""
    named = next((values for name, values in filters if name == "volume-id" and not any(map(has_wildcard, values))), [])
    return sorted((volume_id for volume_id in named if volume_id in store), key=lambda volume_id: store[volume_id].seq)
