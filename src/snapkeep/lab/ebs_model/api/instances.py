"""RunInstances, TerminateInstances and DescribeInstances: no more of EC2 than volumes need."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api import volumes
from snapkeep.lab.ebs_model.conditions.clock import utc
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store.records import Image, Instance, Volume
from snapkeep.lab.ebs_model.store.tags import as_list, checked, flat

DEFAULT_ROOT_GIB = 8


def run_instances(call: Call) -> Response:
    """RunInstances: as many as MaxCount, each with its volumes attached at once.

    Raise InvalidParameterValue on the counts, InvalidAMIID.Unavailable for a disabled AMI.
    """
    count = int(call.params["MaxCount"])
    if not 1 <= int(call.params["MinCount"]) <= count:
        raise ApiError("InvalidParameterValue", "MinCount must be from 1 to MaxCount")
    image = None
    if call.params.get("ImageId"):
        image = call.account.images.get(str(call.params["ImageId"]))
        if image is not None and image.state == "disabled":
            raise ApiError("InvalidAMIID.Unavailable", f"The image ID '{image.id}' is not available")
    made = [_launch(call, image) for _ in range(count)]
    return {
        "ReservationId": call.world.ids.resource("r"),
        "OwnerId": call.account.account_id,
        "Instances": [_rendered(call, instance) for instance in made],
    }


def _tags(call: Call, kind: str) -> tuple[str, ...]:
    for specification in call.params.get("TagSpecifications") or ():
        if specification.get("ResourceType") == kind:
            return flat(checked(specification.get("Tags") or (), call.account.quotas.tags_per_resource))
    return ()


def _launch(call: Call, image: Image | None) -> Instance:
    world, account = call.world, call.account
    zone = str((call.params.get("Placement") or {}).get("AvailabilityZone") or account.region + "a")
    instance = Instance(
        seq=world.next_seq(),
        id=world.ids.resource("i"),
        owner_id=account.account_id,
        zone=zone,
        launched=call.now,
        root_device=image.root_device if image else "/dev/xvda",
        image_id=str(call.params.get("ImageId") or ""),
        type=str(call.params.get("InstanceType") or "m1.small"),
        tags=_tags(call, "instance"),
    )
    account.instances[instance.id] = instance
    mappings: dict[str, dict[str, Any]] = {instance.root_device: {}}
    for device, snapshot_id, size_gib in image.mappings if image else ():
        mappings[device] = {"SnapshotId": snapshot_id, "VolumeSize": size_gib}
    for mapping in call.params.get("BlockDeviceMappings") or ():
        device = str(mapping["DeviceName"])
        mappings[device] = {**mappings.get(device, {}), **(mapping.get("Ebs") or {})}
    for device, ebs in mappings.items():
        _launch_volume(call, instance, device, ebs)
    return instance


def _launch_volume(call: Call, instance: Instance, device: str, ebs: dict[str, Any]) -> None:
    account = call.account
    params: dict[str, Any] = {"AvailabilityZone": instance.zone, "VolumeType": ebs.get("VolumeType") or "gp3"}
    params.update({name: ebs[name] for name in ("SnapshotId", "Encrypted", "KmsKeyId") if ebs.get(name)})
    params["Size"] = ebs.get("VolumeSize") or (None if ebs.get("SnapshotId") else DEFAULT_ROOT_GIB)
    made = volumes.create_volume(Call(call.world, account, params, call.caller, call.now))
    volume: Volume = account.volumes[made["VolumeId"]]
    volume.tags = _tags(call, "volume")
    volume.delete_on_termination = bool(ebs.get("DeleteOnTermination", device == instance.root_device))
    volumes.finish_create(call.world, account, volume.id, "")
    volumes.attach(volume, instance, device, call.now)


def terminate_instances(call: Call) -> Response:
    """TerminateInstances: volumes go with it, or are detached, as DeleteOnTermination says."""
    changes = []
    for instance_id in call.params["InstanceIds"]:
        instance = volumes.instance_of(call, str(instance_id))
        for volume in [call.account.volumes[volume_id] for volume_id in instance.volume_ids]:
            volumes.detach(call.account, volume)
            if volume.delete_on_termination:
                volumes.remove(call.world, call.account, volume)
        former, instance.state = instance.state, "terminated"
        changes.append(
            {
                "InstanceId": instance.id,
                "PreviousState": {"Code": 16, "Name": former},
                "CurrentState": {"Code": 48, "Name": instance.state},
            }
        )
    return {"TerminatingInstances": changes}


def _rendered(call: Call, instance: Instance) -> Response:
    attached = [call.account.volumes[volume_id] for volume_id in instance.volume_ids]
    answer: Response = {
        "InstanceId": instance.id,
        "ImageId": instance.image_id,
        "InstanceType": instance.type,
        "LaunchTime": utc(instance.launched),
        "Placement": {"AvailabilityZone": instance.zone, "Tenancy": "default"},
        "State": {"Code": 16 if instance.state == "running" else 48, "Name": instance.state},
        "RootDeviceName": instance.root_device,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": [
            {
                "DeviceName": volume.device,
                "Ebs": {
                    "AttachTime": utc(volume.attached_at),
                    "DeleteOnTermination": volume.delete_on_termination,
                    "Status": "attached",
                    "VolumeId": volume.id,
                },
            }
            for volume in attached
        ],
    }
    if instance.tags:
        answer["Tags"] = as_list(instance.tags)
    return answer


def describe_instances(call: Call) -> Response:
    """DescribeInstances: by id, filters, pages; one reservation for each instance. Raise InvalidInstanceID.NotFound."""
    store = call.account.instances
    wanted = [str(instance_id) for instance_id in call.params.get("InstanceIds") or ()]
    for instance_id in wanted:
        if instance_id not in store:
            raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    fields = {
        "instance-id": lambda instance: (instance.id,),
        "instance-state-name": lambda instance: (instance.state,),
        "instance-type": lambda instance: (instance.type,),
        "image-id": lambda instance: (instance.image_id,),
        "availability-zone": lambda instance: (instance.zone,),
        "root-device-name": lambda instance: (instance.root_device,),
        "block-device-mapping.volume-id": lambda instance: instance.volume_ids,
        "block-device-mapping.device-name": lambda instance: [
            call.account.volumes[volume_id].device for volume_id in instance.volume_ids
        ],
    }
    found = [store[instance_id] for instance_id in wanted] if wanted else list(store.values())
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda instance: instance.tags)
    found = [instance for instance in found if all(test(instance) for test in tests)]
    chosen, token = page(found, lambda instance: instance.seq, call.params)
    reservations = [
        {"ReservationId": "r" + instance.id[1:], "OwnerId": instance.owner_id, "Instances": [_rendered(call, instance)]}
        for instance in chosen
    ]
    return {"Reservations": reservations, **token}
