"""The roles of drills of instances: where they launch, and which commands they run."""

from __future__ import annotations

import re

from snapkeep.domain.policy.shapes import DRILL_DOCUMENT_PATTERN
from support.templates import all_statements, statements

SYSTEM = {"Fn::Sub": "snapkeep${FunctionNameSuffix}"}


def of_drill(key: str) -> dict[str, dict[str, object]]:
    """The condition that a drill's two tags are those of a resource, or of a request."""
    return {"Null": {f"aws:{key}/snapkeep:drill": "false"}, "StringEquals": {f"aws:{key}/snapkeep:system": SYSTEM}}


def test_images_of_drills_have_their_tags_from_the_making_call() -> None:
    registering = [one for one in statements("dr", "MakeForDrillRole") if "ec2:RegisterImage" in one.actions]
    (image,) = [one for one in registering if "image/*" in str(one.resources)]
    assert image.condition == of_drill("RequestTag")


def test_instances_of_drills_are_launched_in_their_network_alone() -> None:
    launching = [one for one in statements("dr", "MakeForDrillRole") if "ec2:RunInstances" in one.actions]
    kinds = {resource["Fn::Sub"].rpartition(":")[2]: one.condition for one in launching for resource in one.resources}
    in_network = {"StringEquals": {"aws:ResourceTag/snapkeep:drill-network": SYSTEM}}
    assert (kinds["subnet/*"], kinds["security-group/*"]) == (in_network, in_network)
    assert kinds["image/*"] == of_drill("ResourceTag")
    with_tokens = {"StringEqualsIfExists": {"ec2:MetadataHttpTokens": "required"}}
    assert kinds["instance/*"] == kinds["volume/*"] == of_drill("RequestTag") | with_tokens
    assert kinds["snapshot/*"] == {"StringEquals": {"aws:ResourceTag/snapkeep:managed": SYSTEM}}
    assert kinds.keys() == {
        "image/*",
        "instance/*",
        "network-interface/*",
        "security-group/*",
        "snapshot/*",
        "subnet/*",
        "volume/*",
    }
    passing = [one for one in all_statements() if "iam:PassRole" in one.actions]
    role = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/snapkeep${FunctionNameSuffix}-drill-${AWS::Region}"}
    to_ec2 = {"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}
    assert [(one.role, one.actions, one.resources, one.condition) for one in passing] == [
        ("MakeForDrillRole", ("iam:PassRole",), (role,), to_ec2)
    ]


def test_commands_of_documents_for_drills_run_in_instances_of_drills_alone() -> None:
    sending = [one for one in statements("dr", "DrillRole") if "ssm:SendCommand" in one.actions]
    assert {one.role for one in all_statements() if "ssm:SendCommand" in one.actions} == {"DrillRole", "MakeSnapshotsRole"}
    resources_of = {resource["Fn::Sub"].rpartition(":")[2]: one.condition for one in sending for resource in one.resources}
    assert resources_of == {
        "document/snapkeep-drill-*": {},
        "instance/*": {
            "Null": {"ssm:resourceTag/snapkeep:drill": "false"},
            "StringEquals": {"ssm:resourceTag/snapkeep:system": SYSTEM},
        },
    }
    assert re.match(DRILL_DOCUMENT_PATTERN, "snapkeep-drill-check")
