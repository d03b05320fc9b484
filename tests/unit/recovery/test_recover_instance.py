"""An instance is whole again, or the recovery says why not: every kind of instance, over the model of EC2."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import get_session
from botocore.validate import validate_parameters

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.domain.errors import RecoveryFailed
from snapkeep.domain.policy.model import Policy, PolicySet, Retention, Selector
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import parse_map
from snapkeep.domain.recovery.recovery_plan import RecoveryState
from snapkeep.domain.tag_names import HOLD
from snapkeep.lab.ebs_model import PUBLIC_LINUX, FaultRule
from snapkeep.usecases.recovery.all_actions import all_actions
from snapkeep.usecases.recovery.prepare_instance import InstanceRequest
from snapkeep.usecases.recovery.recover import Journal, Recover
from support.databases import protect_set
from support.flows import DR, INCLUDED, PRIMARY, Laboratory, policy_set
from support.recovering_instances import DATA, LOGS, InstanceLab

ARM, WINDOWS = "ami-0123456789abcdef0", "ami-0abcdef1234567892"
RHEL = {"PlatformDetails": "Red Hat Enterprise Linux", "UsageOperation": "RunInstances:0010"}
MARKETPLACE = {
    "PlatformDetails": "Linux/UNIX",
    "UsageOperation": "RunInstances",
    "ProductCodes": [{"ProductCodeId": "abc123", "ProductCodeType": "marketplace"}],
}
EVERYTHING = {
    "InstanceType": "t3.large",
    "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1},
    "CreditSpecification": {"CpuCredits": "unlimited"},
    "DisableApiTermination": True,
    "EbsOptimized": True,
    "InstanceInitiatedShutdownBehavior": "terminate",
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    "Monitoring": {"Enabled": True},
    "Placement": {"Tenancy": "dedicated"},
}
PROPERTIES = ("Architecture", "BootMode", "CurrentInstanceBootMode", "EnaSupport", "SriovNetSupport", "TpmSupport")


@pytest.fixture
def lab() -> InstanceLab:
    return InstanceLab()


def attribute(lab: InstanceLab, instance: dict[str, Any], name: str) -> Any:
    ec2 = lab.lab.ec2(DR)
    answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute=name)
    return answer[name[0].upper() + name[1:]]["Value"]


# Kinds of instances that come back


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("ami-12345678", "m5.large"),
        (PUBLIC_LINUX, "m5.large"),
        (ARM, "m7g.large"),
        ({"BootMode": "uefi", "UefiData": "QUJD", "SriovNetSupport": "simple"}, "m5.large"),
        ({"BootMode": "uefi", "TpmSupport": "v2.0"}, "m5.large"),
        ({"root": "/dev/sdb"}, "m5.large"),
        ({"EnaSupport": False}, "t2.large"),
    ],
    ids=["legacy BIOS", "UEFI preferred", "Graviton", "UEFI with its data", "TPM", "root at sdb", "without ENA before Nitro"],
)
def test_an_instance_is_whole_again_in_another_region(lab: InstanceLab, image: Any, kind: str) -> None:
    image_id = image if isinstance(image, str) else lab.image(**image)
    source_id = lab.protected(image_id, InstanceType=kind)
    source = lab.described(source_id, PRIMARY)
    former = lab.volumes(source, PRIMARY)
    lab.lab.world.take_region_away(PRIMARY)
    plan = lab.plan(source_id)
    assert plan.obstacles == ()
    run, made = lab.recover(plan)
    assert made["State"]["Name"] == "running"
    for name in (*PROPERTIES, "InstanceType", "RootDeviceName", "PlatformDetails", "UsageOperation", "VirtualizationType"):
        assert made.get(name) == source.get(name), name
    if made["CurrentInstanceBootMode"] == "uefi":
        account = lab.lab.world.region_account
        assert (
            account(DR).instances[made["InstanceId"]].attributes["UefiData"]
            == (account(PRIMARY).instances[source_id].attributes["UefiData"])
        )
    volumes = lab.volumes(made)
    assert volumes.keys() == former.keys()
    for device, volume in volumes.items():
        for name in ("Size", "VolumeType", "Iops", "Throughput", "Encrypted"):
            assert volume.get(name) == former[device].get(name), (device, name)
        assert {tag["Key"]: tag["Value"] for tag in volume["Tags"]}["Name"] == "web"
    assert {m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in made["BlockDeviceMappings"]} == {
        m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in source["BlockDeviceMappings"]
    }
    assert lab.images() == [], "an AMI that is left behind keeps its snapshots from being deleted"
    assert all(HOLD not in lab.lab.tags(point, DR) for point in run.points)


def test_shape_network_and_identity_are_those_of_the_record(lab: InstanceLab) -> None:
    source_id = lab.launch(**EVERYTHING)
    lab.lab.ec2().modify_instance_attribute(InstanceId=source_id, SourceDestCheck={"Value": False})
    protect_set(lab.lab, source_id)
    source = lab.described(source_id, PRIMARY)
    _, made = lab.recover(lab.plan(source_id))
    for name in ("CpuOptions", "EbsOptimized", "MetadataOptions", "Monitoring", "KeyName", "SourceDestCheck", "PrivateIpAddress"):
        assert made[name] == source[name], name
    assert made["Placement"]["Tenancy"] == "dedicated"
    assert made["SubnetId"] == lab.subnets[DR]
    assert [group["GroupId"] for group in made["SecurityGroups"]] == [lab.groups[DR]]
    assert made["IamInstanceProfile"]["Arn"].endswith("instance-profile/web")
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]}.items() >= (INCLUDED | {"Name": "web"}).items()
    assert attribute(lab, made, "disableApiTermination") is True
    assert attribute(lab, made, "instanceInitiatedShutdownBehavior") == "terminate"
    specifications = lab.lab.ec2(DR).describe_instance_credit_specifications(InstanceIds=[made["InstanceId"]])
    assert specifications["InstanceCreditSpecifications"][0]["CpuCredits"] == "unlimited"


class ValidatingClient:
    """The model's client, which first checks each request as botocore checks it."""

    def __init__(self, client: Any, model: Any) -> None:
        self._client, self._model = client, model
        self.checked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        operation = next(known for known in self._model.operation_names if xform_name(known) == name)

        def call(**request: Any) -> Any:
            validate_parameters(request, self._model.operation_model(operation).input_shape)
            self.checked.add(operation)
            return getattr(self._client, name)(**request)

        return call


