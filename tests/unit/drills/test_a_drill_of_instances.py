"""A drill of an instance, or of a group, from its schedule to its evidence, over the model in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from snapkeep.cli.views.drill import choice_lines, evidence_lines
from snapkeep.domain.drills.ledger import evidence_of, problems_of_chain
from snapkeep.domain.drills.run import CheckOutcome, DrillVerdict
from snapkeep.domain.policy.drill_rules import DrillMap
from snapkeep.domain.policy.model import GroupMembers, GroupWait, RecoveryGroup
from snapkeep.domain.tag_names import DRILL, DRILL_END
from snapkeep.lab.ebs_model import FaultRule, Faults
from snapkeep.reports.drill_page import render_drill
from support.databases import protect_set
from support.drilling_instances import INSTANCE_RULE, InstanceDrillLab
from support.flows import DR, HOUR, INCLUDED, PRIMARY

SHOP = RecoveryGroup("shop", GroupMembers({"App": ("shop",)}), ("db", "app"))
WINDOWS = "ami-0abcdef1234567892"


@pytest.fixture
def lab() -> InstanceDrillLab:
    return InstanceDrillLab(replace(INSTANCE_RULE, rto=timedelta(hours=1)))


def test_an_instance_is_launched_checked_and_leaves_nothing(lab: InstanceDrillLab) -> None:
    source_id = lab.machines.protected()
    before = lab.others()
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert (execution.status, evidence.cause) == ("SUCCEEDED", "")
    assert evidence.verdict is DrillVerdict.PASSED
    assert set(evidence.checks) == {"launched", "status_checks", "initialised", "within_rto", "removed"}
    assert set(evidence.checks.values()) == {CheckOutcome.PASSED}
    [drilled] = evidence.run.instances
    assert drilled.instance_id == source_id == evidence.run.volume_id
    assert len(drilled.volumes) == len(drilled.points) == 3
    assert evidence.run.asked_at < drilled.running_at < drilled.checked_at  # type: ignore[operator]
    assert (lab.standing(), lab.held(), lab.ledger.open) == ([], [], ())
    assert lab.others() == before
    assert list(problems_of_chain(lab.ledger, lab.texts)) == []
    assert "status checks" in lab.lab.runner.composition.pages.pages[f"drills/{evidence.run.id}.html"]
    assert {lab.ledger.last_passed(volume_id, "weekly") for volume_id in drilled.volumes} == {lab.ledger.ended[0]}


def test_everything_carries_the_drill_and_nothing_of_the_source_beyond_its_disks(lab: InstanceDrillLab) -> None:
    seen: dict[str, dict[str, str]] = {}
    launched: dict[str, Any] = {}
    lab.machines.protected(UserData="#!/bin/sh", MetadataOptions={"HttpTokens": "optional"})

    def look() -> None:
        for instance in lab.instances():
            launched.update(instance if instance["State"]["Name"] == "running" else {})
            seen[instance["InstanceId"]] = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        for image in lab.lab.ec2(DR).describe_images(Owners=["self"])["Images"]:
            seen[image["ImageId"]] = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
        seen.update({name: lab.lab.tags(name, DR) for name in lab.made()})

    watch(lab, look)
    lab.drill()
    [run] = [evidence.run for evidence in lab.evidences()]
    assert len(seen) == 5, "an AMI, an instance and three volumes"
    for tags in seen.values():
        assert set(tags) == {DRILL, DRILL_END, "Name", "snapkeep:instance", "snapkeep:system"}
        assert tags[DRILL] == run.id
    assert (launched["SubnetId"], launched["MetadataOptions"]["HttpTokens"]) == (lab.network["subnet"], "required")
    assert [group["GroupId"] for group in launched["SecurityGroups"]] == [lab.network["group"]]
    assert not {"KeyName", "IamInstanceProfile"} & launched.keys()
    attributes = lab.lab.world.region_account(DR).instances[launched["InstanceId"]].attributes
    assert attributes["UserData"] == ""


def test_a_smaller_type_is_launched_in_place_of_the_recorded_one() -> None:
    lab = InstanceDrillLab(replace(INSTANCE_RULE, map=DrillMap({"m5.large": "t3.medium"})))
    lab.machines.protected()
    seen: set[str] = set()
    watch(lab, lambda: seen.update(instance["InstanceType"] for instance in lab.instances()))
    [execution] = lab.drill()
    assert (execution.status, seen) == ("SUCCEEDED", {"t3.medium"})


def test_the_evidence_counts_the_instances_as_long_as_they_ran() -> None:
    lab = InstanceDrillLab(replace(INSTANCE_RULE, instance_price="3600 USD/hour"))
    lab.machines.protected()
    lab.drill()
    [evidence] = lab.evidences()
    run = evidence.run
    ran = run.removed_at - run.instances[0].running_at  # type: ignore[operator]
    assert evidence.dollars == pytest.approx(ran.total_seconds(), abs=0.01), "the volumes cost less than a cent"
    assert list(problems_of_chain(lab.ledger, lab.texts)) == []


def test_an_unknown_price_of_instances_is_reported(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    [run] = (choice := lab.begin.choose(lab.rule, ())).runs
    assert "for volumes; the price of the instances is not known" in "\n".join(choice_lines(lab.rule, choice))
    evidence = evidence_of(run, "", "")
    assert "price: 0.00 USD for volumes; the price of the instances is not known" in "\n".join(evidence_lines(evidence))
    assert "the price of the instances is not known" in render_drill(evidence)


def watch(lab: InstanceDrillLab, look: Callable[[], object]) -> None:
    """Look at each call of EC2 and of the bucket."""
    lab.lab.runner.composition.hook = lambda _: look()
    lab.lab.runner.composition._built.clear()  # ports made before have no hook


WAYS = {
    "internet": {"GatewayId": "igw-1"},
    "NAT": {"NatGatewayId": "nat-1"},
    "transit": {"TransitGatewayId": "tgw-1"},
    "peering": {"VpcPeeringConnectionId": "pcx-1"},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_network_with_a_route_out_launches_nothing(lab: InstanceDrillLab, way: str) -> None:
    lab.machines.protected()
    ec2 = lab.lab.ec2(DR)
    filters = [{"Name": "vpc-id", "Values": [lab.network["vpc"]]}]
    (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", **WAYS[way])
    refused(lab, f"{lab.network['vpc']} has a route to 0.0.0.0/0 by {next(iter(WAYS[way].values()))}")


def test_a_network_with_an_endpoint_launches_nothing(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    made = lab.lab.ec2(DR).create_vpc_endpoint(VpcId=lab.network["vpc"], ServiceName="com.amazonaws.us-east-2.s3")
    refused(lab, f"has the endpoint {made['VpcEndpoint']['VpcEndpointId']} to com.amazonaws.us-east-2.s3")


def test_a_security_group_with_egress_launches_nothing(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    rule = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    lab.lab.ec2(DR).authorize_security_group_egress(GroupId=lab.network["group"], IpPermissions=[rule])
    refused(lab, f"security group {lab.network['group']} lets traffic out to 0.0.0.0/0")


def refused(lab: InstanceDrillLab, words: str) -> None:
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert (execution.status, execution.error) == ("FAILED", "DrillFailed")
    assert "NotIsolated: nothing was made, as the network of drills is not isolated" in evidence.cause
    assert words in evidence.cause
    assert evidence.checks["launched"] == CheckOutcome.NOT_RUN
    assert (lab.instances(), lab.standing(), lab.held()) == ([], [], [])


def test_a_route_out_that_is_made_during_the_drill_stops_the_launch(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    lab.begin.run()
    while not lab.machines.images():
        lab.lab.runner.advance(1)
    lab.lab.ec2(DR).create_vpc_endpoint(VpcId=lab.network["vpc"], ServiceName="com.amazonaws.us-east-2.ssm")
    lab.lab.runner.advance(HOUR)
    [evidence] = lab.evidences()
    assert "is not isolated" in evidence.cause
    assert (lab.instances(), lab.standing()) == ([], [])


def test_without_a_network_for_drills_the_command_that_makes_it_is_named() -> None:
    lab = InstanceDrillLab(isolated=False)
    lab.machines.protected()
    lab.drill()
    [evidence] = lab.evidences()
    assert "`snapkeep deploy --only drill` makes one" in evidence.cause
    assert lab.standing() == []


def test_an_instance_whose_licence_the_copy_lacks_is_not_launched(lab: InstanceDrillLab) -> None:
    lab.machines.protected(WINDOWS)
    lab.drill()
    [evidence] = lab.evidences()
    assert "would be billed as Linux/UNIX (RunInstances), the instance was billed as Windows" in evidence.cause
    assert (lab.instances(), lab.standing()) == ([], [])


def test_status_checks_that_fail_end_the_drill_and_everything_is_removed(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    lab.lab.world.add_fault(FaultRule("status_check_fails", region=DR))
    lab.drill()
    [evidence] = lab.evidences()
    assert evidence.checks["launched"] == CheckOutcome.PASSED
    assert evidence.checks["status_checks"] == CheckOutcome.FAILED
    assert "did not pass its status checks" in evidence.cause
    assert (lab.standing(), lab.held()) == ([], [])


def test_the_next_sweep_removes_what_a_drill_left(lab: InstanceDrillLab) -> None:
    lab.machines.protected()
    lab.begin.run()
    while not lab.instances():
        lab.lab.runner.advance(5)
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, code="UnauthorizedOperation", http_status=403, action="TerminateInstances")
    )
    lab.lab.world.add_fault(
        FaultRule("api_error", region=DR, code="UnauthorizedOperation", http_status=403, action="DeregisterImage")
    )
    lab.lab.runner.advance(25 * HOUR)
    assert [name.partition("-")[0] for name in lab.standing()] == ["i", "ami", "vol", "vol", "vol"]
    lab.lab.world.set_faults(Faults())
    report = lab.sweep()
    assert "drill_left" in {item.kind.value for item in report.items}
    assert (lab.standing(), lab.held()) == ([], [])


@pytest.mark.parametrize("wait", GroupWait)
def test_a_group_is_drilled_in_its_order_in_one_run(wait: GroupWait) -> None:
    lab = InstanceDrillLab(replace(INSTANCE_RULE, group="shop"), groups=(replace(SHOP, wait=wait),))
    shop = [
        lab.machines.launch(tags={**INCLUDED, "App": app, "Name": name}, BlockDeviceMappings=[])
        for app, name in (("shop", "web"), ("shop", "app"), ("shop", "db"), ("blog", "blog"))
    ]
    for instance_id in shop * 2:  # so that all of them have points of one moment
        protect_set(lab.lab, instance_id)
    other = shop.pop()
    lab.lab.world.take_region_away(PRIMARY)
    launches: dict[str, Any] = {}
    watch(lab, lambda: launches.update({one["InstanceId"]: one["LaunchTime"] for one in lab.instances()}))
    [execution] = lab.drill()
    [evidence] = lab.evidences()
    assert (execution.status, evidence.cause) == ("SUCCEEDED", "")
    run = evidence.run
    assert (run.volume_id, [instance.stage for instance in run.instances]) == ("shop", [0, 1, 2])
    assert other not in [instance.instance_id for instance in run.instances]
    for before, after in zip(run.instances, run.instances[1:], strict=False):
        ready = before.checked_at if wait is GroupWait.CHECKS else before.running_at
        assert launches[after.restored_id] >= ready
    assert run.usable_after == max(instance.checked_at for instance in run.instances) - run.asked_at  # type: ignore[type-var,operator]
    assert lab.standing() == []
    assert list(problems_of_chain(lab.ledger, lab.texts)) == []


def test_instances_take_turns(lab: InstanceDrillLab) -> None:
    first, second = (lab.machines.protected(BlockDeviceMappings=[]) for _ in range(2))
    lab.drill()
    lab.drill()
    assert {evidence.run.volume_id for evidence in lab.evidences()} == {first, second}
