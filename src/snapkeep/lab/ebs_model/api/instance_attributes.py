"""DescribeInstanceAttribute, ModifyInstanceAttribute, and two more actions of an instance.

Source: [EC2 API reference], botocore.
"""

from __future__ import annotations

from typing import Any

from snapkeep.lab.ebs_model.api import networks
from snapkeep.lab.ebs_model.api.describe_instances import rendered
from snapkeep.lab.ebs_model.api.instance_types import check_image_fits
from snapkeep.lab.ebs_model.errors import ApiError, invalid_value
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.store.records import InstanceRecord

KEPT = {
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "userData": "UserData",
}
SHOWN = {
    "instanceType": "InstanceType",
    "kernel": "KernelId",
    "ramdisk": "RamdiskId",
    "rootDeviceName": "RootDeviceName",
    "sourceDestCheck": "SourceDestCheck",
    "ebsOptimized": "EbsOptimized",
    "sriovNetSupport": "SriovNetSupport",
    "enaSupport": "EnaSupport",
}
WHILE_STOPPED = ("InstanceType", "UserData", "EbsOptimized", "SriovNetSupport", "EnaSupport")


def describe_attribute(call: Call) -> Response:
    """DescribeInstanceAttribute. Raise InvalidParameterValue on an attribute of none."""
    instance, attribute = call.instance(str(call.params["InstanceId"])), str(call.params["Attribute"])
    shown = rendered(call, instance)
    answer: Response = {"InstanceId": instance.id}
    if attribute in KEPT:
        value = instance.attributes.get(KEPT[attribute])
        answer[KEPT[attribute]] = {"Value": value} if value not in (None, "") else {}
    elif attribute in SHOWN:
        name = SHOWN[attribute]
        answer[name] = {"Value": shown[name]} if shown.get(name) is not None else {}
    elif attribute == "blockDeviceMapping":
        answer["BlockDeviceMappings"] = shown["BlockDeviceMappings"]
    elif attribute == "productCodes":
        answer["ProductCodes"] = shown.get("ProductCodes", [])
    elif attribute == "groupSet":
        answer["Groups"] = shown["SecurityGroups"]
    elif attribute == "enclaveOptions":
        answer["EnclaveOptions"] = shown.get("EnclaveOptions", {"Enabled": False})
    else:
        raise invalid_value(attribute, "attribute")
    return answer


def modify_attribute(call: Call) -> Response:
    """ModifyInstanceAttribute, in the form with one parameter for each attribute.

    Raise IncorrectInstanceState for an attribute that can change only while the instance is stopped.
    """
    instance, params = call.instance(str(call.params["InstanceId"])), call.params
    for name in WHILE_STOPPED:
        if params.get(name) is not None and instance.state != "stopped":
            raise ApiError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
    if params.get("InstanceType") is not None:
        kind = str(params["InstanceType"]["Value"])
        check_image_fits(kind, instance.details)
        instance.type = kind
    for name in ("EbsOptimized", "EnaSupport"):
        if params.get(name) is not None:
            instance.details[name] = bool(params[name]["Value"])
    if params.get("SriovNetSupport") is not None:
        instance.details["SriovNetSupport"] = str(params["SriovNetSupport"]["Value"])
    for name in KEPT.values():
        if params.get(name) is not None:
            instance.attributes[name] = _plain(params[name]["Value"])
    _modify_network(call, instance)
    for mapping in params.get("BlockDeviceMappings") or ():
        _modify_mapping(call, instance, mapping)
    return {}


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _modify_network(call: Call, instance: InstanceRecord) -> None:
    interfaces = [call.account.interfaces[interface_id] for interface_id in instance.interface_ids]
    check, group_ids = call.params.get("SourceDestCheck"), call.params.get("Groups")
    groups = [networks.find(call, "security_groups", str(group_id)) for group_id in group_ids or ()]
    for interface in interfaces:
        if check is not None:
            interface["SourceDestCheck"] = bool(check["Value"])
        if groups:
            interface["Groups"] = [{"GroupId": group["GroupId"], "GroupName": group["GroupName"]} for group in groups]


def _modify_mapping(call: Call, instance: InstanceRecord, mapping: Any) -> None:
    for volume in (call.account.volumes[volume_id] for volume_id in instance.volume_ids):
        if volume.device == mapping["DeviceName"]:
            volume.delete_on_termination = bool((mapping.get("Ebs") or {}).get("DeleteOnTermination"))
            return
    raise ApiError("InvalidInstanceAttributeValue", f"No device is currently mapped at {mapping['DeviceName']}")


def describe_credit_specifications(call: Call) -> Response:
    """DescribeInstanceCreditSpecifications: only of burstable instances."""
    ids = [str(instance_id) for instance_id in call.params.get("InstanceIds") or call.account.instances]
    instances = [call.instance(instance_id) for instance_id in ids]
    return {
        "InstanceCreditSpecifications": [
            {"InstanceId": instance.id, "CpuCredits": instance.attributes.get("CpuCredits", "standard")}
            for instance in instances
            if instance.type.startswith("t")
        ]
    }


def get_uefi_data(call: Call) -> Response:
    """GetInstanceUefiData: only of an instance that boots by UEFI. Raise UnsupportedOperation for another."""
    instance = call.instance(str(call.params["InstanceId"]))
    if instance.details.get("CurrentInstanceBootMode") != "uefi":
        raise ApiError("UnsupportedOperation", f"The instance '{instance.id}' does not boot with UEFI.")
    return {"InstanceId": instance.id, "UefiData": instance.attributes.get("UefiData", "")}
