"""AMIs: registered and disabled ones keep the snapshots in their block device mappings.

Sources: [EC2 API reference: RegisterImage, CreateImage, CopyImage, DeregisterImage, DisableImage], botocore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.api import copies, locks, recycle_bin, snapshots
from snapkeep.lab.ebs_model.api.volumes import product_codes
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value, missing
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.idempotency import earlier_ids, remember_ids
from snapkeep.lab.ebs_model.store.lifecycle import remove
from snapkeep.lab.ebs_model.store.public_images import LINUX, PUBLIC_IMAGES
from snapkeep.lab.ebs_model.store.records import COMPLETED, ERROR, PENDING, ImageRecord, VolumeRecord
from snapkeep.lab.ebs_model.store.tags import as_dict, checked, flat, from_specifications

NAME = re.compile(r"^[A-Za-z0-9()\[\] ./\-'@_]{3,128}$")
ARCHITECTURES = ("i386", "x86_64", "arm64", "x86_64_mac", "arm64_mac")
BOOT_MODES = ("legacy-bios", "uefi", "uefi-preferred")
MOST_UEFI_DATA = 64_000
CARRIED = ("EnaSupport", "SriovNetSupport", "BootMode", "TpmSupport", "UefiData", "ImdsSupport", "KernelId", "RamdiskId")
OF_THE_INSTANCE = (
    "Architecture", "VirtualizationType", "EnaSupport", "SriovNetSupport", "BootMode", "TpmSupport", "PlatformDetails",
    "UsageOperation", "ProductCodes", "Platform",
)  # fmt: skip
COPIED = "Copied for DestinationAmi {copy} from SourceAmi {source} for SourceSnapshot {snapshot}. Task created on {now:.0f}."


def register_image(call: Call) -> Response:
    """RegisterImage: from a block device mapping that names completed snapshots. It has no client token.

    Architecture defaults to i386, the virtualization type to paravirtual; the platform comes from the root snapshot.
    Raise InvalidAMIName.Malformed or .Duplicate, InvalidBlockDeviceMapping when the root device has no snapshot, and
    InvalidParameterCombination for a TPM without the boot mode uefi, or for the encryption of a mapped snapshot.
    """
    params = call.params
    _check_name(call)
    root = str(params.get("RootDeviceName") or "/dev/xvda")
    mappings = [_mapping(call, mapping) for mapping in params.get("BlockDeviceMappings") or () if mapping.get("Ebs")]
    root_id = next((mapping["Ebs"].get("SnapshotId") for mapping in mappings if mapping["DeviceName"] == root), None)
    if not root_id:
        raise ApiError("InvalidBlockDeviceMapping", f"The root device {root} needs a snapshot.")
    details: dict[str, Any] = {
        "Architecture": str(params.get("Architecture") or "i386"),
        "VirtualizationType": str(params.get("VirtualizationType") or "paravirtual"),
        **{name: params[name] for name in CARRIED if params.get(name) not in (None, "")},
    }
    _check_details(details)
    billing = call.own_snapshot(str(root_id)).billing or LINUX
    details.update(_billed(billing))
    return {"ImageId": _add(call, root, mappings, details).id}


def _check_name(call: Call) -> None:
    name = str(call.params["Name"])
    if not NAME.match(name):
        message = f"AMI name {name!r} is invalid: 3 to 128 letters, digits, spaces and ( ) [ ] . / - ' @ _"
        raise ApiError("InvalidAMIName.Malformed", message)
    for image in call.account.images.values():
        if image.name == name:
            raise ApiError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")


def _check_details(details: Mapping[str, Any]) -> None:
    boot_mode, tpm = details.get("BootMode"), details.get("TpmSupport")
    if details["Architecture"] not in ARCHITECTURES:
        raise invalid_value(details["Architecture"], "Architecture")
    if details["VirtualizationType"] not in ("hvm", "paravirtual"):
        raise invalid_value(details["VirtualizationType"], "VirtualizationType")
    if boot_mode is not None and boot_mode not in BOOT_MODES:
        raise invalid_value(boot_mode, "BootMode")
    if tpm is not None and tpm != "v2.0":
        raise invalid_value(tpm, "TpmSupport")
    if tpm is not None and boot_mode != "uefi":
        # NitroTPM needs UEFI, and does not work with uefi-preferred [EC2 user guide: NitroTPM].
        raise ApiError("InvalidParameterCombination", "TpmSupport requires the boot mode to be set to uefi.")
    if len(str(details.get("UefiData") or "")) > MOST_UEFI_DATA:
        raise invalid_value("…", "UefiData", f"Expected: at most {MOST_UEFI_DATA} characters.")


def _billed(billing: tuple[str, ...]) -> dict[str, Any]:
    details: dict[str, Any] = {"PlatformDetails": billing[0], "UsageOperation": billing[1]}
    if billing[0].startswith("Windows"):
        details["Platform"] = "windows"
    if billing[2:]:
        details["ProductCodes"] = product_codes(billing)
    return details


def billing_of(image: ImageRecord) -> tuple[str, ...]:
    """Return the billing details that an AMI gives to volumes that are made from it; nothing for plain Linux."""
    details = image.details
    codes = [str(code["ProductCodeId"]) for code in details.get("ProductCodes") or ()]
    billing = (str(details["PlatformDetails"]), str(details["UsageOperation"]), *codes)
    return () if billing == LINUX else billing


def _mapping(call: Call, mapping: Any) -> dict[str, Any]:
    ebs = mapping["Ebs"]
    settings: dict[str, Any] = {
        "DeleteOnTermination": bool(ebs.get("DeleteOnTermination", True)),
        "VolumeType": str(ebs.get("VolumeType") or "gp2"),
        **{name: int(ebs[name]) for name in ("Iops", "Throughput") if ebs.get(name) is not None},
    }
    snapshot_id = str(ebs.get("SnapshotId") or "")
    if snapshot_id:
        if ebs.get("Encrypted") is not None or ebs.get("KmsKeyId"):
            message = f"You can't specify the encryption of a volume from a snapshot ({mapping['DeviceName']})."
            raise ApiError("InvalidParameterCombination", message)
        snapshot = call.own_snapshot(snapshot_id)
        if snapshot.state != COMPLETED or snapshot.tier != "standard":
            raise ApiError("InvalidSnapshot", f"The snapshot '{snapshot_id}' is not completed in the standard tier.")
        settings["SnapshotId"] = snapshot_id
        settings["VolumeSize"] = int(ebs.get("VolumeSize") or snapshot.size_gib)
        if settings["VolumeSize"] < snapshot.size_gib:
            message = f"Volume of size {settings['VolumeSize']}GB is smaller than snapshot '{snapshot_id}'."
            raise ApiError("InvalidBlockDeviceMapping", message)
    elif ebs.get("VolumeSize") is None:
        raise missing("size/snapshot")
    else:
        settings["VolumeSize"] = int(ebs["VolumeSize"])
        settings["Encrypted"] = bool(ebs.get("Encrypted"))
    return {"DeviceName": str(mapping["DeviceName"]), "Ebs": settings}


def _add(call: Call, root: str, mappings: list[dict[str, Any]], details: dict[str, Any]) -> ImageRecord:
    account = call.account
    image = ImageRecord(
        seq=call.world.next_seq(),
        id=call.world.ids.resource("ami"),
        owner_id=account.account_id,
        name=str(call.params["Name"]),
        created=call.now,
        root_device=root,
        mappings=mappings,
        description=str(call.params.get("Description") or ""),
        tags=_tags(call, "image"),
        details=details,
    )
    account.images[image.id] = image
    for snapshot_id in image.snapshot_ids():
        _hold(call, image, snapshot_id)
    return image


def _hold(call: Call, image: ImageRecord, snapshot_id: str) -> None:
    call.account.image_uses.setdefault(snapshot_id, []).append(image.id)


def _tags(call: Call, kind: str) -> tuple[str, ...]:
    """Return the tags for one kind of resource: CreateImage and CopyImage tag images and snapshots."""
    for specification in call.params.get("TagSpecifications") or ():
        if specification.get("ResourceType") not in ("image", "snapshot"):
            from_specifications(call.params, "image", 0)
        if specification.get("ResourceType") == kind:
            return flat(checked(specification.get("Tags") or (), call.account.quotas.tags_per_resource))
    return ()


def create_image(call: Call) -> Response:
    """CreateImage: snapshots of the instance's volumes, and an AMI with them. Raise InvalidInstanceID.NotFound."""
    account = call.account
    instance = call.instance(str(call.params["InstanceId"]))
    _check_name(call)
    attached = [account.volumes[volume_id] for volume_id in instance.volume_ids]
    snapshots.check_quotas(call, attached)
    details = {name: instance.details[name] for name in OF_THE_INSTANCE if name in instance.details}
    image = _add(call, instance.root_device, [], {**details, "SourceInstanceId": instance.id})
    tags = as_dict(_tags(call, "snapshot"))
    for volume in attached:
        description = f"Created by CreateImage({instance.id}) for {image.id}"
        snapshot = snapshots.start(call, volume, description, tags, "")
        image.mappings.append({"DeviceName": volume.device, "Ebs": _settings_of(volume, snapshot.id)})
        _hold(call, image, snapshot.id)
    return {"ImageId": image.id}


