"""Requirements of an instance type on an AMI: its architecture, ENA, HVM, and a boot mode.

Sources: [EC2 user guide: Amazon EC2 boot modes; enhanced networking with ENA; instance types]. The generation and letters
of a family say it (`m7g`: generation 7, Graviton); the few families before Nitro are listed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.errors import ApiError

BEFORE_NITRO = (
    "t1", "t2", "m1", "m2", "m3", "m4", "c1", "c3", "c4", "cc2", "cr1", "r3", "r4", "i2", "i3", "d2", "g2", "g3", "g3s",
    "p2", "p3", "h1", "hs1", "f1", "x1", "x1e",
)  # fmt: skip
_FAMILY = re.compile(r"^([a-z]+)(\d+)([a-z-]*)")
DEFAULT_TYPE = "m1.small"


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
    """Raise when a type cannot be launched from an AMI of these properties."""
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
