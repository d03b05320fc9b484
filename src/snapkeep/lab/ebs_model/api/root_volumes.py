"""CreateReplaceRootVolumeTask and DescribeReplaceRootVolumeTasks. Source: botocore, [EC2 user guide: replace a root volume].

A task is pending while the new volume is made, in progress while the volumes are exchanged, then succeeded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapkeep.lab.ebs_model.api import attachments, volumes
from snapkeep.lab.ebs_model.api.images import billing_of, find_image
from snapkeep.lab.ebs_model.conditions.clock import iso
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, parsed, tests_for
from snapkeep.lab.ebs_model.requests.idempotency import earlier_ids, remember_ids
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.requests.response_filters import readers
from snapkeep.lab.ebs_model.store.records import ImageRecord, InstanceRecord, VolumeRecord
from snapkeep.lab.ebs_model.store.tags import from_specifications

if TYPE_CHECKING:
    from snapkeep.lab.ebs_model.store.region_account import RegionAccount
    from snapkeep.lab.ebs_model.store.world_state import WorldState

PENDING, IN_PROGRESS, SUCCEEDED, FAILED = "pending", "in-progress", "succeeded", "failed"
SAME_AS_INSTANCE = ("Architecture", "VirtualizationType", "ProductCodes", "PlatformDetails", "UsageOperation")
FIELDS = readers("instance-id")


def create_task(call: Call) -> Response:
    """CreateReplaceRootVolumeTask: from a snapshot of the root volume, a similar AMI, a volume, or the state of the launch.

    Raise IncorrectInstanceState unless the instance runs, InvalidParameterCombination for two sources, and
    InvalidParameterValue for a source that does not fit.
    """
    for task_id in earlier_ids(call, "CreateReplaceRootVolumeTask"):
        return {"ReplaceRootVolumeTask": _rendered(call.account.replacements[task_id])}
    instance = call.instance(str(call.params["InstanceId"]))
    if instance.state != "running":
        raise ApiError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'running' state.")
    if any(task["InstanceId"] == instance.id and task["TaskState"] in (PENDING, IN_PROGRESS) for task in _tasks(call)):
        raise ApiError("IncorrectInstanceState", f"A root volume of '{instance.id}' is being replaced.")
    sources = [name for name in ("SnapshotId", "ImageId", "VolumeId") if call.params.get(name)]
    if len(sources) > 1:
        raise ApiError("InvalidParameterCombination", f"Specify only one of {' and '.join(sources)}.")
    volume, failure = _replacement(call, instance)
    task: dict[str, Any] = {
        "ReplaceRootVolumeTaskId": call.world.ids.resource("replacevol"),
        "InstanceId": instance.id,
        "TaskState": PENDING,
        "StartTime": iso(call.now),
        "Tags": _tags(call),
        "DeleteReplacedRootVolume": bool(call.params.get("DeleteReplacedRootVolume")),
        **{name: str(call.params[name]) for name in ("SnapshotId", "ImageId") if call.params.get(name)},
        "seq": call.world.next_seq(),
        "volume": volume.id,
        "failure": failure,
    }
    call.account.replacements[task["ReplaceRootVolumeTaskId"]] = task
    remember_ids(call, "CreateReplaceRootVolumeTask", [task["ReplaceRootVolumeTaskId"]])
    half = call.world.speeds.replace_root_seconds / 2
    call.world.schedule(call.now - call.account.skew_seconds + half, "replace root", call.account, _id(task))
    return {"ReplaceRootVolumeTask": _rendered(task)}


def _id(task: dict[str, Any]) -> str:
    return str(task["ReplaceRootVolumeTaskId"])


def _tasks(call: Call) -> list[dict[str, Any]]:
    return list(call.account.replacements.values())


def _tags(call: Call) -> list[dict[str, str]]:
    tags = from_specifications(call.params, "replace-root-volume-task", call.account.quotas.tags_per_resource)
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _root(account: RegionAccount, instance: InstanceRecord) -> VolumeRecord | None:
    attached = [account.volumes[volume_id] for volume_id in instance.volume_ids]
    return next((volume for volume in attached if volume.device == instance.root_device), None)


def _replacement(call: Call, instance: InstanceRecord) -> tuple[VolumeRecord, str]:
    """Return the replacement of the root volume, and why the task will fail ("" if it will not)."""
    params, root = call.params, _root(call.account, instance)
    if root is None:
        raise ApiError("IncorrectInstanceState", f"The instance '{instance.id}' has no root volume.")
    if params.get("VolumeId"):
        return _given_volume(call, instance, root), ""
    snapshot_id, image = str(params.get("SnapshotId") or ""), None
    if snapshot_id:
        snapshot = call.own_snapshot(snapshot_id)
        if snapshot.volume_id not in {root.id, *instance.root_volume_ids}:
            message = f"The snapshot '{snapshot_id}' was not created from the root volume of instance '{instance.id}'."
            raise ApiError("InvalidParameterValue", message)
    else:
        image = find_image(call, str(params.get("ImageId") or instance.image_id))
        _check_same_kind(instance, image)
        mapping = next(m["Ebs"] for m in image.mappings if m["DeviceName"] == image.root_device)
        snapshot_id = str(mapping.get("SnapshotId") or "")
    request: dict[str, Any] = {
        "AvailabilityZone": instance.zone,
        "VolumeType": root.type,
        "Size": root.size_gib,
        **({"SnapshotId": snapshot_id} if snapshot_id else {}),
        **({"Encrypted": True, "KmsKeyId": root.key_arn} if root.encrypted else {}),
        **({"Iops": root.iops} if root.type in ("gp3", "io1", "io2") else {}),
        **({"Throughput": root.throughput} if root.throughput else {}),
    }
    if params.get("VolumeInitializationRate") is not None:
        request["VolumeInitializationRate"] = params["VolumeInitializationRate"]
    volume, failure = volumes.make(Call(call.world, call.account, request, call.caller, call.now), {})
    volume.tags, volume.delete_on_termination = root.tags, root.delete_on_termination
    volume.billing = volume.billing or (billing_of(image) if image is not None else root.billing)
    return volume, failure


def _given_volume(call: Call, instance: InstanceRecord, root: VolumeRecord) -> VolumeRecord:
    volume = call.volume()
    if volume.state != "available":
        raise ApiError("IncorrectState", f"{volume.id} is not 'available'.")
    if volume.zone != instance.zone:
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
        raise ApiError("InvalidVolume.ZoneMismatch", message)
    if root.encrypted and not volume.encrypted:
        raise ApiError("InvalidParameterValue", f"The volume '{volume.id}' must be encrypted, as the root volume is.")
    return volume


def _check_same_kind(instance: InstanceRecord, image: ImageRecord) -> None:
    for name in SAME_AS_INSTANCE:
        if image.details.get(name) != instance.details.get(name):
            message = f"The image '{image.id}' and the instance '{instance.id}' have different {name}."
            raise ApiError("InvalidParameterValue", message)


def advance(world: WorldState, account: RegionAccount, task_id: str, extra: Any) -> None:  # noqa: ARG001
    """Bring a task to its next state."""
    task = account.replacements[task_id]
    instance = account.instances[task["InstanceId"]]
    volume = account.volumes.get(task["volume"])
    now = world.now() + account.skew_seconds
    if instance.state != "running" or volume is None or task["failure"]:
        task["TaskState"], task["CompleteTime"] = FAILED, iso(now)
        if volume is not None and volume.state == "creating":
            volumes.finish_creation(world, account, volume.id, task["failure"])
        return
    if task["TaskState"] == PENDING:
        task["TaskState"] = IN_PROGRESS
        volumes.finish_creation(world, account, volume.id, "")
        world.schedule(world.now() + world.speeds.replace_root_seconds / 2, "replace root", account, task_id)
        return
    root = _root(account, instance)
    if root is not None:
        attachments.detach(account, root)
        if task["DeleteReplacedRootVolume"]:
            volumes.remove(world, account, root)
    attachments.attach(volume, instance, instance.root_device, now)
    instance.root_volume_ids.append(volume.id)
    instance.started = now
    task["TaskState"], task["CompleteTime"] = SUCCEEDED, iso(now)


def _rendered(task: dict[str, Any]) -> Response:
    return {name: value for name, value in task.items() if name[0].isupper()}


def describe_tasks(call: Call) -> Response:
    """DescribeReplaceRootVolumeTasks: by id, filter instance-id, pages. Raise InvalidReplaceRootVolumeTaskID.NotFound."""
    ids = [str(task_id) for task_id in call.params.get("ReplaceRootVolumeTaskIds") or ()]
    for task_id in ids:
        if task_id not in call.account.replacements:
            message = f"The replaceRootVolumeTask ID '{task_id}' does not exist"
            raise ApiError("InvalidReplaceRootVolumeTaskID.NotFound", message)
    tasks = [task for task in _tasks(call) if not ids or _id(task) in ids]
    tests = tests_for(parsed(call.params.get("Filters")), FIELDS, flat_tags_of)
    tasks = [task for task in tasks if all(test(task) for test in tests)]
    chosen, token = page(tasks, lambda task: int(task["seq"]), call.params)
    return {"ReplaceRootVolumeTasks": [_rendered(task) for task in chosen], **token}
