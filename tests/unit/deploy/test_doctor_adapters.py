"""The doctor's adapters of IAM and EC2: simulations and dry runs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.deploy.doctor.account import AwsAccount
from snapkeep.deploy.doctor.checks import key_check
from snapkeep.deploy.doctor.cloudtrail import recording_trails
from snapkeep.deploy.doctor.ec2 import Ec2Facts
from snapkeep.deploy.doctor.kms import key_facts
from snapkeep.deploy.doctor.ports import Caller, PermissionQuestion, RecordingTrail
from snapkeep.deploy.doctor.results import Check, CheckState
from snapkeep.domain.errors import AwsRefused, AwsThrottled

ACCOUNT = "123456789012"
PERSON = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/person", "aws")


class Iam:
    """IAM that has one role with a path, and answers simulations."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[Mapping[str, Any]] = []

    def get_role(self, RoleName: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/team/{RoleName}"}}

    def simulate_principal_policy(self, **request: Any) -> Mapping[str, Any]:
        self.asked.append(request)
        return {"EvaluationResults": self.answers}


QUESTION = PermissionQuestion(("s3:GetObject", "s3:PutObject"), "arn:aws:s3:::bucket/key")


def test_a_sessions_role_is_simulated_with_its_path() -> None:
    iam = Iam(
        {"EvalActionName": "s3:GetObject", "EvalDecision": "allowed"},
        {"EvalActionName": "s3:PutObject", "EvalDecision": "implicitDeny"},
    )
    session = replace(PERSON, arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me")
    assert AwsAccount(sts=None, iam=iam).denied(session, QUESTION) == ["s3:PutObject"]
    (asked,) = iam.asked
    assert asked == {
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/team/deployer",
        "ActionNames": ["s3:GetObject", "s3:PutObject"],
        "ResourceArns": ["arn:aws:s3:::bucket/key"],
    }


def test_a_denial_for_want_of_context_is_no_denial() -> None:
    answer = {"EvalActionName": "s3:PutObject", "EvalDecision": "implicitDeny", "MissingContextValues": ["aws:CalledVia"]}
    assert AwsAccount(sts=None, iam=Iam(answer)).denied(PERSON, QUESTION) == []


def test_a_federated_user_cannot_be_simulated() -> None:
    with pytest.raises(AwsRefused, match="can be simulated"):
        AwsAccount(sts=None, iam=Iam()).denied(replace(PERSON, arn=f"arn:aws:sts::{ACCOUNT}:federated-user/x"), QUESTION)


class DryRuns:
    """EC2 that answers dry runs with a code for each call."""

    def __init__(self, **codes: str) -> None:
        self.codes = codes

    def __getattr__(self, operation: str) -> Any:
        def call(*, DryRun: bool) -> None:  # noqa: N803 - boto3's name
            assert DryRun
            raise ClientError({"Error": {"Code": self.codes.get(operation, "DryRunOperation"), "Message": ""}}, operation)

        return call


def test_a_dry_run_tells_a_denied_call_from_a_permitted_one() -> None:
    assert Ec2Facts(DryRuns()).denied_reads() == []
    assert Ec2Facts(DryRuns(describe_locked_snapshots="UnauthorizedOperation")).denied_reads() == ["ec2:DescribeLockedSnapshots"]
    with pytest.raises(AwsThrottled):
        Ec2Facts(DryRuns(describe_images="RequestLimitExceeded")).denied_reads()


class Kms:
    """KMS that refuses DescribeKey."""

    def __init__(self, code: str) -> None:
        self.code = code

    def describe_key(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": self.code, "Message": "refused"}}, "DescribeKey")


def test_a_missing_key_is_a_problem_and_a_refused_one_unknown() -> None:
    absent = key_facts(Kms("NotFoundException"), "alias/no-such-key")
    result = key_check(Check.COPY_KEY, "us-east-2", absent, "123456789012")
    assert (result.state, result.text) == (CheckState.PROBLEM, "there is no key alias/no-such-key")
    with pytest.raises(AwsRefused):
        key_facts(Kms("AccessDeniedException"), "alias/dr")


def selectors(**selector: Any) -> Mapping[str, Any]:
    return {"EventSelectors": [selector]}


def advanced(**fields: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": name, **field} for name, field in fields.items()]}]}


class Trails:
    """CloudTrail with one trail of all regions, whose home is another region than the examined one."""

    def __init__(self, selected: Mapping[str, Any], *, logging: bool = True, readable: bool = True) -> None:
        self.selected, self.logging, self.readable = selected, logging, readable
        self.region = "us-east-2"

    def __call__(self, service: str, region: str = "us-east-2") -> Trails:
        there = copy(self)
        there.region = region
        return there

    def describe_trails(self, includeShadowTrails: bool) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        return {"trailList": [{"Name": "all", "TrailARN": "arn:all", "HomeRegion": "us-east-1"}]}

    def get_trail_status(self, Name: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        return {"IsLogging": self.logging}

    def get_event_selectors(self, TrailName: str) -> Mapping[str, Any]:  # noqa: N803 - boto3's name
        if self.region != "us-east-1" or not self.readable:
            raise ClientError({"Error": {"Code": "TrailNotFoundException"}}, "GetEventSelectors")
        return self.selected


MANAGEMENT = {"Equals": ["Management"]}
WITHOUT_KMS = {"NotEquals": ["kms.amazonaws.com"]}


@pytest.mark.parametrize(
    ("selected", "with_kms"),
    [
        (selectors(IncludeManagementEvents=True, ReadWriteType="All"), True),
        (selectors(ReadWriteType="WriteOnly"), True),
        (selectors(ExcludeManagementEventSources=["kms.amazonaws.com"]), False),
        (advanced(eventCategory=MANAGEMENT), True),
        (advanced(eventCategory=MANAGEMENT, readOnly={"Equals": ["false"]}), True),
        (advanced(eventCategory=MANAGEMENT, eventSource=WITHOUT_KMS), False),
    ],
)
def test_a_trail_of_writing_management_events_counts(selected: Mapping[str, Any], with_kms: bool) -> None:
    assert recording_trails(Trails(selected)) == [RecordingTrail("all", with_kms)]
    assert recording_trails(Trails(selected, logging=False)) == []


@pytest.mark.parametrize(
    "selected",
    [
        selectors(IncludeManagementEvents=False),
        selectors(ReadWriteType="ReadOnly"),
        advanced(eventCategory={"Equals": ["Data"]}),
        advanced(eventCategory=MANAGEMENT, readOnly={"Equals": ["true"]}),
    ],
)
def test_a_trail_of_other_events_does_not(selected: Mapping[str, Any]) -> None:
    assert recording_trails(Trails(selected)) == []


def test_events_of_an_organizations_trail_are_not_known() -> None:
    with pytest.raises(AwsRefused, match="get_event_selectors"):
        recording_trails(Trails(selectors(), readable=False))
