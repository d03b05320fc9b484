"""Instances over the model of EBS: one is protected in the primary region, the region is lost, it is launched again elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.adapters.ec2_reader import Ec2Reader
from snapkeep.adapters.kms_keys import KmsKeys
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import InstanceMap, parse_map
from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.recovery.recovery_plan import RecoveryRun
from snapkeep.domain.tag_names import RECOVERY
from snapkeep.lab.simulator.memory_ports import Hook, HookedPort, KernelClock
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.prepare_instance import InstanceRequest, PrepareInstance, begin_instances, first_map
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.databases import protect_set
from support.flows import DR, INCLUDED, PRIMARY, Laboratory


class OtherServices:
    """STS, and Service Quotas that may not be asked."""

    def get_caller_identity(self) -> dict[str, str]:
        return {"Arn": "arn:aws:iam::123456789012:user/operator"}

    def list_service_quotas(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListServiceQuotas")


DATA = {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Throughput": 250, "DeleteOnTermination": False}}
LOGS = {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4, "VolumeType": "io2", "Iops": 400, "Encrypted": True}}


@dataclass
class InstanceLab:
    """An instance in a network of its own, with the counterpart of the network in the DR region."""

    lab: Laboratory = field(default_factory=Laboratory)

    def __post_init__(self) -> None:
        self.subnets = {region: self._network(region) for region in (PRIMARY, DR)}
        self.groups = {region: self._group(region) for region in (PRIMARY, DR)}
        for region in (PRIMARY, DR):
            self.lab.ec2(region).import_key_pair(KeyName="ops", PublicKeyMaterial=b"ssh-ed25519 AAAA")

    def _network(self, region: str) -> str:
        ec2 = self.lab.ec2(region)
        vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        tags = [{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "private-a"}]}]
        subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{region}a", TagSpecifications=tags)
        return str(subnet["Subnet"]["SubnetId"])

    def _group(self, region: str) -> str:
        ec2 = self.lab.ec2(region)
        (subnet,) = ec2.describe_subnets(SubnetIds=[self.subnets[region]])["Subnets"]
        made = ec2.create_security_group(GroupName="web", Description="web", VpcId=subnet["VpcId"])
        return str(made["GroupId"])

    @property
    def names(self) -> dict[str, Any]:
        """The map of everything that the instance has, into the DR region."""
        return {
            "subnets": {self.subnets[PRIMARY]: self.subnets[DR]},
            "security_groups": {self.groups[PRIMARY]: self.groups[DR]},
            "instance_profiles": {"web": "web"},
            "key_pairs": {"ops": "ops"},
        }

    def launch(self, image_id: str = "ami-12345678", *, tags: Mapping[str, str] = INCLUDED, **more: Any) -> str:
        """Launch an instance with a root and two data volumes, and let it run; return its id."""
        listed = [{"Key": key, "Value": value} for key, value in {"Name": "web", **tags}.items()]
        request = {
            "ImageId": image_id,
            "InstanceType": "m5.large",
            "SubnetId": self.subnets[PRIMARY],
            "SecurityGroupIds": [self.groups[PRIMARY]],
            "KeyName": "ops",
            "IamInstanceProfile": {"Name": "web"},
            "BlockDeviceMappings": [DATA, LOGS],
            "TagSpecifications": [{"ResourceType": kind, "Tags": listed} for kind in ("instance", "volume")],
            **more,
        }
        made = self.lab.ec2().run_instances(MinCount=1, MaxCount=1, **request)
        self.lab.runner.advance(300)
        return str(made["Instances"][0]["InstanceId"])

    def protected(self, image_id: str = "ami-12345678", **more: Any) -> str:
        """Launch an instance, and let a set of its volumes be copied; return its id."""
        instance_id = self.launch(image_id, **more)
        protect_set(self.lab, instance_id)
        return instance_id

    def image(self, root: str = "/dev/xvda", billing: Mapping[str, Any] | None = None, **properties: Any) -> str:
        """Return an AMI of the account's own in the primary region, billed as a product where that is given."""
        snapshot_id = self.lab.start_snapshot(self.lab.make_volume({}))
        self.lab.settle()
        mapping = [{"DeviceName": root, "Ebs": {"SnapshotId": snapshot_id, "VolumeType": "gp3"}}]
        request = {"Architecture": "x86_64", "VirtualizationType": "hvm", "EnaSupport": True, **properties}
        made = self.lab.ec2().register_image(
            Name=f"golden {snapshot_id}", RootDeviceName=root, BlockDeviceMappings=mapping, **request
        )
        account = self.lab.world.region_account(PRIMARY)
        account.images[made["ImageId"]].details.update(billing or {})
        account.subscriptions += [code["ProductCodeId"] for code in (billing or {}).get("ProductCodes", ())]
        return str(made["ImageId"])

    @cached_property
    def clock(self) -> KernelClock:
        return KernelClock(self.lab.runner.kernel)

    @property
    def documents(self) -> Any:
        return self.lab.runner.composition.documents[DR]

    def client(self, service: str, region: str) -> Any:
        """Return a client as commands make it."""
        return self.lab.world.client(service, region) if service in ("ec2", "kms") else OtherServices()

    def ec2(self, region: str = DR) -> Ec2Instances:
        return Ec2Instances(client=self.lab.world.client("ec2", region, caller="operator"), region=region)

    def prepare(self, region: str = DR, documents: Any = "") -> PrepareInstance:
        reader = Ec2Reader(client=self.lab.world.client("ec2", region), region=region)
        chosen = self.documents if documents == "" else documents
        keys = KmsKeys(client_of=lambda: self.client("kms", region), region=region)
        return PrepareInstance(snapshots=reader, reader=self.ec2(region), documents=chosen, fault_of_key=keys.fault_of)

    def plan(
        self,
        instance: str,
        region: str = DR,
        *,
        names: Mapping[str, Any] | None = None,
        without: tuple[str, ...] = (),
        stopped: bool = False,
        replace_root: bool = False,
        rate: int = 0,
    ) -> InstancePlan:
        chosen = InstanceMap() if region == PRIMARY and names is None else parse_map(self.names if names is None else names)
        options = InstanceOptions(chosen, without, stopped, rate)
        return self.prepare(region).plan(InstanceRequest(instance, self.clock.now(), options, replace_root))

    def first_map(self, *instances: str) -> Any:
        def names(region: str, subnet_ids: Any) -> Mapping[str, str]:
            return self.ec2(region).subnet_names(subnet_ids)

        return first_map(self.documents, self.ec2(), instances, names)

    def begin(self, plan: InstancePlan) -> RecoveryRun:
        run = begin_instances([[plan]], "arn:operator", self.clock.now())
        Journal(documents=self.documents).begin(run)
        return run

    def carry_out(
        self, run: RecoveryRun, action: Callable[[Recover, RecoveryRun], RecoveryRun], hook: Hook | None = None
    ) -> RecoveryRun:
        """Carry out or undo a recovery as a new process does; the hook sees each call of EC2 and of S3."""

        client: Any = self.lab.world.client("ec2", run.region, caller="operator")
        documents: Any = self.documents
        if hook:
            client, documents = HookedPort(client, "ec2", hook), HookedPort(documents, "s3", hook)
        self.lab.runner.advance(10)  # the buckets of EC2's request rates are full again
        actions = all_actions(Ec2Instances(client=client, region=run.region), self.clock)
        recover = Recover(journal=Journal(documents=documents), actions=actions, clock=self.clock)
        return action(recover, recover.journal.read(run.id))

    def recover(self, plan: InstancePlan) -> tuple[RecoveryRun, dict[str, Any]]:
        """Carry out a plan; return the run and the instance as EC2 describes it."""
        run = self.carry_out(self.begin(plan), Recover.run)
        return run, self.described(str(run.step("run-1").result), run.region)

    def described(self, instance_id: str, region: str = DR) -> dict[str, Any]:
        (reservation,) = self.lab.ec2(region).describe_instances(InstanceIds=[instance_id])["Reservations"]
        return dict(reservation["Instances"][0])

    def volumes(self, instance: Mapping[str, Any], region: str = DR) -> dict[str, dict[str, Any]]:
        """Return the volumes of an instance by device."""
        devices = {mapping["Ebs"]["VolumeId"]: mapping["DeviceName"] for mapping in instance["BlockDeviceMappings"]}
        listed = self.lab.ec2(region).describe_volumes(VolumeIds=list(devices))["Volumes"]
        return {devices[volume["VolumeId"]]: volume for volume in listed}

    def images(self, region: str = DR) -> list[str]:
        return [image["ImageId"] for image in self.lab.ec2(region).describe_images(Owners=["self"])["Images"]]

    def left_of(self, run: RecoveryRun) -> tuple[list[str], list[str], list[str]]:
        """Return the instances, volumes and AMIs in the run's region that carry its tag."""
        ec2, filters = self.lab.ec2(run.region), [{"Name": f"tag:{RECOVERY}", "Values": [run.id]}]
        found = ec2.describe_instances(Filters=filters)["Reservations"]
        instances = [item for reservation in found for item in reservation["Instances"] if item["State"]["Name"] != "terminated"]
        volumes = ec2.describe_volumes(Filters=filters)["Volumes"]
        images = ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
        return (
            [item["InstanceId"] for item in instances],
            [item["VolumeId"] for item in volumes],
            [item["ImageId"] for item in images],
        )
