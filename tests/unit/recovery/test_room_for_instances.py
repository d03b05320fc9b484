"""Initialisation rates, quotas of vCPUs, and keys: whether a region has what an instance needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from snapkeep.adapters.ec2_instances import Ec2Instances
from snapkeep.domain.recovery.instance_fit import InstanceOptions
from snapkeep.domain.recovery.instance_map import parse_map
from snapkeep.domain.recovery.recovery_plan import StepKind
from snapkeep.domain.recovery.region_quotas import quota_of
from snapkeep.lab.ebs_model import Quotas
from snapkeep.usecases.recovery.prepare_instance import InstanceRequest
from snapkeep.usecases.recovery.recover import Recover
from support.databases import protect_set
from support.flows import DR, PRIMARY, Laboratory
from support.recovering import Quotas as ListedQuotas
from support.recovering_instances import InstanceLab


@pytest.fixture
def lab() -> InstanceLab:
    return InstanceLab()


def initialisation(lab: InstanceLab, volume_ids: list[str], region: str = DR) -> set[str]:
    listed = lab.lab.ec2(region).describe_volume_status(VolumeIds=volume_ids)["VolumeStatuses"]
    return {item["InitializationStatusDetails"]["InitializationType"] for item in listed}


def test_all_volumes_of_an_instance_are_initialised_at_a_rate(lab: InstanceLab) -> None:
    plan = lab.plan(lab.protected(), rate=200)
    assert plan.obstacles == ()
    assert plan.full_speed_after is not None
    _, made = lab.recover(plan)
    volume_ids = [volume["VolumeId"] for volume in lab.volumes(made).values()]
    assert initialisation(lab, volume_ids) == {"provisioned-rate"}


def test_an_instance_beyond_the_quota_of_rates_is_launched_without_one() -> None:
    lab = InstanceLab(Laboratory(quotas=Quotas(initialization_mib_per_second=300)))
    source_id = lab.launch()
    for volume in lab.volumes(lab.described(source_id, PRIMARY), PRIMARY).values():
        lab.lab.world.write(volume["VolumeId"], 0, 2048, region=PRIMARY)
    protect_set(lab.lab, source_id)
    run, made = lab.recover(lab.plan(source_id, rate=200))
    assert run.step("run-1").remark.startswith("made without an initialisation rate: ")
    assert initialisation(lab, [volume["VolumeId"] for volume in lab.volumes(made).values()]) == {"default"}


def test_a_root_volume_beyond_the_quota_of_rates_is_replaced_without_one() -> None:
    lab = InstanceLab(Laboratory(quotas=Quotas(initialization_mib_per_second=100)))
    source_id = lab.protected()
    plan = lab.plan(source_id, PRIMARY, rate=200, replace_root=True)
    run = lab.carry_out(lab.begin(plan), Recover.run)
    (step,) = [step for step in run.steps if step.kind is StepKind.REPLACE_ROOT]
    assert step.remark.startswith("made without an initialisation rate: ")
    root = lab.volumes(lab.described(source_id, PRIMARY), PRIMARY)["/dev/xvda"]
    assert root["SnapshotId"] == plan.point_ids[0]
    assert initialisation(lab, [root["VolumeId"]], PRIMARY) == {"default"}


def test_vcpus_beyond_the_quota_are_an_obstacle(lab: InstanceLab) -> None:
    source_id = lab.protected()
    lab.lab.ec2(DR).run_instances(ImageId="ami-12345678", InstanceType="m5.xlarge", MinCount=1, MaxCount=1)
    request = InstanceRequest(source_id, lab.clock.now(), InstanceOptions(parse_map(lab.names)))
    assert "whether the quota admits them is not known for vCPUs: Service Quotas was not asked" in lab.plan(source_id).remarks
    client: Any = lab.lab.world.client("ec2", DR)
    quotas = ListedQuotas({"L-1216C47A": 5})
    plan = replace(lab.prepare(), reader=Ec2Instances(client=client, region=DR, quotas=lambda: quotas)).plan(request)
    words = "2 vCPUs beside 4 in use are more than the quota L-1216C47A, 5"
    assert [obstacle.partition(":")[0] for obstacle in plan.obstacles] == [words]


@pytest.mark.parametrize(
    ("instance_type", "code"),
    [
        *[
            ("is4gen.large", "L-1216C47A"),
            ("mac2.metal", "L-1216C47A"),
            ("u-6tb1.metal", "L-43DA4232"),
            ("g5.xlarge", "L-DB2E81BA"),
        ],
        *[("inf2.xlarge", "L-1945791B"), ("trn1.2xlarge", "L-2C3B7624"), ("x2idn.metal", "L-7295265B"), ("q9.large", "")],
    ],
)
def test_each_family_counts_to_its_quota(instance_type: str, code: str) -> None:
    assert quota_of(instance_type) == code


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("disabled", "/dev/sdg: its key is disabled (arn:"),
        ("deleted", "/dev/sdg: its key is pending deletion on "),
        ("of the other region", "/dev/sdg: its key does not exist (arn:"),
    ],
)
def test_a_key_of_the_map_that_cannot_be_used_is_an_obstacle(lab: InstanceLab, state: str, words: str) -> None:
    source_id = lab.protected()
    former = lab.volumes(lab.described(source_id, PRIMARY), PRIMARY)["/dev/sdg"]["KmsKeyId"]
    region = PRIMARY if state == "of the other region" else DR
    kms = lab.lab.world.client("kms", region)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    names = {**lab.names, "kms_keys": {former: other}}
    assert region == PRIMARY or lab.plan(source_id, names=names).obstacles == ()
    if state == "disabled":
        kms.disable_key(KeyId=other)
    elif state == "deleted":
        kms.schedule_key_deletion(KeyId=other)
    (obstacle,) = lab.plan(source_id, names=names).obstacles
    assert obstacle.startswith(words)
