"""EBS of one region, read through EC2's describe calls: all pages, and only snapshots of the own account."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import GONE, pages
from snapkeep.domain.errors import SnapshotGone
from snapkeep.domain.model import KeyFault, LockState, Snapshot, SnapshotLock, SnapshotState, Volume, VolumeRole
from snapkeep.domain.records import replace
from snapkeep.domain.tag_names import MANAGED, ORIGINAL_VOLUME, SOURCE_SNAPSHOT
from snapkeep.domain.tags import describes_copy, is_arbitrary, names_origin, origin_of

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_LOCAL_ZONE = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d+-[a-z]+-\d+[a-z]$")
"""`us-west-2-lax-1a`; an Availability Zone is `us-west-1a` (botocore: ec2 2016-11-15, Snapshot)."""
PAGE = 1000
"""MaxResults of DescribeSnapshots, DescribeVolumes, DescribeInstances and DescribeImages: up to 1000 (EC2 API reference)."""
FILTER_VALUES = 200
"""The most values of one filter (EC2 API reference: Filter)."""
LOCK_PAGE = 1000
"""MaxResults of DescribeLockedSnapshots: 5 to 1000 (botocore: ec2 2016-11-15)."""
FaultOfKey = Callable[[str], KeyFault | None]
"""Returns why a KMS key, given by its ARN, cannot be used; None if it can."""
SnapshotFrom = Callable[[Mapping[str, Any], str], Snapshot]
"""Returns the snapshot of an item of DescribeSnapshots and a region: `snapshot_from`, or a cached form of it."""


class Ec2Reader:
    """`SnapshotReader` over an EC2 client of one region."""

    def __init__(
        self,
        *,
        client: EC2Client,
        region: str,
        fault_of_key: FaultOfKey | None = None,
        convert: SnapshotFrom | None = None,
    ) -> None:
        """`fault_of_key` checks the KMS keys of completed snapshots; without it, their `key_fault` is None."""
        self._client = client
        self.region = region
        self._fault_of_key = fault_of_key
        self._convert = convert or snapshot_from

    def volumes(self, volume_ids: Collection[str]) -> dict[str, Volume]:
        """Return the volumes that exist, by id. A filter, unlike `VolumeIds`, ignores missing ones."""
        volumes = chain.from_iterable(self._volumes([having("volume-id", ids)]) for ids in batches(volume_ids))
        return {volume.id: volume for volume in volumes}

    def volume_items(self, volume_ids: Collection[str]) -> Iterator[Mapping[str, Any]]:
        """Return the volumes that exist, in the form of DescribeVolumes."""
        for ids in batches(volume_ids):
            yield from self._pages("describe_volumes", "Volumes", {"Filters": [having("volume-id", ids)], "MaxResults": PAGE})

    def instances(self, name: str, values: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Return the instances that a filter of DescribeInstances finds, by id, in the form of the call."""
        instances: dict[str, Mapping[str, Any]] = {}
        for some in batches(values):
            query = {"Filters": [having(name, some)], "MaxResults": PAGE}
            for reservation in self._pages("describe_instances", "Reservations", query):
                instances |= {item["InstanceId"]: item for item in reservation.get("Instances", ())}
        return instances

    def all_volumes(self) -> Iterator[Volume]:
        """Return every volume of the region."""
        return self._volumes([])

    def snapshots(self, snapshot_ids: Collection[str]) -> dict[str, Snapshot]:
        """Return the snapshots that exist, by id."""
        return {snapshot.id: snapshot for snapshot in self._snapshots_with("snapshot-id", snapshot_ids)}

    def owner_of(self, snapshot_id: str) -> str:
        """Return the account that owns a snapshot, which may be another one; empty if the snapshot is not visible.

        The request is by id: a filter without an owner would search every public snapshot of the region.
        """
        items = self._pages("describe_snapshots", "Snapshots", {"SnapshotIds": [snapshot_id]})
        return next((str(item["OwnerId"]) for item in items), "")

    def snapshots_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        """Return all snapshots of volumes of this region that were made here, in any state."""
        return self._snapshots_with("volume-id", volume_ids)

    def copies_of_volumes(self, volume_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies here of source volumes' snapshots, by Snapkeep and by the original system."""
        tagged = self._snapshots_with(f"tag:{ORIGINAL_VOLUME}", volume_ids)
        return [snapshot for snapshot in tagged if snapshot.is_copy and snapshot.origin.volume_id in volume_ids]

    def copies_of_snapshots(self, snapshot_ids: Collection[str]) -> list[Snapshot]:
        """Return the copies here of source snapshots, by tag, in any state."""
        return [snapshot for snapshot in self._snapshots_with(f"tag:{SOURCE_SNAPSHOT}", snapshot_ids) if snapshot.is_copy]

    def tagged_snapshots(self, keys: Collection[str]) -> list[Snapshot]:
        """Return the snapshots here that have a tag with one of these keys."""
        return self._snapshots_with("tag-key", keys)

    def all_snapshots(self) -> Iterator[Snapshot]:
        """Return every snapshot that the account owns in the region."""
        return self._snapshots([])

    def managed_snapshots(self, system: str) -> Iterator[Snapshot]:
        """Return every snapshot with a system's tag."""
        return self._snapshots([having(f"tag:{MANAGED}", [system])])

    def copies_in_flight(self) -> list[Snapshot]:
        """Return every pending copy in this region, including those by others."""
        return [snapshot for snapshot in self._snapshots([having("status", ["pending"])]) if snapshot.is_copy]

    def images_using(self, snapshot_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the AMIs that use each snapshot; disabled AMIs hold their snapshots too.

        If there are more ids than one filter takes, the account's AMIs are listed instead, which are far fewer than its
        snapshots.
        """
        requested_ids = set(snapshot_ids)
        if not requested_ids:
            return {}
        users = self._images(
            [having("block-device-mapping.snapshot-id", sorted(requested_ids))] if len(requested_ids) <= FILTER_VALUES else []
        )
        return {snapshot_id: images for snapshot_id, images in users.items() if snapshot_id in requested_ids}

    def locks(self, snapshot_ids: Collection[str]) -> dict[str, SnapshotLock]:
        """Return the lock of each snapshot; an expired one is none.

        If there are more ids than one request takes, or a snapshot was deleted in the meantime, all locks of the region are
        listed instead.
        """
        requested_ids = set(snapshot_ids)
        if not requested_ids:
            return {}
        if len(requested_ids) <= FILTER_VALUES:
            with suppress(SnapshotGone):
                return self._locks({"SnapshotIds": sorted(requested_ids)})
        return {snapshot_id: lock for snapshot_id, lock in self.all_locks().items() if snapshot_id in requested_ids}

    def all_images(self) -> dict[str, tuple[str, ...]]:
        """Return the AMIs of this account that use each snapshot of the region."""
        return self._images([])

    def all_locks(self) -> dict[str, SnapshotLock]:
        """Return the lock of each locked snapshot of the region."""
        return self._locks({"MaxResults": LOCK_PAGE})

    def _locks(self, request: Mapping[str, Any]) -> dict[str, SnapshotLock]:
        # A missing id is an error, and not an empty page: no other snapshot of the request may seem to be unlocked.
        listing = pages(self._client, "describe_locked_snapshots", request, f"describe_locked_snapshots in {self.region}")
        locks = chain.from_iterable(page.get("Snapshots", ()) for page in listing)
        return {lock["SnapshotId"]: _lock_from(lock) for lock in locks if lock.get("LockState") != "expired"}

    def _images(self, filters: list[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
        users: dict[str, set[str]] = {}
        query = {"Owners": ["self"], "IncludeDisabled": True, "IncludeDeprecated": True, "Filters": filters, "MaxResults": PAGE}
        for image in self._pages("describe_images", "Images", query):
            for mapping in image.get("BlockDeviceMappings", []):
                if snapshot_id := mapping.get("Ebs", {}).get("SnapshotId"):
                    users.setdefault(snapshot_id, set()).add(image["ImageId"])
        return {snapshot_id: tuple(sorted(images)) for snapshot_id, images in users.items()}

    def _volumes(self, filters: list[Mapping[str, Any]]) -> Iterator[Volume]:
        items = list(self._pages("describe_volumes", "Volumes", {"Filters": filters, "MaxResults": PAGE}))
        # The image names the root device, and no list has all such names.
        attached = {attachment["InstanceId"] for item in items for attachment in attachments_of(item)}
        instances = self.instances("instance-id", attached)
        return (volume_from(item, self.region, instances) for item in items)

    def _snapshots_with(self, name: str, values: Collection[str]) -> list[Snapshot]:
        return list(chain.from_iterable(self._snapshots([having(name, batch)]) for batch in batches(values)))

    def _snapshots(self, filters: list[Mapping[str, Any]]) -> Iterator[Snapshot]:
        query = {"OwnerIds": ["self"], "Filters": filters, "MaxResults": PAGE}
        snapshots = (self._convert(item, self.region) for item in self._pages("describe_snapshots", "Snapshots", query))
        return snapshots if self._fault_of_key is None else map(partial(_with_key_fault, self._fault_of_key), snapshots)

    def _pages(self, operation: str, items: str, query: Mapping[str, Any]) -> Iterator[Any]:
        request = {key: value for key, value in query.items() if value != []}
        listing = pages(self._client, operation, request, f"{operation} in {self.region}", nothing=GONE)
        return chain.from_iterable(page.get(items, ()) for page in listing)


def _lock_from(item: Mapping[str, Any]) -> SnapshotLock:
    return SnapshotLock(LockState(item["LockState"]), item.get("LockExpiresOn"), item.get("LockDuration") or 0)


def batches(ids: Collection[str]) -> Iterator[list[str]]:
    """Return sorted ids in lists for one filter each."""
    ordered = sorted(ids)
    for first in range(0, len(ordered), FILTER_VALUES):
        yield ordered[first : first + FILTER_VALUES]


def having(name: str, values: Iterable[str]) -> Any:
    """Return a filter of a describe call: each result has one of these values."""
    return {"Name": name, "Values": list(values)}


def tagged(tags: Mapping[str, str]) -> list[Any]:
    """Return filters of a describe call: each result has all of these tags."""
    return [having(f"tag:{key}", [value]) for key, value in tags.items()]


def tags_from(item: Mapping[str, Any]) -> dict[str, str]:
    """Return a described resource's tags as a dict."""
    return {tag["Key"]: tag.get("Value", "") for tag in item.get("Tags") or ()}


def snapshot_from(item: Mapping[str, Any], region: str) -> Snapshot:
    """Return the snapshot that EC2 describes.

    A copy has an arbitrary volume id (EBS user guide, "Copy a snapshot": such as vol-ffff or vol-ffffffff) and a TransferType
    (botocore: ec2 2016-11-15, Snapshot). Tags alone are no evidence of a copy: a volume that is made from a copy, and its
    snapshots, often get the copy's tags, although their data is their own. A copy is managed only if its description names a
    source in another region, and its tags name the same source. Other tools copy all tags ("Copying tags onto backups", AWS
    Backup developer guide), and their copies have arbitrary volume ids.
    """
    tags, description, start = tags_from(item), item.get("Description", ""), item["StartTime"]
    snapshot_id, volume_id, progress = item["SnapshotId"], item.get("VolumeId", ""), item.get("Progress", "")
    is_copy = bool(item.get("TransferType")) or is_arbitrary(volume_id) or describes_copy(tags, description)
    evidence = (tags, description) if is_copy else ({}, "")
    origin = origin_of(snapshot_id, region, volume_id, start, *evidence)
    if is_copy and (origin.region == region or not names_origin(tags, origin)):
        tags.pop(MANAGED, None)
    return Snapshot(
        id=snapshot_id,
        region=region,
        state=SnapshotState(item["State"]),
        start_time=start,
        origin=origin,
        size_gib=item.get("VolumeSize", 0),
        tags=tags,
        encrypted=bool(item.get("Encrypted")),
        kms_key_id=item.get("KmsKeyId", ""),
        state_message=item.get("StateMessage", ""),
        progress_percent=100 if progress == "100%" else int(progress.rstrip("%") or 0),
        is_copy=is_copy,
        completed_at=item.get("CompletionTime"),
        not_copyable=_why_not_copyable(item),
        archived=_is_archived(item),
        completion_minutes=item.get("CompletionDurationMinutes") or 0,
    )


def _with_key_fault(fault_of_key: FaultOfKey, snapshot: Snapshot) -> Snapshot:
    """Return a snapshot with the fault of its key; unchanged if it is not completed, because EC2 shows its state."""
    if not snapshot.kms_key_id or not snapshot.completed:
        return snapshot
    fault = fault_of_key(snapshot.kms_key_id)
    return replace(snapshot, key_fault=fault) if fault else snapshot


def _is_archived(item: Mapping[str, Any]) -> bool:
    """Whether a snapshot is archived, and not temporarily restored (botocore: ec2 2016-11-15, Snapshot.RestoreExpiryTime)."""
    return item.get("StorageTier") == "archive" and not item.get("RestoreExpiryTime")


def attachments_of(item: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the attachments to instances; an attachment to another AWS resource has no instance (botocore: VolumeAttachment)."""
    return [attachment for attachment in item.get("Attachments") or () if attachment.get("InstanceId")]


def _why_not_copyable(item: Mapping[str, Any]) -> str:
    """Return why EC2 does not copy a snapshot to another region, in words; empty if it does.

    EC2 copies a snapshot in a Local Zone only within the zone group and to the parent region, and a snapshot on an Outpost not
    at all (botocore: ec2 2016-11-15, CopySnapshot).
    """
    if item.get("OutpostArn"):
        return f"it is on an Outpost, {item['OutpostArn']}"
    zone = item.get("AvailabilityZone") or ""
    return f"it is in the Local Zone {zone}" if zone and _LOCAL_ZONE.match(zone) else ""


def volume_from(item: Mapping[str, Any], region: str, instances: Mapping[str, Mapping[str, Any]]) -> Volume:
    """Return the volume that EC2 describes, given the instances in the form of DescribeInstances."""
    attachments = attachments_of(item)
    instance_ids = sorted(attachment["InstanceId"] for attachment in attachments)
    is_root = any(
        attachment.get("Device") == instances.get(attachment["InstanceId"], {}).get("RootDeviceName", "")
        for attachment in attachments
    )
    attached_as = VolumeRole.ROOT if is_root else VolumeRole.DATA
    return Volume(
        id=item["VolumeId"],
        region=region,
        size_gib=item.get("Size", 0),
        volume_type=item.get("VolumeType", ""),
        encrypted=bool(item.get("Encrypted")),
        role=attached_as if attachments else VolumeRole.UNATTACHED,
        instance_ids=tuple(instance_ids),
        instance_tags=tuple(tags_from(instances.get(instance_id, {})) for instance_id in instance_ids),
        zone=item.get("AvailabilityZone", ""),
        tags=tags_from(item),
    )
