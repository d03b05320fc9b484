"""RunInstances: from an AMI, with volumes, a network interface, and all settings of a rebuilt instance.

Sources: [EC2 API reference: RunInstances], botocore. A spot instance is never interrupted. Hosts, capacity reservations and
launch templates are not modelled. Neither are IAM's instance profiles: their names are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.api import attachments, networks, volumes
from snapkeep.lab.ebs_model.api.describe_instances import rendered
from snapkeep.lab.ebs_model.api.images import billing_of, find_image, state_of
from snapkeep.lab.ebs_model.api.instance_states import finish_start
from snapkeep.lab.ebs_model.api.instance_types import DEFAULT_TYPE, check_image_fits, current_boot_mode, default_cpu, is_nitro
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value, missing, not_modelled
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.idempotency import earlier_ids, remember_ids
from snapkeep.lab.ebs_model.store.arns import partition_of
from snapkeep.lab.ebs_model.store.records import ImageRecord, InstanceRecord
from snapkeep.lab.ebs_model.store.tags import as_list, checked, flat

NOT_MODELLED = (
    "LaunchTemplate", "CapacityReservationSpecification", "ElasticGpuSpecification",
    "ElasticInferenceAccelerators", "LicenseSpecifications", "SecondaryInterfaces",
)  # fmt: skip
FROM_IMAGE = (
    "Architecture", "VirtualizationType", "EnaSupport", "SriovNetSupport", "BootMode", "TpmSupport", "PlatformDetails",
    "UsageOperation", "ProductCodes", "Platform", "KernelId", "RamdiskId",
)  # fmt: skip
FROM_REQUEST = ("CpuOptions", "EnclaveOptions", "HibernationOptions", "MaintenanceOptions", "PrivateDnsNameOptions")
OF_A_VOLUME = ("SnapshotId", "VolumeType", "Iops", "Throughput", "Encrypted", "KmsKeyId", "VolumeInitializationRate")
TAGGED_KINDS = ("instance", "volume", "network-interface", "elastic-gpu", "spot-instances-request")
METADATA_DEFAULTS = {
    "State": "applied",
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}


def run_instances(call: Call) -> Response:
    """RunInstances: as many as MaxCount in one reservation, each with its volumes attached.

    Raise InvalidParameterValue on the counts, InvalidAMIID.Unavailable for a disabled or pending AMI, OptInRequired for
    a product of AWS Marketplace that the account has not accepted, and the errors of type, network and volumes.
    """
    earlier = [call.account.instances[i] for i in earlier_ids(call, "RunInstances") if i in call.account.instances]
    if earlier:
        return _reservation(call, earlier)
    params = call.params
    _check_modelled(params)
    count = int(params["MaxCount"])
    if not 1 <= int(params["MinCount"]) <= count:
        raise ApiError("InvalidParameterValue", "MinCount must be from 1 to MaxCount")
    image = _image(call)
    check_image_fits(str(params.get("InstanceType") or DEFAULT_TYPE), image.details)
    if params.get("KeyName"):
        networks.find(call, "key_pairs", str(params["KeyName"]))
    reservation_id = call.world.ids.resource("r")
    made: list[InstanceRecord] = []
    failures: list[str] = []
    try:
        for index in range(count):
            made.append(new_instance(call, image, reservation_id, index))
            failures.append(_launch_volumes(call, made[-1], _mappings(call, image)))
    except ApiError:
        for instance in made:
            _undo(call, instance)
        raise
    remember_ids(call, "RunInstances", [instance.id for instance in made])
    answer = _reservation(call, made)
    for instance, failure in zip(made, failures, strict=True):
        _start(call, instance, failure)
    return answer


def _check_modelled(params: Mapping[str, Any]) -> None:
    for name in NOT_MODELLED:
        if params.get(name):
            raise not_modelled(f"RunInstances with {name}")
    market = params.get("InstanceMarketOptions") or {}
    if market and market != {"MarketType": "spot"}:
        raise not_modelled(f"RunInstances with InstanceMarketOptions other than MarketType spot: {sorted(market)}")


def _image(call: Call) -> ImageRecord:
    if not call.params.get("ImageId"):
        raise missing("ImageId")
    image = find_image(call, str(call.params["ImageId"]))
    if state_of(call, image) != "available":
        raise ApiError("InvalidAMIID.Unavailable", f"The image ID '{image.id}' is not available")
    codes = [code["ProductCodeId"] for code in image.details.get("ProductCodes") or ()]
    if not set(codes) <= set(call.account.subscriptions):
        message = "In order to use this AWS Marketplace product you need to accept terms and subscribe."
        raise ApiError("OptInRequired", message, 401)
    return image


def _reservation(call: Call, instances: list[InstanceRecord]) -> Response:
    return {
        "ReservationId": instances[0].reservation_id,
        "OwnerId": call.account.account_id,
        "Groups": [],
        "Instances": [rendered(call, instance) for instance in instances],
    }


def tags_of(call: Call, kind: str) -> tuple[str, ...]:
    """Return the tags in a request for one kind of resource. Raise InvalidParameterValue for a kind that it does not make."""
    for specification in call.params.get("TagSpecifications") or ():
        if specification.get("ResourceType") not in TAGGED_KINDS:
            message = f"'{specification.get('ResourceType')}' is not a valid taggable resource type for this operation."
            raise ApiError("InvalidParameterValue", message)
        if specification.get("ResourceType") == kind:
            return flat(checked(specification.get("Tags") or (), call.account.quotas.tags_per_resource))
    return ()


def new_instance(call: Call, image: ImageRecord, reservation_id: str, index: int = 0) -> InstanceRecord:
    """Make an instance in state `pending`, with its network interface and without volumes."""
    params, account = call.params, call.account
    instance_type = str(params.get("InstanceType") or DEFAULT_TYPE)
    instance_id = call.world.ids.resource("i")
    details, attributes, tags = _details(call, image, instance_type), _attributes(params, image), tags_of(call, "instance")
    interface = _interface(call, instance_id)
    instance = InstanceRecord(
        seq=call.world.next_seq(),
        id=instance_id,
        owner_id=account.account_id,
        zone=interface["AvailabilityZone"],
        launched=call.now,
        root_device=image.root_device,
        image_id=image.id,
        type=instance_type,
        state="pending",
        tags=tags,
        reservation_id=reservation_id,
        launch_index=index,
        client_token=str(params.get("ClientToken") or ""),
        details=details,
        attributes=attributes,
        interface_ids=[interface["NetworkInterfaceId"]],
    )
    account.instances[instance.id] = instance
    rule = call.world.faults.hit("status_check_fails", call.world.now(), region=account.region, source_id=image.id)
    instance.check_fails = rule is not None
    return instance


def _interface(call: Call, instance_id: str) -> dict[str, Any]:
    params = call.params
    first: Mapping[str, Any] = next(iter(params.get("NetworkInterfaces") or ()), {})
    if len(params.get("NetworkInterfaces") or ()) > 1 or first.get("NetworkInterfaceId"):
        raise not_modelled("RunInstances with several network interfaces, or one that exists")
    subnet_id = str(first.get("SubnetId") or params.get("SubnetId") or "")
    zone = str((params.get("Placement") or {}).get("AvailabilityZone") or "")
    if subnet_id:
        subnet = networks.find(call, "subnets", subnet_id)
        if zone and zone != subnet["AvailabilityZone"]:
            raise ApiError("InvalidParameterValue", f"The subnet '{subnet_id}' is not in the zone '{zone}'.")
    else:
        subnet = networks.subnet_in_zone(call, zone or call.account.region + "a")
    group_ids = [str(group) for group in first.get("Groups") or params.get("SecurityGroupIds") or ()]
    group_ids += [_group_named(call, str(name), subnet["VpcId"]) for name in params.get("SecurityGroups") or ()]
    address = str(first.get("PrivateIpAddress") or params.get("PrivateIpAddress") or "")
    interface = networks.add_interface(call, instance_id, subnet["SubnetId"], group_ids, address)
    interface["Tags"] = as_list(tags_of(call, "network-interface"))
    return interface


def _group_named(call: Call, name: str, vpc_id: str) -> str:
    for group in call.account.security_groups.values():
        if group["GroupName"] == name and group["VpcId"] == vpc_id:
            return str(group["GroupId"])
    raise ApiError("InvalidGroup.NotFound", f"The security group '{name}' does not exist in VPC '{vpc_id}'")


def _details(call: Call, image: ImageRecord, instance_type: str) -> dict[str, Any]:
    params = call.params
    placement = params.get("Placement") or {}
    cores, threads = default_cpu(instance_type)
    details: dict[str, Any] = {
        **{name: image.details[name] for name in FROM_IMAGE if name in image.details},
        "Hypervisor": "xen",
        "CurrentInstanceBootMode": current_boot_mode(instance_type, str(image.details.get("BootMode") or "")),
        "EbsOptimized": bool(params.get("EbsOptimized", False)),
        "Monitoring": {"State": "enabled" if (params.get("Monitoring") or {}).get("Enabled") else "disabled"},
        "MetadataOptions": {**METADATA_DEFAULTS, **(params.get("MetadataOptions") or {})},
        "Placement": {
            "Tenancy": "default",
            **{name: value for name, value in placement.items() if name != "AvailabilityZone"},
        },
        "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": threads},
        **{name: params[name] for name in FROM_REQUEST if params.get(name)},
    }
    if params.get("KeyName"):
        details["KeyName"] = str(params["KeyName"])
    if params.get("InstanceMarketOptions"):
        details |= {"InstanceLifecycle": "spot", "SpotInstanceRequestId": call.world.ids.resource("sir")[:12]}
    profile = params.get("IamInstanceProfile") or {}
    if profile:
        name = str(profile.get("Name") or str(profile.get("Arn", "")).rpartition("/")[2])
        prefix = f"arn:{partition_of(call.account.region)}:iam::{call.account.account_id}:instance-profile"
        details["IamInstanceProfile"] = {"Arn": str(profile.get("Arn") or f"{prefix}/{name}"), "Id": f"AIPA{name.upper()}"}
    if image.details.get("TpmSupport") and not is_nitro(instance_type):
        raise ApiError("InvalidParameterCombination", f"NitroTPM is not supported by the instance type '{instance_type}'.")
    return details


def _attributes(params: Mapping[str, Any], image: ImageRecord) -> dict[str, Any]:
    behavior = str(params.get("InstanceInitiatedShutdownBehavior") or "stop")
    if behavior not in ("stop", "terminate"):
        raise invalid_value(behavior, "InstanceInitiatedShutdownBehavior")
    return {
        "DisableApiTermination": bool(params.get("DisableApiTermination")),
        "DisableApiStop": bool(params.get("DisableApiStop")),
        "InstanceInitiatedShutdownBehavior": behavior,
        "UserData": str(params.get("UserData") or ""),
        "CpuCredits": str((params.get("CreditSpecification") or {}).get("CpuCredits") or "standard"),
        "UefiData": str(image.details.get("UefiData") or ""),
    }


def _mappings(call: Call, image: ImageRecord) -> dict[str, dict[str, Any]]:
    """Return the volumes of a launch by device: those of the AMI, with the changes and additions of the request."""
    mappings: dict[str, dict[str, Any]] = {m["DeviceName"]: dict(m["Ebs"]) for m in image.mappings if m.get("Ebs")}
    for mapping in call.params.get("BlockDeviceMappings") or ():
        device, ebs = str(mapping["DeviceName"]), mapping.get("Ebs") or {}
        if mapping.get("NoDevice") is not None:
            mappings.pop(device, None)
            continue
        former = mappings.get(device, {})
        if ebs.get("VolumeType") not in (None, former.get("VolumeType")):
            former = {name: value for name, value in former.items() if name not in ("Iops", "Throughput")}
        if ebs.get("SnapshotId") not in (None, former.get("SnapshotId")):
            former = {name: value for name, value in former.items() if name != "VolumeSize"}
        mappings[device] = {**former, **ebs}
    if image.root_device not in mappings:
        raise ApiError("InvalidBlockDeviceMapping", f"The root device {image.root_device} has no mapping.")
    return mappings


def _launch_volumes(call: Call, instance: InstanceRecord, mappings: Mapping[str, dict[str, Any]]) -> str:
    """Make and attach the volumes; return why the launch will fail ("" if it will not)."""
    failure, tags = "", tags_of(call, "volume")
    for device, ebs in mappings.items():
        params: dict[str, Any] = {"AvailabilityZone": instance.zone, "Size": ebs.get("VolumeSize")}
        params.update({name: ebs[name] for name in OF_A_VOLUME if ebs.get(name) not in (None, "", False)})
        volume, refusal = volumes.make(Call(call.world, call.account, params, call.caller, call.now), {})
        volume.tags = tags
        # All volumes of a launch are deleted with the instance by default [EC2 API reference: TerminateInstances].
        volume.delete_on_termination = bool(ebs.get("DeleteOnTermination", True))
        if device == instance.root_device:
            instance.root_volume_ids.append(volume.id)
            volume.billing = volume.billing or billing_of(find_image(call, instance.image_id))
        failure = failure or refusal
        volumes.finish_creation(call.world, call.account, volume.id, "")
        attachments.attach(volume, instance, device, call.now)
    return failure


def _undo(call: Call, instance: InstanceRecord) -> None:
    for volume_id in instance.volume_ids:
        del call.account.volumes[volume_id]
    for interface_id in instance.interface_ids:
        del call.account.interfaces[interface_id]
    del call.account.instances[instance.id]


def _start(call: Call, instance: InstanceRecord, failure: str) -> None:
    seconds = call.world.speeds.instance_start_seconds
    if seconds:
        due = call.now - call.account.skew_seconds + seconds
        call.world.schedule(due, "instance start", call.account, instance.id, failure)
    else:
        finish_start(call.world, call.account, instance.id, failure)