def test_botocore_accepts_every_request(lab: InstanceLab) -> None:
    source_id = lab.launch(lab.image(BootMode="uefi", UefiData="QUJD"), **EVERYTHING, UserData="#!/bin/sh")
    lab.lab.ec2().modify_instance_attribute(InstanceId=source_id, SourceDestCheck={"Value": False})
    protect_set(lab.lab, source_id)
    client: Any = ValidatingClient(lab.lab.world.client("ec2", DR), get_session().get_service_model("ec2"))
    ec2 = Ec2Instances(client=client, region=DR)
    options = InstanceOptions(parse_map(lab.names), stopped=True)
    prepare = replace(lab.prepare(), reader=ec2)
    plan = prepare.plan(InstanceRequest(source_id, lab.clock.now(), options))
    run = lab.begin(plan)
    recover = Recover(journal=Journal(documents=lab.documents), actions=all_actions(ec2, lab.clock), clock=lab.clock)
    recover.undo(recover.run(recover.journal.read(run.id)))
    assert {"RegisterImage", "RunInstances", "ModifyInstanceAttribute", "StopInstances", "TerminateInstances"} <= client.checked
    assert ec2.checks_passed(plan.instance_id) is False
    ec2.inventory(["m5.large"])
    assert not ec2.root_replacements(plan.instance_id)


