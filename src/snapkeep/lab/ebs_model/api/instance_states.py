"""StopInstances, StartInstances, TerminateInstances, and the start of an instance. Source: [EC2 API reference]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import attachments, volumes
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store.records import InstanceRecord

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

CODES: Mapping[str, int] = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
STARTABLE, STOPPABLE = ("stopped", "pending", "running"), ("pending", "running", "stopping", "stopped")


def state_of(name: str) -> dict[str, Any]:
    """Return a state in the form of answers."""
    return {"Code": CODES[name], "Name": name}


def _instances(call: Call) -> list[InstanceRecord]:
    return [call.instance(str(instance_id)) for instance_id in dict.fromkeys(call.params["InstanceIds"])]


def _change(instance: InstanceRecord, former: str, state: str) -> Response:
    return {"InstanceId": instance.id, "PreviousState": state_of(former), "CurrentState": state_of(state)}


def start_instances(call: Call) -> Response:
    """StartInstances. Raise IncorrectInstanceState, or InvalidParameterValue for one without its root volume."""
    instances = _instances(call)
    for instance in instances:
        if instance.state not in STARTABLE:
            message = f"The instance '{instance.id}' is not in a state from which it can be started."
            raise ApiError("IncorrectInstanceState", message)
        devices = [call.account.volumes[volume_id].device for volume_id in instance.volume_ids]
        if instance.root_device not in devices:
            message = (
                f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached at root "
                f"({instance.root_device})"
            )
            raise ApiError("InvalidParameterValue", message)
    changes = []
    for instance in instances:
        former = instance.state
        if former == "stopped":
            instance.state, instance.launched = "pending", call.now
            _later(call, instance, "instance start", call.world.speeds.instance_start_seconds)
        changes.append(_change(instance, former, "pending" if former == "stopped" else former))
    return {"StartingInstances": changes}


def finish_start(world: WorldState, account: RegionAccount, instance_id: str, failure: Any) -> None:
    """Let a pending instance run, or end it if the key of a volume cannot be used."""
    instance = account.instances.get(instance_id)
    if instance is None or instance.state != "pending":
        return
    if failure:
        _terminate(world, account, instance)
        message = "Client.InternalError: Client error on launch"
        instance.details["StateReason"] = {"Code": "Client.InternalError", "Message": message}
        return
    instance.state = "running"
    instance.started = world.now() + account.skew_seconds
    instance.details.pop("StateReason", None)


def stop_instances(call: Call) -> Response:
    """StopInstances. Raise IncorrectInstanceState, or OperationNotPermitted for one protected from being stopped."""
    instances = _instances(call)
    for instance in instances:
        if instance.state not in STOPPABLE:
            raise ApiError("IncorrectInstanceState", f"This instance '{instance.id}' is not in a state that can be stopped.")
        if instance.attributes.get("DisableApiStop"):
            message = f"The instance '{instance.id}' may not be stopped. Modify its 'disableApiStop' instance attribute."
            raise ApiError("OperationNotPermitted", message)
    changes = []
    for instance in instances:
        former = instance.state
        if former in ("pending", "running"):
            instance.state = "stopping"
            message = "Client.UserInitiatedShutdown: User initiated shutdown"
            instance.details["StateReason"] = {"Code": "Client.UserInitiatedShutdown", "Message": message}
            _later(call, instance, "instance stop", call.world.speeds.instance_stop_seconds)
        changes.append(_change(instance, former, "stopped" if former == "stopped" else "stopping"))
    return {"StoppingInstances": changes}


def finish_stop(world: WorldState, account: RegionAccount, instance_id: str, extra: Any) -> None:  # noqa: ARG001
    """Let a stopping instance be stopped."""
    instance = account.instances.get(instance_id)
    if instance is not None and instance.state == "stopping":
        instance.state, instance.started = "stopped", 0.0


def _later(call: Call, instance: InstanceRecord, kind: str, seconds: float) -> None:
    if seconds:
        call.world.schedule(call.now - call.account.skew_seconds + seconds, kind, call.account, instance.id)
    elif kind == "instance start":
        finish_start(call.world, call.account, instance.id, "")
    else:
        finish_stop(call.world, call.account, instance.id, "")


def terminate_instances(call: Call) -> Response:
    """TerminateInstances: each volume is deleted or detached, by its DeleteOnTermination.

    With termination protection no instance in the zone of a protected one is terminated, the others are, and the
    request fails with OperationNotPermitted.
    """
    instances = _instances(call)
    protected = [instance for instance in instances if instance.attributes.get("DisableApiTermination")]
    zones = {instance.zone for instance in protected}
    changes = []
    for instance in instances:
        if instance.zone in zones:
            continue
        former = instance.state
        if former != "terminated":
            _terminate(call.world, call.account, instance)
        changes.append(_change(instance, former, "terminated" if former == "terminated" else "shutting-down"))
    if protected:
        message = (
            f"The instance '{protected[0].id}' may not be terminated. "
            "Modify its 'disableApiTermination' instance attribute and try again."
        )
        raise ApiError("OperationNotPermitted", message)
    return {"TerminatingInstances": changes}


def _terminate(world: WorldState, account: RegionAccount, instance: InstanceRecord) -> None:
    for volume in [account.volumes[volume_id] for volume_id in instance.volume_ids]:
        attachments.detach(account, volume)
        if volume.delete_on_termination:
            volumes.remove(world, account, volume)
    for interface_id in instance.interface_ids:
        account.interfaces.pop(interface_id, None)
    instance.interface_ids.clear()
    instance.state, instance.ended = "terminated", world.now() + account.skew_seconds
    message = "Client.UserInitiatedShutdown: User initiated shutdown"
    instance.details["StateReason"] = {"Code": "Client.UserInitiatedShutdown", "Message": message}