def _settings_of(volume: VolumeRecord, snapshot_id: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "DeleteOnTermination": volume.delete_on_termination,
        "SnapshotId": snapshot_id,
        "VolumeSize": volume.size_gib,
        "VolumeType": volume.type,
    }
    if volume.type in ("gp3", "io1", "io2"):
        settings["Iops"] = volume.iops
    if volume.throughput:
        settings["Throughput"] = volume.throughput
    return settings


def copy_image(call: Call) -> Response:
    """CopyImage, called in the destination: copies of its snapshots, with their copySnapshot events, and an AMI of them.

    It is pending until they are complete. Raise InvalidAMIID.NotFound, and the errors of CopySnapshot.
    """
    for image_id in earlier_ids(call, "CopyImage"):
        return {"ImageId": image_id}
    params = call.params
    region = str(params["SourceRegion"])
    if region not in call.world.regions:
        raise invalid_value(region, "SourceRegion")
    source = find_image(call, str(params["SourceImageId"]), region)
    if state_of(call, source, region) != "available":
        raise ApiError("InvalidAMIID.Unavailable", f"The image ID '{source.id}' is not available")
    _check_name(call)
    details = {**source.details, "SourceImageId": source.id, "SourceImageRegion": region}
    image = _add(call, source.root_device, [], details)
    if params.get("CopyImageTags") and source.owner_id == call.account.account_id:
        own = {key: value for key, value in as_dict(source.tags).items() if not key.startswith("aws:")}
        image.tags = flat({**own, **as_dict(image.tags)})
    try:
        image.mappings = [_copied_mapping(call, source, image, region, mapping) for mapping in source.mappings]
    except ApiError:
        _drop(call, image)
        raise
    for snapshot_id in image.snapshot_ids():
        _hold(call, image, snapshot_id)
    remember_ids(call, "CopyImage", [image.id])
    return {"ImageId": image.id}


