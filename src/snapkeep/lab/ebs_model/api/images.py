"""AMIs: a registered one holds the snapshots in its block device mapping, a disabled one too.

Sources: [EC2 API reference: RegisterImage, DeregisterImage, DisableImage, DescribeImages].
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api import locks, recycle_bin, snapshots
from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds
from snapkeep.lab.ebs_model.errors import ApiError
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.store.lifecycle import remove
from snapkeep.lab.ebs_model.store.records import COMPLETED, PENDING, Image
from snapkeep.lab.ebs_model.store.tags import as_list, flat, from_specifications


def register_image(call: Call) -> Response:
    """RegisterImage: from a block device mapping that names completed snapshots.

    Raise InvalidAMIName.Duplicate, or InvalidBlockDeviceMapping when the root device has no snapshot.
    """
    account, params = call.account, call.params
    name = str(params["Name"])
    if any(image.name == name for image in account.images.values()):
        raise ApiError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use")
    root = str(params.get("RootDeviceName") or "/dev/xvda")
    mappings = [_mapping(call, mapping) for mapping in params.get("BlockDeviceMappings") or () if mapping.get("Ebs")]
    if not any(device == root and snapshot_id for device, snapshot_id, _ in mappings):
        raise ApiError("InvalidBlockDeviceMapping", f"The root device {root} needs a snapshot.")
    return {"ImageId": _add(call, name, root, mappings).id}


def _mapping(call: Call, mapping: Any) -> tuple[str, str, int]:
    ebs = mapping["Ebs"]
    snapshot_id = str(ebs.get("SnapshotId") or "")
    if not snapshot_id:
        return str(mapping["DeviceName"]), "", int(ebs["VolumeSize"])
    snapshot = call.own_snapshot(snapshot_id)
    if snapshot.state != COMPLETED:
        raise ApiError("InvalidSnapshot", f"The snapshot '{snapshot_id}' is in state {snapshot.state}, not completed.")
    return str(mapping["DeviceName"]), snapshot_id, int(ebs.get("VolumeSize") or snapshot.size_gib)


def _add(call: Call, name: str, root: str, mappings: list[tuple[str, str, int]]) -> Image:
    account = call.account
    image = Image(
        seq=call.world.next_seq(),
        id=call.world.ids.resource("ami"),
        owner_id=account.account_id,
        name=name,
        created=call.now,
        root_device=root,
        mappings=mappings,
        description=str(call.params.get("Description") or ""),
        tags=flat(from_specifications(call.params, "image", account.quotas.tags_per_resource)),
    )
    account.images[image.id] = image
    for _, snapshot_id, _ in mappings:
        if snapshot_id:
            account.image_uses.setdefault(snapshot_id, []).append(image.id)
    return image


def create_image(call: Call) -> Response:
    """CreateImage: snapshots of the instance's volumes, and an AMI that holds them. Raise InvalidInstanceID.NotFound."""
    account = call.account
    instance = account.instances.get(str(call.params["InstanceId"]))
    if instance is None:
        raise ApiError("InvalidInstanceID.NotFound", f"The instance ID '{call.params['InstanceId']}' does not exist")
    attached = [account.volumes[volume_id] for volume_id in instance.volume_ids]
    snapshots.check_quotas(call, attached)
    image = _add(call, str(call.params["Name"]), instance.root_device, [])
    for volume in attached:
        description = f"Created by CreateImage({instance.id}) for {image.id}"
        snapshot = snapshots.start(call, volume, description, {}, "")
        image.mappings.append((volume.device, snapshot.id, volume.size_gib))
        account.image_uses.setdefault(snapshot.id, []).append(image.id)
    return {"ImageId": image.id}


def _image(call: Call) -> Image:
    image_id = str(call.params["ImageId"])
    image = call.account.images.get(image_id)
    if image is None:
        raise ApiError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return image


