"""The snapshots that other accounts share with this one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import GONE, pages
from snapkeep.adapters.ec2_reader import PAGE, batches, having, snapshot_from
from snapkeep.usecases.copies.pull import SharedSnapshot, Shares

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class Ec2Shares(Shares):
    """`Shares` over an EC2 client of the region in which the snapshots are shared."""

    def __init__(self, *, client: EC2Client, region: str, owners: Collection[str]) -> None:
        """`owners` are the accounts whose shared snapshots count, at least one."""
        self._client = client
        self._region = region
        self._owners = sorted(owners)

    def shared(self, snapshot_ids: Collection[str] = ()) -> list[SharedSnapshot]:
        """Return the shared snapshots, of these ids or all, of the allowed owners.

        `self` in RestorableByUserIds: those "for which you own or have explicit permissions" (EC2 API reference:
        DescribeSnapshots); public ones are not included.
        """
        filters: list[list[Any]] = [[]]
        if snapshot_ids:
            filters = [[having("snapshot-id", ids)] for ids in batches(snapshot_ids)]
        return [
            SharedSnapshot(snapshot_from(item, self._region), item["OwnerId"]) for some in filters for item in self._items(some)
        ]

    def _items(self, filters: list[Any]) -> list[Any]:
        query = {"OwnerIds": self._owners, "RestorableByUserIds": ["self"], "MaxResults": PAGE}
        if filters:
            query["Filters"] = filters
        doing = f"describe_snapshots that are shared in {self._region}"
        answers = pages(self._client, "describe_snapshots", query, doing, nothing=GONE)
        items = [item for page in answers for item in page.get("Snapshots", ())]
        # The vault's safety depends on the owner, so it is checked besides EC2's filter.
        return [item for item in items if item.get("OwnerId") in self._owners]