def test_the_processor_s_defaults_are_left_to_the_type(lab: InstanceLab) -> None:
    source_id = lab.protected(CpuOptions={"CoreCount": 1, "ThreadsPerCore": 2})
    assert "CpuOptions" not in lab.plan(source_id).launch


def test_an_instance_under_a_customer_key_gets_the_key_of_the_map() -> None:
    base = Laboratory()
    keys = {region: base.world.client("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (PRIMARY, DR)}
    base.policies = policy_set(kms_key=keys[DR])
    lab = InstanceLab(base)
    data = {**DATA, "Ebs": {**DATA["Ebs"], "Encrypted": True, "KmsKeyId": keys[PRIMARY]}}
    source_id = lab.protected(BlockDeviceMappings=[data, LOGS])
    other = base.world.client("kms", DR).create_key()["KeyMetadata"]["Arn"]
    _, made = lab.recover(lab.plan(source_id, names={**lab.names, "kms_keys": {keys[PRIMARY]: other}}))
    volumes = lab.volumes(made)
    assert (volumes["/dev/sdf"]["KmsKeyId"], volumes["/dev/sdg"]["KmsKeyId"]) == (other, keys[DR])


def test_the_plan_shows_that_a_spot_instance_becomes_on_demand(lab: InstanceLab) -> None:
    source_id = lab.protected(InstanceMarketOptions={"MarketType": "spot"})
    assert lab.described(source_id, PRIMARY)["InstanceLifecycle"] == "spot"
    plan = lab.plan(source_id)
    assert "it was a spot instance: it becomes an On-Demand one" in plan.remarks
    _, made = lab.recover(plan)
    assert "InstanceLifecycle" not in made


def test_a_product_s_instance_is_recovered_in_its_own_region(lab: InstanceLab) -> None:
    source_id = lab.protected(WINDOWS)
    lab.lab.ec2().terminate_instances(InstanceIds=[source_id])
    run = lab.carry_out(lab.begin(lab.plan(source_id, PRIMARY)), Recover.run)
    made = lab.described(run.step("run-1").result, PRIMARY)
    assert (made["PlatformDetails"], made["SubnetId"]) == ("Windows", lab.subnets[PRIMARY])


def test_a_stopped_recovery_leaves_the_instance_stopped(lab: InstanceLab) -> None:
    plan = lab.plan(lab.protected(), stopped=True)
    assert [remark for remark in plan.remarks if "it boots, and is stopped" in remark]
    _, made = lab.recover(plan)
    assert made["State"]["Name"] == "stopped"


# Kinds that are refused, with the right words


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (WINDOWS, "Windows (RunInstances:0002)"),
        (RHEL, "Red Hat Enterprise Linux (RunInstances:0010)"),
        (MARKETPLACE, "product codes abc123"),
    ],
    ids=["Windows", "RHEL", "Marketplace"],
)
def test_a_copy_without_the_licence_ends_with_the_way_out(lab: InstanceLab, image: Any, words: str) -> None:
    source_id = lab.protected(image if isinstance(image, str) else lab.image(billing=image))
    plan = lab.plan(source_id)
    assert plan.obstacles == (), "EC2 says it of an AMI that is registered, not before"
    assert [remark for remark in plan.remarks if words in remark and "may lack" in remark]
    run = lab.begin(plan)
    for _ in range(2):
        with pytest.raises(RecoveryFailed) as refused:
            lab.carry_out(run, Recover.run)
        assert words in str(refused.value)
        assert "billed as Linux/UNIX (RunInstances)," in str(refused.value)
        assert f"snapkeep recover volume {source_id} --in {DR} --zone {DR}a" in str(refused.value)
        assert "create-replace-root-volume-task" in str(refused.value)
        assert lab.images() == []
    assert lab.carry_out(run, Recover.undo).state is RecoveryState.UNDONE
    assert lab.left_of(run) == ([], [], [])


