"""DescribeImages, DescribeImageAttribute, ModifyImageAttribute. Source: [EC2 API reference], botocore's service model."""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api.images import find_image, own_image, state_of
from snapkeep.lab.ebs_model.conditions.clock import iso_milliseconds
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, has_wildcard, parsed, tests_for
from snapkeep.lab.ebs_model.requests.paging import page
from snapkeep.lab.ebs_model.requests.response_filters import readers
from snapkeep.lab.ebs_model.store.public_images import OWNER_ALIASES, PUBLIC_IMAGES
from snapkeep.lab.ebs_model.store.records import ImageRecord
from snapkeep.lab.ebs_model.store.tags import as_list

FIELDS = readers(
    "architecture block-device-mapping.delete-on-termination block-device-mapping.device-name block-device-mapping.snapshot-id "
    "block-device-mapping.volume-size block-device-mapping.volume-type block-device-mapping.encrypted boot-mode creation-date "
    "description ena-support free-tier-eligible hypervisor image-allowed image-id image-watermark.source-image-creation-time "
    "image-watermark.source-image-id image-watermark.source-image-region image-watermark.watermark-creation-time "
    "image-watermark.watermark-key image-type kernel-id name owner-id platform public-ssm-parameter-name ramdisk-id "
    "root-device-name root-device-type source-image-id source-image-region source-instance-id state sriov-net-support "
    "virtualization-type",
    {
        "instance-type-specification.supported-instance-type": "InstanceTypeSpecification.SupportedInstanceTypes",
        "instance-type-specification.unsupported-instance-type": "InstanceTypeSpecification.UnsupportedInstanceTypes",
        "is-public": "Public",
        "manifest-location": "ImageLocation",
        "owner-alias": "ImageOwnerAlias",
        "product-code": "ProductCodes.ProductCodeId",
        "product-code.type": "ProductCodes.ProductCodeType",
        "state-reason-code": "StateReason.Code",
        "state-reason-message": "StateReason.Message",
    },
)
VALUES = {
    "description": "Description",
    "kernel": "KernelId",
    "ramdisk": "RamdiskId",
    "sriovNetSupport": "SriovNetSupport",
    "bootMode": "BootMode",
    "tpmSupport": "TpmSupport",
    "uefiData": "UefiData",
    "imdsSupport": "ImdsSupport",
}
NOT_LISTED = ("UefiData",)
"""Only DescribeImageAttribute returns it."""


def _rendered(call: Call, image: ImageRecord) -> Response:
    mappings = [_rendered_mapping(call, mapping) for mapping in image.mappings]
    details = {name: value for name, value in image.details.items() if name not in NOT_LISTED}
    answer: Response = {
        "ImageId": image.id,
        "Name": image.name,
        "ImageLocation": f"{image.owner_id}/{image.name}",
        "State": state_of(call, image),
        "OwnerId": image.owner_id,
        "CreationDate": iso_milliseconds(image.created),
        "Public": image.public,
        "ImageType": "machine",
        "Hypervisor": "xen",
        "RootDeviceName": image.root_device,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": mappings,
        **details,
    }
    if image.owner_id in OWNER_ALIASES:
        answer["ImageOwnerAlias"] = OWNER_ALIASES[image.owner_id]
    if answer["State"] == "failed":
        answer["StateReason"] = {"Code": "Client.InternalError", "Message": "A snapshot of the image failed."}
    if image.description:
        answer["Description"] = image.description
    if image.tags:
        answer["Tags"] = as_list(image.tags)
    return answer


def _rendered_mapping(call: Call, mapping: dict[str, Any]) -> dict[str, Any]:
    snapshot = call.account.snapshots.get(str(mapping["Ebs"].get("SnapshotId") or ""))
    encrypted = snapshot.encrypted if snapshot is not None else bool(mapping["Ebs"].get("Encrypted"))
    return {**mapping, "Ebs": {**mapping["Ebs"], "Encrypted": encrypted}}


