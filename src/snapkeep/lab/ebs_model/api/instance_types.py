"""Instance types: DescribeInstanceTypes, DescribeInstanceTypeOfferings, and the requirements of a type for AMIs.

Sources: [EC2 user guide: Amazon EC2 boot modes; enhanced networking with ENA; instance types]. The generation and the letters
of a family determine its properties (`m7g`: generation 7, Graviton); the few families before Nitro are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError, not_modelled
from snapkeep.lab.ebs_model.requests.call import Call, Response
from snapkeep.lab.ebs_model.requests.filters import flat_tags_of, parsed, tests_for
from snapkeep.lab.ebs_model.requests.response_filters import readers

BEFORE_NITRO = (
    "t1", "t2", "m1", "m2", "m3", "m4", "c1", "c3", "c4", "cc2", "cr1", "r3", "r4", "i2", "i3", "d2", "g2", "g3", "g3s",
    "p2", "p3", "h1", "hs1", "f1", "x1", "x1e",
)  # fmt: skip
_FAMILY = re.compile(r"^([a-z]+)(\d+)([a-z-]*)")
DEFAULT_TYPE = "m1.small"
OFFERING_FIELDS = readers("instance-type location")
_SIZE = re.compile(r"^(nano|micro|small|medium|large|\d*xlarge|metal)$")
_VCPUS = {"nano": 1, "micro": 1, "small": 1, "medium": 1, "large": 2, "xlarge": 4, "metal": 96}


def is_nitro(instance_type: str) -> bool:
    """Return whether a type is built on the Nitro System: it needs ENA and HVM."""
    return instance_type.split(".", maxsplit=1)[0] not in BEFORE_NITRO


def architecture_of(instance_type: str) -> str:
    """Return `arm64` for Graviton, else `x86_64`."""
    match = _FAMILY.match(instance_type.split(".", maxsplit=1)[0])
    graviton = match is not None and (match.group(1) == "a" or match.group(3).startswith("g"))
    return "arm64" if graviton else "x86_64"


def current_boot_mode(instance_type: str, boot_mode: str) -> str:
    """Return the boot mode that an instance starts with: the AMI's, or the type's default."""
    nitro = is_nitro(instance_type)
    if boot_mode == "uefi" or (boot_mode == "uefi-preferred" and nitro):
        return "uefi"
    return "uefi" if architecture_of(instance_type) == "arm64" else "legacy-bios"


def check_image_fits(instance_type: str, image: Mapping[str, Any]) -> None:
    """Raise an error if a type cannot be launched from an AMI with these properties."""
    if not re.match(r"^[a-z0-9-]+\.[a-z0-9-]+$", instance_type):
        raise ApiError("InvalidParameterValue", f"Invalid value '{instance_type}' for InstanceType.")
    architecture, nitro = architecture_of(instance_type), is_nitro(instance_type)
    if image["Architecture"] != architecture and not (image["Architecture"] == "i386" and not nitro):
        message = (
            f"The architecture '{architecture}' of the specified instance type does not match the architecture "
            f"'{image['Architecture']}' of the specified AMI. "
            "Specify an instance type and an AMI that have matching architectures."
        )
        raise ApiError("InvalidParameterValue", message)
    if nitro and image["VirtualizationType"] != "hvm":
        message = f"The instance type '{instance_type}' requires the virtualization type 'hvm'."
        raise ApiError("InvalidParameterCombination", message)
    if nitro and not image.get("EnaSupport"):
        message = (
            f"Enhanced networking with the Elastic Network Adapter (ENA) is required for the '{instance_type}' instance type. "
            "Ensure that you are using an AMI that is enabled for ENA."
        )
        raise ApiError("InvalidParameterCombination", message)
    if image.get("BootMode") == "uefi" and not nitro:
        message = f"The instance type '{instance_type}' does not support an AMI with a boot mode of UEFI."
        raise ApiError("InvalidParameterValue", message)
    if image.get("BootMode") == "legacy-bios" and architecture == "arm64":
        message = f"The instance type '{instance_type}' does not support an AMI with a boot mode of Legacy BIOS."
        raise ApiError("InvalidParameterValue", message)


def exists(instance_type: str) -> bool:
    """Return whether the model knows a type: a family with its generation, and a size."""
    family, _, size = instance_type.partition(".")
    return bool(_FAMILY.match(family) and _SIZE.match(size))


def default_cpu(instance_type: str) -> tuple[int, int]:
    """Return the cores of a type, and the threads of each core: one on Graviton and T2, else two."""
    family, _, size = instance_type.partition(".")
    vcpus = _VCPUS.get(size) or 4 * int(size.removesuffix("xlarge"))
    if family.startswith("t") and family != "t2":
        vcpus = max(vcpus, 2)
    threads = 1 if vcpus == 1 or family == "t2" or architecture_of(instance_type) == "arm64" else 2
    return vcpus // threads, threads


def describe_instance_types(call: Call) -> Response:
    """DescribeInstanceTypes, of the types that are named. Raise InvalidInstanceType."""
    names = [str(name) for name in call.params.get("InstanceTypes") or ()]
    if not names:
        raise not_modelled("DescribeInstanceTypes without InstanceTypes")
    unknown = [name for name in names if not exists(name)]
    if unknown:
        raise ApiError("InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]")
    return {"InstanceTypes": [_rendered(name) for name in names]}


def _rendered(instance_type: str) -> dict[str, Any]:
    nitro, architecture = is_nitro(instance_type), architecture_of(instance_type)
    cores, threads = default_cpu(instance_type)
    boot_modes = ["uefi"] if architecture == "arm64" else ["legacy-bios", "uefi"] if nitro else ["legacy-bios"]
    return {
        "InstanceType": instance_type,
        "Hypervisor": "nitro" if nitro else "xen",
        "ProcessorInfo": {"SupportedArchitectures": [architecture] if nitro else ["i386", architecture]},
        "VCpuInfo": {"DefaultVCpus": cores * threads, "DefaultCores": cores, "DefaultThreadsPerCore": threads},
        "NetworkInfo": {"EnaSupport": "required" if nitro else "unsupported"},
        "SupportedBootModes": boot_modes,
        "SupportedVirtualizationTypes": ["hvm"] if nitro else ["hvm", "paravirtual"],
        "NitroTpmSupport": "supported" if nitro else "unsupported",
        "BurstablePerformanceSupported": instance_type.startswith("t"),
    }


def describe_instance_type_offerings(call: Call) -> Response:
    """DescribeInstanceTypeOfferings, of the types that a filter names: the model's regions and zones offer all of them."""
    kind, filters = str(call.params.get("LocationType") or "region"), parsed(call.params.get("Filters"))
    names = [name for key, values in filters if key == "instance-type" for name in values]
    if not names or kind not in ("region", "availability-zone"):
        raise not_modelled("DescribeInstanceTypeOfferings without the filter instance-type, or of other locations")
    region = call.account.region
    locations = [region] if kind == "region" else [region + letter for letter in "abc"]
    offerings = [
        {"InstanceType": name, "LocationType": kind, "Location": location}
        for name in names
        if exists(name)
        for location in locations
    ]
    tests = tests_for(filters, OFFERING_FIELDS, flat_tags_of)
    return {"InstanceTypeOfferings": [offering for offering in offerings if all(test(offering) for test in tests)]}
