"""EC2: regions, settings of EBS, dry runs, and the systems of managed snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, pages, translated
from snapkeep.adapters.ec2_reader import PAGE, having
from snapkeep.domain.tag_names import MANAGED

READS = ("describe_snapshots", "describe_volumes", "describe_instances", "describe_images", "describe_locked_snapshots")
"""The calls of `status`, `plan` and `explain`."""
_WOULD_SUCCEED, _DENIED = "DryRunOperation", "UnauthorizedOperation"


class Ec2Facts:
    """EC2 in one region."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def opt_in_status(self, region: str) -> str:
        """Return whether the account uses a region (botocore: DescribeRegions, OptInStatus); empty if there is no such region."""
        request, unknown = {"RegionNames": [region], "AllRegions": True}, ("InvalidParameterValue",)
        answers = pages(self._client, "describe_regions", request, f"describe_regions {region}", nothing=unknown)
        return next((str(described["OptInStatus"]) for answer in answers for described in answer["Regions"]), "")

    def denied_reads(self) -> Sequence[str]:
        """Return the reading actions that a dry run refuses (EC2 API reference: DryRun)."""
        return [action for operation in READS if (action := self._denied(operation))]

    def _denied(self, operation: str) -> str:
        with translated(f"{operation} (dry run)"):
            try:
                getattr(self._client, operation)(DryRun=True)
            except ClientError as error:
                code = code_of(error)
                if code == _DENIED:
                    return "ec2:" + "".join(word.capitalize() for word in operation.split("_"))
                if code != _WOULD_SUCCEED:
                    raise
        return ""

    def block_public_access(self) -> str:
        """Return the state of block public access for snapshots."""
        with translated("get_snapshot_block_public_access_state"):
            return str(self._client.get_snapshot_block_public_access_state()["State"])

    def encrypts_by_default(self) -> bool:
        """Return whether EBS encrypts by default."""
        with translated("get_ebs_encryption_by_default"):
            return bool(self._client.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])

    def managed_snapshots(self) -> Mapping[str, int]:
        """Return the number of the account's snapshots by system."""
        request = {"OwnerIds": ["self"], "Filters": [having("tag-key", [MANAGED])], "MaxResults": PAGE}
        return Counter(
            tag["Value"]
            for page in pages(self._client, "describe_snapshots", request, "describe_snapshots")
            for snapshot in page["Snapshots"]
            for tag in snapshot["Tags"]
            if tag["Key"] == MANAGED
        )