def deregister_image(call: Call) -> Response:
    """DeregisterImage: its snapshots stay, unless DeleteAssociatedSnapshots says otherwise."""
    account, image = call.account, _image(call)
    del account.images[image.id]
    results = []
    for snapshot_id in dict.fromkeys(snapshot_id for _, snapshot_id, _ in image.mappings if snapshot_id):
        users = account.image_uses[snapshot_id]
        users[:] = [user for user in users if user != image.id]
        if not users:
            del account.image_uses[snapshot_id]
        if call.params.get("DeleteAssociatedSnapshots"):
            results.append({"SnapshotId": snapshot_id, "ReturnCode": _delete(call, snapshot_id)})
    return {"Return": True, "DeleteSnapshotResults": results}


def _delete(call: Call, snapshot_id: str) -> str:
    snapshot = call.account.snapshots.get(snapshot_id)
    if snapshot is None or snapshot_id in call.account.image_uses:
        return "skipped"
    try:
        locks.refuse_if_locked(call, snapshot)
    except ApiError:
        return "client-error"
    if not recycle_bin.keep(call, snapshot):
        remove(call.world, call.account, snapshot)
    return "success"


def disable_image(call: Call) -> Response:
    """DisableImage: not listed by default, not launchable; its snapshots are held all the same."""
    _image(call).state = "disabled"
    return {"Return": True}


def enable_image(call: Call) -> Response:
    """EnableImage."""
    _image(call).state = "available"
    return {"Return": True}


def _rendered(call: Call, image: Image) -> Response:
    mappings: list[Response] = []
    for device, snapshot_id, size_gib in image.mappings:
        ebs: Response = {"DeleteOnTermination": True, "VolumeSize": size_gib, "VolumeType": "gp3", "Encrypted": False}
        if snapshot_id:
            ebs["SnapshotId"] = snapshot_id
            ebs["Encrypted"] = call.account.snapshots[snapshot_id].encrypted if snapshot_id in call.account.snapshots else False
        mappings.append({"DeviceName": device, "Ebs": ebs})
    answer: Response = {
        "ImageId": image.id,
        "Name": image.name,
        "ImageLocation": f"{image.owner_id}/{image.name}",
        "State": _state(call, image),
        "OwnerId": image.owner_id,
        "CreationDate": iso_milliseconds(image.created),
        "Public": image.public,
        "Architecture": "x86_64",
        "ImageType": "machine",
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "RootDeviceName": image.root_device,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": mappings,
    }
    if image.description:
        answer["Description"] = image.description
    if image.tags:
        answer["Tags"] = as_list(image.tags)
    return answer


def _state(call: Call, image: Image) -> str:
    """An AMI is pending until its snapshots are complete."""
    if image.state != "available":
        return image.state
    store = call.account.snapshots
    waiting = any(s in store and store[s].state == PENDING for _, s, _ in image.mappings)
    return "pending" if waiting else "available"


def describe_images(call: Call) -> Response:
    """DescribeImages: by id, owner, filters, pages; disabled ones only with IncludeDisabled. Raise InvalidAMIID.NotFound."""
    store, account_id = call.account.images, call.account.account_id
    wanted = [str(image_id) for image_id in call.params.get("ImageIds") or ()]
    for image_id in wanted:
        if image_id not in store:
            raise ApiError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    owners = {str(owner) for owner in call.params.get("Owners") or ()}
    if owners and not owners & {"self", account_id}:
        return {"Images": []}
    found = [store[image_id] for image_id in wanted] if wanted else list(store.values())
    if not call.params.get("IncludeDisabled"):
        found = [image for image in found if image.state != "disabled"]
    fields = {
        "image-id": lambda image: (image.id,),
        "name": lambda image: (image.name,),
        "state": lambda image: (_state(call, image),),
        "description": lambda image: (image.description,),
        "owner-id": lambda image: (image.owner_id,),
        "root-device-name": lambda image: (image.root_device,),
        "is-public": lambda image: ("true" if image.public else "false",),
        "block-device-mapping.snapshot-id": lambda image: [s for _, s, _ in image.mappings if s],
        "block-device-mapping.device-name": lambda image: [device for device, _, _ in image.mappings],
    }
    tests = tests_for(parsed(call.params.get("Filters")), fields, lambda image: image.tags)
    found = [image for image in found if all(test(image) for test in tests)]
    chosen, token = page(found, lambda image: image.seq, call.params, least=1)
    return {"Images": [_rendered(call, image) for image in chosen], **token}