def _copied_mapping(call: Call, source: ImageRecord, image: ImageRecord, region: str, mapping: dict[str, Any]) -> dict[str, Any]:
    snapshot_id = (mapping.get("Ebs") or {}).get("SnapshotId")
    if not snapshot_id:
        return mapping
    tags = [{"Key": key, "Value": value} for key, value in as_dict(_tags(call, "snapshot")).items()]
    request: dict[str, Any] = {
        "SourceRegion": region,
        "SourceSnapshotId": snapshot_id,
        "Description": COPIED.format(copy=image.id, source=source.id, snapshot=snapshot_id, now=call.now * 1000),
        "TagSpecifications": [{"ResourceType": "snapshot", "Tags": tags}],
        **{name: call.params[name] for name in ("Encrypted", "KmsKeyId") if call.params.get(name)},
    }
    minutes = call.params.get("SnapshotCopyCompletionDurationMinutes")
    if minutes is not None:
        request["CompletionDurationMinutes"] = minutes
    answer = copies.copy_snapshot(Call(call.world, call.account, request, call.caller, call.now))
    copy = call.account.snapshots[answer["SnapshotId"]]
    copy.billing = billing_of(source)
    settings = {name: value for name, value in mapping["Ebs"].items() if name != "Encrypted"}
    return {**mapping, "Ebs": {**settings, "SnapshotId": copy.id}}