def test_a_type_with_ena_refuses_an_instance_without(lab: InstanceLab) -> None:
    source_id = lab.protected(lab.image(EnaSupport=False), InstanceType="t2.large")
    plan = lab.plan(source_id, names={**lab.names, "instance_types": {"t2.large": "m5.large"}})
    assert [obstacle for obstacle in plan.obstacles if "m5.large needs ENA" in obstacle]


@pytest.mark.parametrize(
    ("image", "kind", "other", "words"),
    [
        ("ami-12345678", "m5.large", "m7g.large", "has the architecture arm64, the instance x86_64"),
        ({"BootMode": "uefi"}, "m5.large", "t2.large", "does not boot by uefi"),
        ({"BootMode": "uefi", "TpmSupport": "v2.0"}, "m5.large", "t2.large", "has no NitroTPM"),
        ("ami-12345678", "m5.large", "q9.enormous", f"{DR}a does not offer q9.enormous"),
    ],
)
def test_a_type_that_does_not_fit_is_an_obstacle(lab: InstanceLab, image: Any, kind: str, other: str, words: str) -> None:
    source_id = lab.protected(image if isinstance(image, str) else lab.image(**image), InstanceType=kind)
    plan = lab.plan(source_id, names={**lab.names, "instance_types": {kind: other}})
    assert words in "; ".join(plan.obstacles)


def two_policies() -> PolicySet:
    """Volumes with the tag `Backup` are copied; those with `Scratch` are not."""
    kept = policy_set()
    scratch = Policy("scratch", Selector(tags={"Scratch": ("*",)}), Retention(keep_last=3))
    return replace(kept, policies=(scratch, *kept.policies))


def test_an_instance_is_whole_or_fails_unless_a_device_is_left_out() -> None:
    lab = InstanceLab(Laboratory(policies=two_policies()))
    source_id = lab.launch()
    volumes = lab.volumes(lab.described(source_id, PRIMARY), PRIMARY)
    logs = volumes["/dev/sdg"]["VolumeId"]
    lab.lab.ec2().create_tags(Resources=[logs], Tags=[{"Key": "Scratch", "Value": "yes"}])
    protect_set(lab.lab, source_id)
    plan = lab.plan(source_id)
    assert [obstacle for obstacle in plan.obstacles if obstacle.startswith(f"/dev/sdg {logs}: no snapshot of it in {DR}")]
    with pytest.raises(RecoveryFailed, match="nothing was begun"):
        lab.begin(plan)
    chosen = lab.plan(source_id, without=("/dev/sdg",))
    assert chosen.obstacles == ()
    assert "without /dev/sdg: its volume is not restored" in chosen.remarks
    _, made = lab.recover(chosen)
    assert sorted(lab.volumes(made)) == ["/dev/sdf", "/dev/xvda"]


@pytest.mark.parametrize(
    ("device", "words"), [("/dev/xvda", "no instance starts without"), ("/dev/sdz", "it has /dev/sdf, /dev/sdg, /dev/xvda")]
)
def test_a_device_that_cannot_be_left_out_is_an_obstacle(lab: InstanceLab, device: str, words: str) -> None:
    assert words in "; ".join(lab.plan(lab.protected(), without=(device,)).obstacles)


def test_names_without_an_entry_in_the_map_have_no_replacement(lab: InstanceLab) -> None:
    source_id = lab.protected()
    plan = lab.plan(source_id, names={})
    assert [obstacle.split(":")[0] for obstacle in plan.obstacles] == [
        f"subnet {lab.subnets[PRIMARY]}",
        f"security group {lab.groups[PRIMARY]} (web)",
        "instance profile arn",
        "key pair ops",
    ]
    assert "SecurityGroupIds" not in plan.launch
    nothing = {**lab.names, "key_pairs": {"ops": None}, "instance_profiles": {"web": None}}
    without = lab.plan(source_id, names=nothing)
    assert without.obstacles == ()
    assert {"KeyName", "IamInstanceProfile"} & without.launch.keys() == set()
    assert [remark for remark in without.remarks if "without its key pair" in remark or "without its instance profile" in remark]


