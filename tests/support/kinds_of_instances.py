"""The kinds of instances that a recovery has to distinguish, launched in a deployed system, and their recoveries elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner, Result

from snapkeep.cli.application import make_application
from snapkeep.lab.ebs_model.store.public_images import PRODUCT, PUBLIC_LINUX
from support.deployment import DR, PRIMARY, Installation
from support.stacks import wait_for

DATA = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2, "VolumeType": "gp3", "Throughput": 250, "DeleteOnTermination": False}}
LOGS = {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4, "VolumeType": "io2", "Iops": 400, "Encrypted": True}}
UEFI_DATA = "QUJD"
PROPERTIES = (
    "Architecture", "BootMode", "CurrentInstanceBootMode", "EnaSupport", "SriovNetSupport", "TpmSupport", "InstanceType",
    "RootDeviceName", "PlatformDetails", "UsageOperation", "ProductCodes", "VirtualizationType",
)  # fmt: skip
"""The properties of an instance that its AMI and its record decide."""


@dataclass(frozen=True)
class Kind:
    """A kind of instances."""

    image: str | Mapping[str, Any]
    """The id of a public AMI, or the properties to register one with."""
    type: str = "m5.large"
    request: Mapping[str, Any] = field(default_factory=dict)
    """What else RunInstances is asked."""
    tags: Mapping[str, str] = field(default_factory=dict)
    shows: Mapping[str, Any] = field(default_factory=dict)
    """Properties that show that an instance is of this kind: of the original one, and of the recovered one."""
    billed: str = ""
    """What it is billed as; a copy in another region does not say so."""


KINDS = {
    "legacy-bios": Kind(
        "ami-12345678",
        request={"BlockDeviceMappings": [DATA, LOGS]},
        tags={"App": "shop", "Name": "web"},
        shows={"Architecture": "x86_64", "CurrentInstanceBootMode": "legacy-bios"},
    ),
    "uefi": Kind(
        {"BootMode": "uefi", "UefiData": UEFI_DATA, "SriovNetSupport": "simple"},
        tags={"App": "shop", "Name": "db"},
        shows={"BootMode": "uefi", "CurrentInstanceBootMode": "uefi", "SriovNetSupport": "simple"},
    ),
    "graviton": Kind(
        "ami-0123456789abcdef0",
        "m7g.large",
        tags={"App": "shop", "Name": "app"},
        shows={"Architecture": "arm64", "CurrentInstanceBootMode": "uefi"},
    ),
    "ena": Kind(PUBLIC_LINUX, shows={"EnaSupport": True, "BootMode": "uefi-preferred"}),
    "no-ena": Kind({"EnaSupport": False}, "t2.large", shows={"EnaSupport": False}),
    "tpm": Kind({"BootMode": "uefi", "TpmSupport": "v2.0"}, shows={"TpmSupport": "v2.0", "BootMode": "uefi"}),
    "unusual-root": Kind({"root": "/dev/sdb"}, shows={"RootDeviceName": "/dev/sdb"}),
    "spot": Kind(PUBLIC_LINUX, request={"InstanceMarketOptions": {"MarketType": "spot"}}),
    "customer-key": Kind(PUBLIC_LINUX, request={"BlockDeviceMappings": [DATA]}),
    "two-policies": Kind(PUBLIC_LINUX, request={"BlockDeviceMappings": [DATA, LOGS]}),
    "replaced": Kind(PUBLIC_LINUX),
    "replacement": Kind(PUBLIC_LINUX, tags={"Name": "replaced"}),
    "windows": Kind("ami-0abcdef1234567892", billed="Windows (RunInstances:0002)"),
    "rhel": Kind("ami-0abcdef1234567893", billed="Red Hat Enterprise Linux (RunInstances:0010)"),
    "marketplace": Kind("ami-0abcdef1234567894", billed=f"Linux/UNIX (RunInstances), product codes {PRODUCT}"),
}


@dataclass
class Machines:
    """An instance of each kind in the primary region, of which the DR region has copies."""

    installation: Installation
    ids: dict[str, str] = field(default_factory=dict)
    """Kind -> instance."""
    source: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Kind -> the instance as EC2 described it."""
    attached: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Kind -> the volumes of the instance by device, as EC2 described them."""
    keys: dict[str, str] = field(default_factory=dict)
    """Region -> a customer managed key."""

    def __post_init__(self) -> None:
        installed = self.installation
        self.keys = {region: installed.client("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (PRIMARY, DR)}
        page = {"account": installed.account_id, "region": PRIMARY, "product_code": PRODUCT}
        installed.aws.admin("POST", "products/accept", page)
        snapshot_id = installed.snapshot(installed.volume(Scratch="yes"))
        installed.client("ec2").get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot_id], WaiterConfig={"Delay": 1})
        for name, kind in KINDS.items():
            self.ids[name] = self._launch(name, kind, snapshot_id)
        self.source = {name: self.described(PRIMARY, instance_id) for name, instance_id in self.ids.items()}
        self.attached = {name: self.volumes(PRIMARY, source) for name, source in self.source.items()}
        self._protect()

    def _launch(self, name: str, kind: Kind, snapshot_id: str) -> str:
        ec2 = self.installation.client("ec2")
        image_id = kind.image if isinstance(kind.image, str) else self._image(name, kind.image, snapshot_id)
        request = dict(kind.request)
        if name == "customer-key":
            request["BlockDeviceMappings"] = [{**DATA, "Ebs": {**DATA["Ebs"], "Encrypted": True, "KmsKeyId": self.keys[PRIMARY]}}]  # type: ignore[dict-item]
        tags = [{"Key": key, "Value": value} for key, value in {"Name": name, "Kind": name, **kind.tags}.items()]
        made = ec2.run_instances(
            ImageId=image_id,
            InstanceType=kind.type,
            MinCount=1,
            MaxCount=1,
            Placement={"AvailabilityZone": f"{PRIMARY}a"},
            TagSpecifications=[{"ResourceType": each, "Tags": tags} for each in ("instance", "volume")],
            **request,
        )
        return str(made["Instances"][0]["InstanceId"])

    def _image(self, name: str, properties: Mapping[str, Any], snapshot_id: str) -> str:
        more = dict(properties)
        root = str(more.pop("root", "/dev/xvda"))
        made = self.installation.client("ec2").register_image(
            Name=f"golden {name}",
            RootDeviceName=root,
            BlockDeviceMappings=[{"DeviceName": root, "Ebs": {"SnapshotId": snapshot_id, "VolumeType": "gp3"}}],
            **{"Architecture": "x86_64", "VirtualizationType": "hvm", "EnaSupport": True, **more},
        )
        return str(made["ImageId"])

    def _protect(self) -> None:
        """Let a set of each instance's volumes be copied; one of two volumes belongs to a policy that copies nothing."""
        ec2, sfn = self.installation.client("ec2"), self.installation.client("stepfunctions")
        logs = self.attached["two-policies"]["/dev/sdg"]["VolumeId"]
        ec2.create_tags(Resources=[logs], Tags=[{"Key": "Scratch", "Value": "yes"}])
        for instance_id in self.ids.values():
            ec2.create_snapshots(InstanceSpecification={"InstanceId": instance_id})
        volumes = sum(map(len, self.attached.values()))

        def copies() -> list[dict[str, Any]]:
            tagged = [{"Name": "tag:Kind", "Values": ["*"]}, {"Name": "status", "Values": ["completed"]}]
            return list(self.installation.client("ec2", DR).describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"])

        wait_for(lambda: len(copies()) == volumes - 1)
        machine = self.installation.outputs["primary"]["StateMachineArn"]
        wait_for(lambda: not sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])
        ec2.terminate_instances(InstanceIds=[self.ids["replaced"]])

    def described(self, region: str, instance_id: str) -> dict[str, Any]:
        found = self.installation.client("ec2", region).describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(found[0]["Instances"][0])

    def volumes(self, region: str, instance: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the volumes of an instance by device."""
        devices = {mapping["Ebs"]["VolumeId"]: mapping["DeviceName"] for mapping in instance["BlockDeviceMappings"]}
        listed = self.installation.client("ec2", region).describe_volumes(VolumeIds=list(devices))["Volumes"]
        return {devices[volume["VolumeId"]]: volume for volume in listed}


class Recovered(NamedTuple):
    """A recovered instance, and the remarks of its plan."""

    made: dict[str, Any]
    remarks: list[str]


@dataclass
class Recoveries:
    """`snapkeep recover`, called like by a person."""

    machines: Machines
    folder: Path

    def __post_init__(self) -> None:
        self.ec2 = self.machines.installation.client("ec2", DR)
        self.subnet, self.group_id = self.machines.installation.network(DR)
        source = self.machines.source["legacy-bios"]
        self.names = {
            "subnets": {source["SubnetId"]: self.subnet},
            "security_groups": {source["SecurityGroups"][0]["GroupId"]: self.group_id},
        }

    def command(self, what: str, target: str, *arguments: str, **names: Any) -> Result:
        """Recover an instance or a group with a map of the network that all of them are in, and more."""
        written = self.folder / "map.yaml"
        written.write_text(json.dumps(self.names | names))
        options = ("--map", str(written), "--region", PRIMARY, "--dr-region", DR, "--in", DR, "--yes", *arguments)
        return CliRunner().invoke(make_application(), ["recover", what, target, *options], prog_name="snapkeep")

    def refused(self, kind: str, *, named: bool = False, **names: Any) -> str:
        """Return the words with which the recovery of an instance is refused; nothing of it is left."""
        before = self.standing()
        result = self.command("instance", kind if named else self.machines.ids[kind], **names)
        assert result.exit_code == 1, result.output
        assert self.standing() == before
        return result.output

    def instance(self, kind: str, *arguments: str, **names: Any) -> Recovered:
        """Recover an instance."""
        result = self.command("instance", self.machines.ids[kind], "--json", *arguments, **names)
        assert result.exit_code == 0, f"{kind}: {result.output}"
        data = json.loads(result.stdout)
        [made] = self.made(data["run"])
        return Recovered(made, data["plans"][0]["remarks"])

    def group(self, name: str) -> dict[str, dict[str, Any]]:
        """Recover a group; return its instances by name, in the order in which they were launched."""
        result = self.command("group", name, "--json")
        assert result.exit_code == 0, result.output
        made = self.made(json.loads(result.stdout)["run"])
        return {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name"): one for one in made}

    def made(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the instances of a completed run in the order of their launch."""
        assert run["state"] == "completed"
        launched = [step["result"] for step in run["steps"] if step["kind"] == "run_instance"]
        return [self.machines.described(DR, instance_id) for instance_id in launched]

    def standing(self) -> list[str]:
        """Return the instances in the DR region; no AMI is left, which would keep its snapshots from being deleted."""
        assert self.ec2.describe_images(Owners=["self"])["Images"] == []
        found = [one for each in self.ec2.describe_instances()["Reservations"] for one in each["Instances"]]
        assert {one["State"]["Name"] for one in found} <= {"running"}
        return sorted(one["InstanceId"] for one in found)

    def uefi_data(self, made: Mapping[str, Any]) -> str:
        return str(self.ec2.get_instance_uefi_data(InstanceId=made["InstanceId"])["UefiData"])

    def assert_whole(self, kind: str, made: Mapping[str, Any], *, without: str = "") -> None:
        """A recovered instance has the properties and the volumes of the original one."""
        source, attached = self.machines.source[kind], self.machines.attached[kind]
        assert {name: made.get(name) for name in PROPERTIES} == {name: source.get(name) for name in PROPERTIES}, kind
        assert KINDS[kind].shows.items() <= made.items(), kind
        assert (made["SubnetId"], [each["GroupId"] for each in made["SecurityGroups"]]) == (self.subnet, [self.group_id])
        volumes = self.machines.volumes(DR, made)
        assert volumes.keys() == attached.keys() - {without}, kind
        for device, volume in volumes.items():
            for name in ("Size", "VolumeType", "Iops", "Throughput", "Encrypted"):
                assert volume.get(name) == attached[device].get(name), (kind, device, name)
            (point,) = self.ec2.describe_snapshots(SnapshotIds=[volume["SnapshotId"]])["Snapshots"]
            origin = {tag["Key"]: tag["Value"] for tag in point["Tags"]}["snapkeep:source-volume"]
            assert origin == attached[device]["VolumeId"], (kind, device)
        assert self.standing()
