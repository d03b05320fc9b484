"""AttachVolume and DetachVolume. Source: [EC2 API reference]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api.volumes import attachment
from snapkeep.lab.ebs_model.errors import ApiError, not_modelled
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store.records import InstanceRecord, VolumeRecord

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

ATTACHABLE_STATES = ("running", "stopped")


def attach_volume(call: Call) -> Response:
    """AttachVolume: an available volume to a running or stopped instance of its zone, under a free device name.

    Raise VolumeInUse, IncorrectState, InvalidVolume.ZoneMismatch, or InvalidParameterValue when the device is taken.
    """
    volume = call.volume()
    instance = call.instance(str(call.params["InstanceId"]))
    device = str(call.params["Device"])
    if volume.state == "in-use" and volume.multi_attach:
        raise not_modelled("a second attachment of a volume with Multi-Attach")
    if volume.state == "in-use":
        raise ApiError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.state != "available":
        raise ApiError("IncorrectState", f"{volume.id} is not 'available'.")
    if instance.state not in ATTACHABLE_STATES:
        raise ApiError("IncorrectState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    if volume.zone != instance.zone:
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
        raise ApiError("InvalidVolume.ZoneMismatch", message)
    if any(call.account.volumes[volume_id].device == device for volume_id in instance.volume_ids):
        raise ApiError("InvalidParameterValue", f"Invalid value '{device}' for unixDevice. Attachment point is already in use")
    if volume.billing[2:] and instance.state != "stopped":
        raise ApiError("IncorrectState", "A volume with a product code can be attached only to a stopped instance.")
    attach(volume, instance, device, call.now)
    _change_state(call, volume, "attaching")
    return {**attachment(volume), "State": "attaching"}


def attach(volume: VolumeRecord, instance: InstanceRecord, device: str, now: float) -> None:
    """Attach a volume."""
    volume.state, volume.instance_id, volume.device, volume.attached_at = "in-use", instance.id, device, now
    volume.attachment_state = "attached"
    instance.volume_ids.append(volume.id)


def detach_volume(call: Call) -> Response:
    """DetachVolume.

    Raise IncorrectState when it is attached to nothing, InvalidAttachment.NotFound when it is to another instance or
    device, OperationNotPermitted for the root volume of an instance that is not stopped.
    """
    volume = call.volume()
    if volume.state != "in-use" or volume.attachment_state == "detaching":
        raise ApiError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    instance_id, device = call.params.get("InstanceId"), call.params.get("Device")
    if instance_id not in (None, "", volume.instance_id) or device not in (None, "", volume.device):
        where = f"instance '{instance_id or volume.instance_id}' as '{device or volume.device}'"
        raise ApiError("InvalidAttachment.NotFound", f"Volume '{volume.id}' is not attached to {where}.")
    instance = call.account.instances[volume.instance_id]
    if volume.device == instance.root_device and instance.state != "stopped":
        message = f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
        raise ApiError("OperationNotPermitted", message)
    answer = {**attachment(volume), "State": "detaching"}
    _change_state(call, volume, "detaching")
    return answer


def _change_state(call: Call, volume: VolumeRecord, state: str) -> None:
    seconds = call.world.speeds.attachment_seconds
    if seconds:
        volume.attachment_state = state
        call.world.schedule(call.now - call.account.skew_seconds + seconds, "attachment", call.account, volume.id, state)
    else:
        finish_change(call.world, call.account, volume.id, state)


def finish_change(world: WorldState, account: RegionAccount, volume_id: str, state: Any) -> None:  # noqa: ARG001
    """End attaching or detaching."""
    volume = account.volumes.get(volume_id)
    if volume is None or not volume.instance_id:
        return
    if state == "detaching":
        detach(account, volume)
    elif volume.attachment_state == state:
        volume.attachment_state = "attached"


def detach(account: RegionAccount, volume: VolumeRecord) -> None:
    """Detach a volume."""
    instance = account.instances.get(volume.instance_id)
    if instance is not None:
        instance.volume_ids.remove(volume.id)
    volume.state, volume.instance_id, volume.device, volume.attachment_state = "available", "", "", "attached"