def test_the_resources_of_the_map_must_exist_and_belong_together(lab: InstanceLab) -> None:
    source_id = lab.protected()
    ec2 = lab.lab.ec2(DR)
    elsewhere = ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
    for changed, words in (
        ({"subnets": {lab.subnets[PRIMARY]: "subnet-0"}}, f"subnet subnet-0 does not exist in {DR}"),
        ({"security_groups": {lab.groups[PRIMARY]: "sg-0"}}, f"security group sg-0 does not exist in {DR}"),
        ({"security_groups": {lab.groups[PRIMARY]: elsewhere}}, f"security group {elsewhere} is in"),
        ({"key_pairs": {"ops": "nobody"}}, "key pair nobody does not exist"),
    ):
        assert words in "; ".join(lab.plan(source_id, names={**lab.names, **changed}).obstacles)


def test_an_instance_that_was_replaced_is_named_by_its_id(lab: InstanceLab) -> None:
    first = lab.protected()
    lab.lab.ec2().terminate_instances(InstanceIds=[first])
    second = lab.protected()
    plan = lab.plan("web")
    assert plan.obstacles == (f"web: several instances: {', '.join(sorted((first, second)))}; name one",)
    assert lab.plan(first).obstacles == ()
    assert lab.plan("nobody").obstacles == (f"nobody: no recovery point in {DR} names it",)


def test_the_moment_decides_which_root_volume_an_instance_had(lab: InstanceLab) -> None:
    source_id = lab.protected()
    lab.lab.ec2().create_replace_root_volume_task(InstanceId=source_id)
    lab.lab.runner.advance(600)
    assert lab.plan(source_id).volumes[0].device == "/dev/xvda"
    before = lab.plan(source_id).volumes[0].point.origin.volume_id
    protect_set(lab.lab, source_id)
    after = lab.plan(source_id)
    assert after.obstacles == ()
    assert after.volumes[0].point.origin.volume_id != before


def test_without_records_only_volumes_can_be_recovered(lab: InstanceLab) -> None:
    source_id = lab.protected()
    lab.lab.world.take_region_away(PRIMARY)
    lab.documents.documents.clear()
    plan = lab.plan(source_id)
    assert f"recover its volumes instead: snapkeep recover volume {source_id} --in {DR}" in plan.obstacles


def test_a_dry_run_that_is_refused_is_an_obstacle(lab: InstanceLab) -> None:
    source_id = lab.protected()
    for action in ("RegisterImage", "CreateTags"):
        lab.lab.world.add_fault(
            FaultRule("api_error", region=DR, action=action, code="UnauthorizedOperation", http_status=403, times=1)
        )
    plan = lab.plan(source_id)
    assert [obstacle.split(":")[0] for obstacle in plan.obstacles] == ["register_image", "create_tags"]
    assert lab.images() == []


@pytest.mark.parametrize("action", ["RunInstances", "DeregisterImage"])
def test_a_launch_that_ec2_would_refuse_is_tried_first(lab: InstanceLab, action: str) -> None:
    run = lab.begin(lab.plan(lab.protected()))
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, action=action, code="UnauthorizedOperation", http_status=403, times=1)
    )
    with pytest.raises(RecoveryFailed, match=r"nothing was launched: .*UnauthorizedOperation"):
        lab.carry_out(run, Recover.run)
    assert lab.left_of(run)[0] == []
    lab.carry_out(run, Recover.undo)
    assert lab.left_of(run) == ([], [], [])


def test_an_instance_whose_checks_fail_is_not_called_recovered(lab: InstanceLab) -> None:
    run = lab.begin(lab.plan(lab.protected()))
    lab.lab.world.add_fault(FaultRule("status_check_fails", region=DR))
    with pytest.raises(RecoveryFailed, match="does not pass its status checks"):
        lab.carry_out(run, Recover.run)
    assert lab.images() == []
    lab.carry_out(run, Recover.undo)
    assert lab.left_of(run) == ([], [], [])
