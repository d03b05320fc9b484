"""The volumes of a recovery, made, attached and removed by EC2, with dry runs of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import THROTTLED, accepted, code_of, dry_run, message_of, pages, translated
from snapkeep.adapters.ec2_reader import attachments_of, batches, having, tagged, tags_from
from snapkeep.adapters.ec2_writers import tag_list, tag_specifications
from snapkeep.domain.errors import AwsRefused, SnapkeepError
from snapkeep.domain.recovery.places import DEVICES, InstancePlace
from snapkeep.domain.recovery.rates import RATE
from snapkeep.domain.recovery.region_quotas import GIB_IN_TIB, STORAGE_QUOTAS, RegionQuotas
from snapkeep.domain.tag_names import RECOVERY
from snapkeep.usecases.recovery.states import Attachment, VolumeState

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

_GONE = ("InvalidVolume.NotFound",)
_NO_INSTANCE = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed")
_OF_A_LIMIT = "LimitExceeded"
"""The suffix of EC2's codes for quotas. AWS documents no code for the 5,000 MiB/s over all initialising volumes. A request with
a rate that any limit refuses is repeated without the rate; if another limit was the cause, it is refused again."""


def at_rate(
    call: Callable[..., Any], doing: str, request: Mapping[str, Any], token: str, slow: Mapping[str, Any]
) -> tuple[Any, str]:
    """Make a call with its client token, or the `slow` call without a token if a limit refuses the initialisation rate.

    Return EC2's answer, and a remark if it was made without the rate.
    """
    with translated(doing):
        try:
            return call(**request, ClientToken=token), ""
        except ClientError as error:
            code = code_of(error)
            if slow == request or code in THROTTLED or not code.endswith(_OF_A_LIMIT):
                raise
            # The same token does not allow other parameters.
            return call(**slow, ClientToken=f"{token}-d"), f"made without an initialisation rate: {message_of(error)}"


def without_rate(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call, or of a block device, without an initialisation rate."""
    return {name: value for name, value in request.items() if name != RATE}


