"""ARNs of EC2's resources, in the three documented shapes.

- ``A`` ``arn:aws:ec2::REGION:snapshot/ID`` (the current page's create, copy, share and lock events)
- ``B`` ``arn:aws:ec2:REGION::snapshot/ID`` (2022's create and copy; archive and restore)
- ``C`` ``arn:aws:ec2:REGION:ACCOUNT:snapshot/ID`` (Missed Completion Duration; volumes)

Sources: [EBS user guide: EventBridge events]; [EC2 user guide: monitor snapshot archiving].
"""

from __future__ import annotations


def partition_of(region: str) -> str:
    """Return the partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(shape: str, region: str, account_id: str, resource: str) -> str:
    """Return an ARN in one of the shapes; the resource is `snapshot/ID` or `volume/ID`."""
    prefix = f"arn:{partition_of(region)}:ec2"
    if shape == "A":
        return f"{prefix}::{region}:{resource}"
    if shape == "B":
        return f"{prefix}:{region}::{resource}"
    return f"{prefix}:{region}:{account_id}:{resource}"
