"""The map: what takes the place of what, and the first one, which matches only what is one thing."""

from __future__ import annotations

from typing import Any

import pytest

from snapkeep.domain.errors import InvalidConfiguration
from snapkeep.domain.recovery.instance_map import InstanceMap, parse_map
from snapkeep.domain.recovery.record import newest_key
from support.flows import DR, PRIMARY
from support.recovering_instances import InstanceLab


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "write an object with the keys subnets"),
        ({"subnet": {}}, "subnet: no such key.*did you mean subnets"),
        ({"subnets": ["subnet-1"]}, "subnets: write what takes the place of what"),
        ({"subnets": {"subnet-1": None}}, "subnets.subnet-1: None: write the name or id that takes its place$"),
        ({"key_pairs": {"ops": 7}}, "key_pairs.ops: 7: write .* or null to launch without it"),
    ],
)
def test_a_wrong_map_names_the_key_and_a_valid_value(data: Any, words: str) -> None:
    with pytest.raises(InvalidConfiguration, match=words):
        parse_map(data)


def test_a_map_may_leave_a_key_pair_out() -> None:
    assert parse_map({"key_pairs": {"ops": None}}) == InstanceMap(key_pairs={"ops": ""})


@pytest.fixture
def lab() -> InstanceLab:
    return InstanceLab()


def test_the_first_map_matches_by_names_and_is_enough(lab: InstanceLab) -> None:
    source_id = lab.protected()
    proposed, notes = lab.first_map(source_id)
    assert (proposed.unmatched, notes) == ((), [])
    entries = proposed.entries
    assert entries.subnets == {lab.subnets[PRIMARY]: lab.subnets[DR]}
    assert entries.security_groups == {lab.groups[PRIMARY]: lab.groups[DR]}
    assert (entries.key_pairs, entries.instance_profiles) == ({"ops": "ops"}, {"web": "web"})
    assert [text.split(":")[0] for text in proposed.to_check] == [
        f"security_groups.{lab.groups[PRIMARY]}",
        "instance_profiles.web",
        "key_pairs.ops",
    ]
    plan = lab.plan(source_id, names={kind: dict(getattr(entries, kind)) for kind in ("subnets", "security_groups", "key_pairs")})
    assert [obstacle for obstacle in plan.obstacles if not obstacle.startswith("instance profile")] == []


def test_a_subnet_is_found_by_its_cidr_while_its_region_is_unreachable(lab: InstanceLab) -> None:
    source_id = lab.protected()
    lab.lab.world.take_region_away(PRIMARY)
    proposed, notes = lab.first_map(source_id)
    assert proposed.entries.subnets == {lab.subnets[PRIMARY]: lab.subnets[DR]}
    assert notes[0].startswith(f"{PRIMARY} was not looked at for the names of subnets")


def test_the_first_map_lists_unmatched_names(lab: InstanceLab) -> None:
    ec2 = lab.lab.ec2(DR)
    (subnet,) = ec2.describe_subnets(SubnetIds=[lab.subnets[DR]])["Subnets"]
    ec2.create_subnet(
        VpcId=subnet["VpcId"],
        CidrBlock="10.0.2.0/24",
        TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "private-a"}]}],
    )
    ec2.delete_security_group(GroupId=lab.groups[DR])
    default = lab.lab.ec2().describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])["SecurityGroups"]
    (own,) = lab.lab.ec2().describe_subnets(SubnetIds=[lab.subnets[PRIMARY]])["Subnets"]
    group_ids = [lab.groups[PRIMARY], *(group["GroupId"] for group in default if group["VpcId"] == own["VpcId"])]
    lab.lab.ec2().import_key_pair(KeyName="old", PublicKeyMaterial=b"ssh-ed25519 BBBB")
    source_id = lab.protected(KeyName="old", SecurityGroupIds=group_ids, Placement={"GroupName": "close"})
    proposed, _ = lab.first_map(source_id)
    assert not proposed.entries.security_groups
    assert not proposed.entries.subnets, "two subnets have its name"
    assert sorted(text.split(":")[0] for text in proposed.unmatched) == sorted(
        [
            f"subnets.{lab.subnets[PRIMARY]}",
            *(f"security_groups.{group_id}" for group_id in group_ids),
            "key_pairs.old",
            "placement_groups.close",
        ]
    )


def test_an_instance_without_a_record_has_no_first_map(lab: InstanceLab) -> None:
    with pytest.raises(Exception, match=newest_key("i-0123456789abcdef0")):
        lab.first_map("i-0123456789abcdef0")