class Ec2Recovery:
    """`RecoveryEc2` over an EC2 client of one region."""

    def __init__(self, *, client: EC2Client, region: str, quotas: Callable[[], Any] | None = None) -> None:
        """`quotas` makes a client of Service Quotas; without it, the quotas of storage are not known."""
        self._client = client
        self._quotas = quotas
        self.region = region

    def volumes_of(self, tags: Mapping[str, str]) -> list[VolumeState]:
        """Return the volumes that have all of these tags."""
        return self._volumes(Filters=tagged(tags))

    def recovered_from(self, snapshot_ids: Collection[str]) -> list[VolumeState]:
        """Return the volumes that recoveries made of snapshots, and that exist."""
        by_recovery = having("tag-key", [RECOVERY])
        listed = (self._volumes(Filters=[having("snapshot-id", ids), by_recovery]) for ids in batches(snapshot_ids))
        return list(chain.from_iterable(listed))

    def _volumes(self, **query: Any) -> list[VolumeState]:
        return [_volume_state(item) for item in self._items("describe_volumes", "Volumes", nothing=_GONE, **query)]

    def _items(self, operation: str, key: str, *, nothing: Collection[str] = (), **query: Any) -> Iterator[Any]:
        """Yield the items of a describe call under a key. Error codes in `nothing` mean that there are none."""
        for page in pages(self._client, operation, query, f"{operation} in {self.region}", nothing=nothing):
            yield from page[key]

    def volume(self, volume_id: str) -> VolumeState | None:
        """Return a volume; None if it does not exist."""
        return next(iter(self._volumes(VolumeIds=[volume_id])), None)

    def create_volume(self, request: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Make a volume; return its id, and a remark if the initialisation rate exceeds the quota."""
        creation = {**request, "TagSpecifications": tag_specifications({"volume": tags})}
        answer, remark = at_rate(self._client.create_volume, "create_volume", creation, token, without_rate(creation))
        return answer["VolumeId"], remark

    def attach(self, volume_id: str, instance_id: str, device: str) -> None:
        """Start to attach a volume. Raise AwsRefused."""
        with translated(f"attach_volume {volume_id}"):
            self._client.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)

    def detach(self, volume_id: str, instance_id: str) -> None:
        """Start to detach a volume, unless it is detached."""
        doing = f"detach_volume {volume_id}"
        accepted(self._client.detach_volume, doing, ("IncorrectState",), VolumeId=volume_id, InstanceId=instance_id)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume; a missing one counts as deleted."""
        accepted(self._client.delete_volume, f"delete_volume {volume_id}", _GONE, VolumeId=volume_id)

    def tags_of(self, snapshot_ids: Collection[str]) -> dict[str, Mapping[str, str]]:
        """Return the tags of the snapshots that exist."""
        return {item["SnapshotId"]: tags_from(item) for item in self._snapshots(snapshot_ids)}

    def tag_snapshots(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Write tags of snapshots. Raise SnapshotGone."""
        with translated("create_tags"):
            self._client.create_tags(Resources=snapshot_ids, Tags=tag_list(tags))

    def untag_snapshots(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> None:
        """Remove tags of snapshots if they have these values."""
        with translated("delete_tags"):
            self._client.delete_tags(Resources=snapshot_ids, Tags=tag_list(tags))

    # Facts for plans

    def refusal(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why CreateVolume would be refused with these tags, by a dry run; empty if it would not."""
        return dry_run(self._client, "create_volume", **request, TagSpecifications=tag_specifications({"volume": tags}))

    def refusal_of_tags(self, snapshot_ids: list[str], tags: Mapping[str, str]) -> str:
        """Return why CreateTags, or DeleteTags afterwards, would be refused, by dry runs; empty if they would not."""
        request = {"Resources": snapshot_ids, "Tags": tag_list(tags)}
        return dry_run(self._client, "create_tags", **request) or dry_run(self._client, "delete_tags", **request)

    def zones(self) -> list[str]:
        """Return the region's Availability Zones that can be used."""
        with translated("describe_availability_zones"):
            zones = self._client.describe_availability_zones(Filters=[having("state", ["available"])])
        named = [zone for zone in zones["AvailabilityZones"] if zone.get("ZoneType", "availability-zone") == "availability-zone"]
        return sorted(zone["ZoneName"] for zone in named)

    def place(self, instance_id: str) -> InstancePlace:
        """Return the zone, state and devices of an instance. Raise AwsRefused if there is no such instance."""
        absent = dict.fromkeys(_NO_INSTANCE, lambda _: AwsRefused(f"{instance_id}: {self.region} has no such instance"))
        with translated(f"describe_instances {instance_id}", absent):
            answer = self._client.describe_instances(InstanceIds=[instance_id])
        instance = answer["Reservations"][0]["Instances"][0]
        mappings = instance.get("BlockDeviceMappings", [])
        devices = {mapping["DeviceName"]: mapping.get("Ebs", {}).get("VolumeId", "") for mapping in mappings}
        return InstancePlace(instance_id, instance["Placement"]["AvailabilityZone"], instance["State"]["Name"], devices)

    def refusal_to_attach(self, place: InstancePlace) -> str:
        """Return why AttachVolume is not permitted, by a dry run with a volume of the instance; empty if it is."""
        volume_id = next(filter(None, place.devices.values()), "")
        if not volume_id:
            return ""
        request = {"VolumeId": volume_id, "InstanceId": place.instance_id, "Device": DEVICES[-1]}
        refusal = dry_run(self._client, "attach_volume", **request)
        return refusal if any(code in refusal for code in ("UnauthorizedOperation", "AccessDenied")) else ""

    def storage(self, volume_types: Collection[str]) -> RegionQuotas:
        """Return the quotas of storage of these volume types, as far as they are known, and how much of them is in use."""
        used: Counter[str] = Counter()
        for item in self._items("describe_volumes", "Volumes", Filters=[having("volume-type", sorted(volume_types))]):
            used[STORAGE_QUOTAS.get(item["VolumeType"], "")] += item["Size"]
        quotas = self._quotas_of("ebs", used)
        return replace(quotas, limits={code: tib * GIB_IN_TIB for code, tib in quotas.limits.items()})

    def _quotas_of(self, service: str, used: Mapping[str, int]) -> RegionQuotas:
        """Return the quotas of a service with how much of them is in use, or why they are not known."""
        if self._quotas is None:
            return RegionQuotas(problem="Service Quotas was not asked")
        try:
            listing = list(pages(self._quotas(), "list_service_quotas", {"ServiceCode": service}, "list_service_quotas"))
        except SnapkeepError as error:
            return RegionQuotas(problem=str(error))
        listed = {quota["QuotaCode"]: quota["Value"] for page in listing for quota in page["Quotas"] if "QuotaCode" in quota}
        return RegionQuotas(used, listed)

    def data_bytes(self, snapshot_ids: Collection[str]) -> dict[str, int]:
        """Return the full size of snapshots if EC2 returns it (botocore: ec2 2016-11-15, Snapshot.FullSnapshotSizeInBytes)."""
        return {item["SnapshotId"]: item.get("FullSnapshotSizeInBytes", 0) for item in self._snapshots(snapshot_ids)}

    def _snapshots(self, snapshot_ids: Collection[str]) -> Iterator[Any]:
        for ids in batches(snapshot_ids):
            yield from self._own_snapshots([having("snapshot-id", ids)])

    def _own_snapshots(self, filters: list[Any]) -> Iterator[Any]:
        return self._items("describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters)


def _volume_state(item: Mapping[str, Any]) -> VolumeState:
    """Return the state of a volume, given its item of DescribeVolumes."""
    attachments = {
        attachment["InstanceId"]: Attachment(attachment.get("Device", ""), attachment.get("State", ""))
        for attachment in attachments_of(item)
        if attachment.get("State") != "detached"
    }
    return VolumeState(item["VolumeId"], item["State"], tags_from(item), attachments, item.get("SnapshotId", ""))
