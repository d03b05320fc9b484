"""The instances of a recovery, made, checked and removed by EC2, and the facts about a region for their plans."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from snapkeep.adapters.aws_errors import accepted, dry_run, translated
from snapkeep.adapters.ec2_point_copies import Ec2PointCopies
from snapkeep.adapters.ec2_reader import having, tagged, tags_from
from snapkeep.adapters.ec2_recovery import at_rate, without_rate
from snapkeep.adapters.ec2_writers import tag_list, tag_specifications
from snapkeep.domain.recovery.launch_facts import Billing, InstanceTypeFacts, LaunchInventory, LaunchSite, RegionResource
from snapkeep.domain.recovery.region_quotas import RegionQuotas, quota_of
from snapkeep.usecases.recovery.states import GONE, ImageState, InstanceState, RootReplacement

_NO_IMAGE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable")
_NO_INSTANCE = ("InvalidInstanceID.NotFound",)
_NO_TYPE = ("InvalidInstanceType",)


class Ec2Instances(Ec2PointCopies):
    """`InstanceEc2` and `InstanceReader` over an EC2 client of one region, with those for recoveries of volumes and copies."""

    # AMIs

    def images_named(self, name: str) -> list[ImageState]:
        """Return the account's AMIs with a name: one or none."""
        return self._images([having("name", [name])])

    def images_of(self, tags: Mapping[str, str]) -> list[ImageState]:
        """Return the AMIs of the account that have all of these tags."""
        return self._images(tagged(tags))

    def _images(self, filters: list[Any]) -> list[ImageState]:
        return [_image(item) for item in self._items("describe_images", "Images", Owners=["self"], Filters=filters)]

    def register_image(self, request: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> bool:
        """Register an AMI; return False if its name is taken."""
        call, taken = self._client.register_image, ("InvalidAMIName.Duplicate",)
        return accepted(call, "register_image", taken, **_registration(request, name, tags))

    def deregister_image(self, image_id: str) -> None:
        """Deregister an AMI; a missing one counts as deregistered."""
        accepted(self._client.deregister_image, f"deregister_image {image_id}", _NO_IMAGE, ImageId=image_id)

    # Instances

    def refusals_to_launch(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str]
    ) -> list[str]:
        """Return why RunInstances, or DeregisterImage afterwards, would be refused, by dry runs."""
        # The quota of initialisation rates is not a refusal: `run_instance` continues without a rate.
        launch = dry_run(self._client, "run_instances", **_launch({**request, **_without_rates(request)}, image_id, tags, own))
        return [why for why in (launch, dry_run(self._client, "deregister_image", ImageId=image_id)) if why]

    def run_instance(
        self, request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str], token: str
    ) -> tuple[str, str]:
        """Launch an instance with its tags, and its volumes with theirs; return its id, and a remark like `create_volume`."""
        launch = _launch(request, image_id, tags, own)
        slow = {**launch, **_without_rates(launch)}
        answer, remark = at_rate(self._client.run_instances, "run_instances", launch, token, slow)
        return answer["Instances"][0]["InstanceId"], remark

    def instances_of(self, tags: Mapping[str, str]) -> list[InstanceState]:
        """Return the instances that have all of these tags."""
        return self._instances(Filters=tagged(tags))

    def instance(self, instance_id: str) -> InstanceState | None:
        """Return an instance; None if it does not exist."""
        return next(iter(self._instances(InstanceIds=[instance_id])), None)

    def checks_passed(self, instance_id: str) -> bool:
        """Whether an instance passes both status checks now."""
        query = {"nothing": _NO_INSTANCE, "InstanceIds": [instance_id]}
        statuses = self._items("describe_instance_status", "InstanceStatuses", **query)
        checks = [status[name]["Status"] for status in statuses for name in ("InstanceStatus", "SystemStatus")]
        return bool(checks) and set(checks) == {"ok"}

    def tag(self, resource_ids: list[str], tags: Mapping[str, str]) -> None:
        """Write tags."""
        with translated("create_tags"):
            self._client.create_tags(Resources=resource_ids, Tags=tag_list(tags))

    def set_source_dest_check(self, instance_id: str, *, enabled: bool) -> None:
        """Turn the source/destination check on or off."""
        self._modify(instance_id, SourceDestCheck={"Value": enabled})

    def stop_instance(self, instance_id: str) -> None:
        """Start to stop an instance."""
        with translated(f"stop_instances {instance_id}"):
            self._client.stop_instances(InstanceIds=[instance_id])

    def terminate_instance(self, instance_id: str) -> None:
        """Start to terminate an instance, even a protected one."""
        self._modify(instance_id, DisableApiTermination={"Value": False})
        with translated(f"terminate_instances {instance_id}"):
            self._client.terminate_instances(InstanceIds=[instance_id])

    def _modify(self, instance_id: str, **attribute: Any) -> None:
        with translated(f"modify_instance_attribute {instance_id}"):
            self._client.modify_instance_attribute(InstanceId=instance_id, **attribute)

    def replace_root(self, instance_id: str, source: Mapping[str, Any], tags: Mapping[str, str], token: str) -> tuple[str, str]:
        """Start to replace a root volume; return the task's id, and a remark like `create_volume`."""
        request, doing = _replacement(instance_id, source, tags), f"create_replace_root_volume_task {instance_id}"
        answer, remark = at_rate(self._client.create_replace_root_volume_task, doing, request, token, without_rate(request))
        return answer["ReplaceRootVolumeTask"]["ReplaceRootVolumeTaskId"], remark

    def root_replacements(self, instance_id: str) -> list[RootReplacement]:
        """Return the tasks that replace, or replaced, the root volume of an instance."""
        of_instance = [having("instance-id", [instance_id])]
        tasks = self._items("describe_replace_root_volume_tasks", "ReplaceRootVolumeTasks", Filters=of_instance)
        return [RootReplacement(task["ReplaceRootVolumeTaskId"], task["TaskState"], tags_from(task)) for task in tasks]

    # Facts for plans

    def refusal_of_image(self, request: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Return why RegisterImage would be refused, by a dry run; empty if it would not."""
        return dry_run(self._client, "register_image", **_registration(request, "snapkeep dry run", tags))

    def refusal_of_root(self, instance_id: str, snapshot_id: str, tags: Mapping[str, str]) -> str:
        """Return why CreateReplaceRootVolumeTask would be refused, by a dry run; empty if it would not."""
        request = _replacement(instance_id, {"SnapshotId": snapshot_id}, tags)
        return dry_run(self._client, "create_replace_root_volume_task", **request)

    def site(
        self, *, subnet_id: str, group_ids: Collection[str], instance_type: str, key_pair: str, address: str, instance_id: str
    ) -> LaunchSite:
        """Return the site of an instance's launch, as the region describes it; `instance_id` is the recorded one."""
        subnet = next(iter(self._subnets([having("subnet-id", [subnet_id])])), None) if subnet_id else None
        groups = self._groups([having("group-id", group_ids)]) if group_ids else []
        used = [having("subnet-id", [subnet_id]), having("addresses.private-ip-address", [address])]
        interfaces = self._items("describe_network_interfaces", "NetworkInterfaces", Filters=used)  # called where it matters
        standing = self.instance(instance_id) if instance_id else None
        return LaunchSite(
            region=self.region,
            subnet=subnet,
            groups={group.id: group.vpc_id for group in groups},
            type_facts=self._type_facts(instance_type),
            offered=bool(self._offered([instance_type], subnet.zone if subnet else "")),
            key_pair_exists=not key_pair or key_pair in self._key_pairs([having("key-name", [key_pair])]),
            address_free=not (subnet and address) or not any(interfaces),
            standing=standing.state if standing and standing.state not in GONE else "",
        )

    def vcpus(self) -> RegionQuotas:
        """Return the quotas of vCPUs, as far as they are known, and how many run in On-Demand instances."""
        used: Counter[str] = Counter()
        for item in self._instance_items(Filters=[having("instance-state-name", ["pending", "running"])]):
            # Spot Instances have quotas of their own, and hosts are counted themselves.
            if not item.get("InstanceLifecycle") and item.get("Placement", {}).get("Tenancy") != "host":
                cpu = item.get("CpuOptions") or {}
                used[quota_of(item["InstanceType"])] += cpu.get("CoreCount", 0) * cpu.get("ThreadsPerCore", 0)
        return self._quotas_of("ec2", used)

    def inventory(self, instance_types: Collection[str]) -> LaunchInventory:
        """Return the resources of the region for the launch of instances."""
        subnets, groups, pairs = self._subnets([]), self._groups([]), self._key_pairs([])
        return LaunchInventory(tuple(subnets), tuple(groups), frozenset(pairs), frozenset(self._offered(instance_types, "")))

    def subnet_names(self, subnet_ids: Collection[str]) -> dict[str, str]:
        """Return the tags `Name` of subnets that exist."""
        return {subnet.id: subnet.name for subnet in self._subnets([having("subnet-id", subnet_ids)])} if subnet_ids else {}

    def _subnets(self, filters: list[Any]) -> list[RegionResource]:
        return [
            RegionResource(
                item["SubnetId"],
                tags_from(item).get("Name", ""),
                item.get("VpcId", ""),
                item.get("AvailabilityZone", ""),
                item.get("CidrBlock", ""),
                item.get("AvailableIpAddressCount", 0),
            )
            for item in self._items("describe_subnets", "Subnets", Filters=filters)
        ]

    def _groups(self, filters: list[Any]) -> list[RegionResource]:
        items = self._items("describe_security_groups", "SecurityGroups", Filters=filters)
        return [RegionResource(item["GroupId"], item.get("GroupName", ""), item.get("VpcId", "")) for item in items]

    def _key_pairs(self, filters: list[Any]) -> set[str]:
        with translated("describe_key_pairs"):
            return {item["KeyName"] for item in self._client.describe_key_pairs(Filters=filters)["KeyPairs"]}

    def _offered(self, instance_types: Collection[str], zone: str) -> set[str]:
        """Return the types that a zone, or without one the region, offers."""
        filters = [having("instance-type", instance_types), having("location", [zone or self.region])]
        query: dict[str, Any] = {"LocationType": "availability-zone" if zone else "region", "Filters": filters}
        offered = self._items("describe_instance_type_offerings", "InstanceTypeOfferings", **query) if instance_types else ()
        return {item["InstanceType"] for item in offered}

    def _type_facts(self, instance_type: str) -> InstanceTypeFacts | None:
        types = self._items("describe_instance_types", "InstanceTypes", nothing=_NO_TYPE, InstanceTypes=[instance_type])
        return next(map(_facts, types), None)

    def _instances(self, **query: Any) -> list[InstanceState]:
        return list(map(_instance, self._instance_items(**query)))

    def _instance_items(self, **query: Any) -> Iterator[Any]:
        reservations = self._items("describe_instances", "Reservations", nothing=_NO_INSTANCE, **query)
        return (item for reservation in reservations for item in reservation["Instances"])


def _launch(request: Mapping[str, Any], image_id: str, tags: Mapping[str, str], own: Mapping[str, str]) -> dict[str, Any]:
    launch = {**request, "ImageId": image_id, "TagSpecifications": tag_specifications({"instance": tags, "volume": own})}
    if "UserData" in launch:  # boto3 encodes it again
        launch["UserData"] = b64decode(launch["UserData"])
    return launch


def _without_rates(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the block device mappings of a launch without initialisation rates."""
    mappings = [{**mapping, "Ebs": without_rate(mapping["Ebs"])} for mapping in request["BlockDeviceMappings"]]
    return {"BlockDeviceMappings": mappings}


def _registration(request: Mapping[str, Any], name: str, tags: Mapping[str, str]) -> dict[str, Any]:
    return {**request, "Name": name, "TagSpecifications": tag_specifications({"image": tags})}


def _replacement(instance_id: str, source: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    return {"InstanceId": instance_id, **source, "TagSpecifications": tag_specifications({"replace-root-volume-task": tags})}


def _image(item: Mapping[str, Any]) -> ImageState:
    codes = tuple(sorted(code["ProductCodeId"] for code in item.get("ProductCodes") or ()))
    billing = Billing(item.get("PlatformDetails", ""), item.get("UsageOperation", ""), codes)
    return ImageState(item["ImageId"], item["State"], billing, tags_from(item))


def _instance(item: Mapping[str, Any]) -> InstanceState:
    volumes = {
        mapping["DeviceName"]: mapping["Ebs"]["VolumeId"]
        for mapping in item.get("BlockDeviceMappings") or ()
        if mapping.get("Ebs", {}).get("Status") == "attached"
    }
    reason = (item.get("StateReason") or {}).get("Message", "")
    return InstanceState(
        item["InstanceId"], item["State"]["Name"], item.get("RootDeviceName", ""), volumes, reason, tags_from(item)
    )


def _facts(item: Mapping[str, Any]) -> InstanceTypeFacts:
    processors = item.get("VCpuInfo") or {}
    return InstanceTypeFacts(
        architectures=tuple((item.get("ProcessorInfo") or {}).get("SupportedArchitectures") or ()),
        ena_required=(item.get("NetworkInfo") or {}).get("EnaSupport") == "required",
        boot_modes=tuple(item.get("SupportedBootModes") or ()),
        tpm=item.get("NitroTpmSupport") == "supported",
        default_cpu=(processors.get("DefaultCores", 0), processors.get("DefaultThreadsPerCore", 0)),
    )
