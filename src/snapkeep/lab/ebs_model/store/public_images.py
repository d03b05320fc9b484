"""Public AMIs, in every region: one for each kind of instance.

The ids of Amazon's AMIs are those of the examples in AWS's documentation; on AWS each Region has its own ids. Accounts that
accepted its product can launch the AMI of AWS Marketplace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snapkeep.lab.ebs_model.store.records import ImageRecord

LINUX = ("Linux/UNIX", "RunInstances")
WINDOWS = ("Windows", "RunInstances:0002")
RHEL = ("Red Hat Enterprise Linux", "RunInstances:0010")
AMAZON, MARKETPLACE = "801119661308", "679593333241"
OWNER_ALIASES = {AMAZON: "amazon", MARKETPLACE: "aws-marketplace"}
PUBLIC_LINUX = "ami-0abcdef1234567890"
PRODUCT = "8vfl2jnlgr1v6zpqm5m8ac3zz"
"""The product code of the AMI of AWS Marketplace."""


def _image(
    seq: int, image_id: str, name: str, root: str, size_gib: int, details: Mapping[str, Any], owner_id: str = AMAZON
) -> ImageRecord:
    return ImageRecord(
        seq=seq,
        id=image_id,
        owner_id=owner_id,
        name=name,
        created=1_700_000_000.0,
        root_device=root,
        mappings=[{"DeviceName": root, "Ebs": {"DeleteOnTermination": True, "VolumeSize": size_gib, "VolumeType": "gp3"}}],
        public=True,
        details={"VirtualizationType": "hvm", "EnaSupport": True, "SriovNetSupport": "simple", **details},
    )


def _billed(billing: tuple[str, str]) -> dict[str, Any]:
    return {"PlatformDetails": billing[0], "UsageOperation": billing[1]}


PUBLIC_IMAGES: Mapping[str, ImageRecord] = {
    image.id: image
    for image in (
        _image(
            -6, PUBLIC_LINUX, "al2023-ami-x86_64", "/dev/xvda", 8,
            {"Architecture": "x86_64", "BootMode": "uefi-preferred", **_billed(LINUX)},
        ),
        _image(
            -5, "ami-12345678", "amzn2-ami-hvm-x86_64", "/dev/xvda", 8, {"Architecture": "x86_64", **_billed(LINUX)}
        ),
        _image(
            -4, "ami-0123456789abcdef0", "al2023-ami-arm64", "/dev/xvda", 8,
            {"Architecture": "arm64", "BootMode": "uefi", **_billed(LINUX)},
        ),
        _image(
            -3, "ami-0abcdef1234567892", "Windows_Server-2022-English-Full-Base", "/dev/sda1", 30,
            {"Architecture": "x86_64", "BootMode": "uefi", "TpmSupport": "v2.0", "Platform": "windows", **_billed(WINDOWS)},
        ),
        _image(
            -2, "ami-0abcdef1234567893", "RHEL-9-x86_64", "/dev/sda1", 10,
            {"Architecture": "x86_64", "BootMode": "uefi-preferred", **_billed(RHEL)},
        ),
        _image(
            -1, "ami-0abcdef1234567894", "marketplace-database", "/dev/sda1", 8,
            {
                "Architecture": "x86_64",
                "ProductCodes": [{"ProductCodeId": PRODUCT, "ProductCodeType": "marketplace"}],
                **_billed(LINUX),
            },
            MARKETPLACE,
        ),
    )
}  # fmt: skip