def describe_images(call: Call) -> Response:
    """DescribeImages: by id, owner, filters, pages; disabled ones only with IncludeDisabled.

    Without ids and owners it lists the public ones too. Raise InvalidAMIID.Malformed or InvalidAMIID.NotFound.
    """
    own = call.account.images
    ids = [str(image_id) for image_id in call.params.get("ImageIds") or ()]
    images = [find_image(call, image_id) for image_id in ids] if ids else [*PUBLIC_IMAGES.values(), *own.values()]
    owners = {str(owner) for owner in call.params.get("Owners") or ()}
    if owners:
        images = [image for image in images if owners & _owner_names(call, image)]
    users = {str(user) for user in call.params.get("ExecutableUsers") or ()}
    if users:
        images = [image for image in images if users & _user_names(call, image)]
    if not call.params.get("IncludeDisabled"):
        images = [image for image in images if image.state != "disabled"]
    filters = parsed(call.params.get("Filters"))
    images = _using_snapshots(call, filters, images)
    tests = tests_for(filters, FIELDS, flat_tags_of)
    pairs = [(image, _rendered(call, image)) for image in images]
    pairs = [pair for pair in pairs if all(test(pair[1]) for test in tests)]
    chosen, token = page(pairs, lambda pair: pair[0].seq + len(PUBLIC_IMAGES), call.params, least=1)
    return {"Images": [answer for _, answer in chosen], **token}


def _using_snapshots(call: Call, filters: list[tuple[str, list[str]]], images: list[ImageRecord]) -> list[ImageRecord]:
    """Return the images that can match a filter on snapshots: the index avoids a search of all images."""
    for name, values in filters:
        if name == "block-device-mapping.snapshot-id" and not any(map(has_wildcard, values)):
            users = {user for value in values for user in call.account.image_uses.get(value, ())}
            return [image for image in images if image.id in users]
    return images


def _owner_names(call: Call, image: ImageRecord) -> set[str]:
    if image.owner_id == call.account.account_id:
        return {"self", image.owner_id}
    return {OWNER_ALIASES.get(image.owner_id, ""), image.owner_id}


def _user_names(call: Call, image: ImageRecord) -> set[str]:
    names = set(image.launch_permissions) | ({"all"} if image.public else set())
    return names | ({"self"} if call.account.account_id in names else set())


def describe_attribute(call: Call) -> Response:
    """DescribeImageAttribute. Raise AuthFailure for another account's image, InvalidParameterValue on another attribute."""
    image, attribute = own_image(call), str(call.params["Attribute"])
    answer: Response = {"ImageId": image.id}
    details = {**image.details, "Description": image.description or None}
    if attribute in VALUES:
        name = VALUES[attribute]
        answer[name] = {"Value": details[name]} if details.get(name) is not None else {}
    elif attribute == "launchPermission":
        answer["LaunchPermissions"] = [{"Group": n} if n == "all" else {"UserId": n} for n in image.launch_permissions]
    elif attribute == "productCodes":
        answer["ProductCodes"] = list(image.details.get("ProductCodes") or ())
    elif attribute == "blockDeviceMapping":
        answer["BlockDeviceMappings"] = image.mappings
    elif attribute == "lastLaunchedTime":
        launched = [i.launched for i in call.account.instances.values() if i.image_id == image.id]
        answer["LastLaunchedTime"] = {"Value": iso_milliseconds(max(launched))} if launched else {}
    elif attribute == "deregistrationProtection":
        answer["DeregistrationProtection"] = {"Value": "disabled"}
    else:
        raise invalid_value(attribute, "attribute")
    return answer


def modify_attribute(call: Call) -> Response:
    """ModifyImageAttribute: its description, and who may launch it. Raise InvalidParameterCombination without either."""
    image, params = own_image(call), call.params
    description, permission = params.get("Description"), params.get("LaunchPermission")
    if description is None and permission is None:
        raise ApiError("InvalidParameterCombination", "No attributes specified.")
    if description is not None:
        image.description = str(description.get("Value") or "")
    for entry in (permission or {}).get("Add") or ():
        image.launch_permissions.append(str(entry.get("UserId") or entry.get("Group")))
    removed = [str(entry.get("UserId") or entry.get("Group")) for entry in (permission or {}).get("Remove") or ()]
    image.launch_permissions = [name for name in dict.fromkeys(image.launch_permissions) if name not in removed]
    image.public = "all" in image.launch_permissions
    return {}