def find_image(call: Call, image_id: str, region: str = "") -> ImageRecord:
    """Return an image of the account, or a public one. Raise InvalidAMIID.Malformed or InvalidAMIID.NotFound."""
    account = call.world.region_account(region or call.account.region, call.account.account_id)
    image = account.images.get(image_id) or PUBLIC_IMAGES.get(image_id)
    if image is None:
        if not re.match(r"^ami-(?:[0-9a-f]{8}|[0-9a-f]{17})$", image_id):
            raise ApiError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
        raise ApiError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return image


def own_image(call: Call) -> ImageRecord:
    """Return the account's own image that a request names. Raise InvalidAMIID.NotFound, or AuthFailure for another's."""
    image = find_image(call, str(call.params["ImageId"]))
    if image.owner_id != call.account.account_id:
        raise ApiError("AuthFailure", f"Not authorized for image:{image.id}", 403)
    return image


def state_of(call: Call, image: ImageRecord, region: str = "") -> str:
    """Return an AMI's state: pending until its snapshots are complete, failed when one of them is."""
    if image.state != "available":
        return image.state
    store = call.world.region_account(region or call.account.region, call.account.account_id).snapshots
    states = {store[snapshot_id].state for snapshot_id in image.snapshot_ids() if snapshot_id in store}
    if ERROR in states:
        return "failed"
    return "pending" if PENDING in states else "available"


def deregister_image(call: Call) -> Response:
    """DeregisterImage: its snapshots stay, unless DeleteAssociatedSnapshots says otherwise."""
    image = own_image(call)
    _drop(call, image)
    results = []
    if call.params.get("DeleteAssociatedSnapshots"):
        results = [{"SnapshotId": name, "ReturnCode": _delete(call, name)} for name in image.snapshot_ids()]
    return {"Return": True, "DeleteSnapshotResults": results}


def _drop(call: Call, image: ImageRecord) -> None:
    del call.account.images[image.id]
    for snapshot_id in image.snapshot_ids():
        users = call.account.image_uses.get(snapshot_id, [])
        users[:] = [user for user in users if user != image.id]
        if not users:
            call.account.image_uses.pop(snapshot_id, None)


def _delete(call: Call, snapshot_id: str) -> str:
    snapshot = call.account.snapshots.get(snapshot_id)
    if snapshot is None or snapshot_id in call.account.image_uses:
        return "skipped"
    lock = call.account.locks.get(snapshot_id)
    if lock is not None and locks.state_of(lock, call.now) != "expired":
        return "client-error"
    if not recycle_bin.keep(call, snapshot):
        remove(call.world, call.account, snapshot)
    return "success"


def disable_image(call: Call) -> Response:
    """DisableImage: the image is not listed without IncludeDisabled, cannot be launched, and keeps its snapshots."""
    own_image(call).state = "disabled"
    return {"Return": True}


def enable_image(call: Call) -> Response:
    """EnableImage."""
    own_image(call).state = "available"
    return {"Return": True}
