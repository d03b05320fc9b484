"""The document in Parameter Store: no stack makes its parameter, so the first version that is pushed does."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_ssm import SSMClient

from snapkeep.adapters.ssm_policies import SsmPolicyStore
from snapkeep.domain.errors import AwsRefused, DocumentAbsent

NAME, REGION = "/snapkeep-blue/policy", "eu-west-1"


@pytest.fixture
def store(ssm: SSMClient) -> SsmPolicyStore:
    return SsmPolicyStore(client=ssm, name=NAME, region=REGION)


def tags_of(ssm: SSMClient) -> dict[str, str]:
    listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=NAME)["TagList"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def test_without_a_push_there_is_no_document_and_no_history(store: SsmPolicyStore) -> None:
    with pytest.raises(DocumentAbsent):
        store.current()
    assert store.history() == []


def test_the_first_version_makes_the_parameter_with_the_systems_tag(ssm: SSMClient, store: SsmPolicyStore) -> None:
    assert store.put('{"version": 1}', advanced=False) == 1
    assert tags_of(ssm) == {"snapkeep:system": "snapkeep-blue"}
    assert store.put('{"version": 1, "policies": []}', advanced=False) == 2
    assert store.current().text == '{"version": 1, "policies": []}'
    assert [stored.version for stored in store.history()] == [2, 1]
    assert tags_of(ssm) == {"snapkeep:system": "snapkeep-blue"}


def test_removing_a_document_keeps_its_former_versions(store: SsmPolicyStore) -> None:
    store.put('{"version": 1}', advanced=False)
    store.remove()
    with pytest.raises(DocumentAbsent):
        store.current()
    assert [stored.text for stored in store.history() if stored.text != "{}"] == ['{"version": 1}']


def test_removing_a_document_that_was_never_pushed_makes_nothing(ssm: SSMClient, store: SsmPolicyStore) -> None:
    store.remove()
    assert ssm.describe_parameters()["Parameters"] == []


def test_a_push_recreates_a_parameter_that_was_deleted(ssm: SSMClient, store: SsmPolicyStore) -> None:
    store.put('{"version": 1}', advanced=False)
    ssm.delete_parameter(Name=NAME)
    with pytest.raises(DocumentAbsent):
        store.current()
    assert store.put('{"version": 1}', advanced=False) == 1
    assert tags_of(ssm) == {"snapkeep:system": "snapkeep-blue"}


class Refusing:
    """An SSM client that refuses every parameter, and remembers what it was given."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.given: list[dict[str, Any]] = []

    def put_parameter(self, **given: Any) -> dict[str, Any]:
        self.given.append(given)
        raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "PutParameter")


@pytest.mark.parametrize(("advanced", "tier"), [(False, "Intelligent-Tiering"), (True, "Advanced")])
def test_each_version_is_put_with_the_tier_that_it_needs(advanced: bool, tier: str) -> None:
    client = Refusing("ParameterAlreadyExists")
    with pytest.raises(AwsRefused):
        SsmPolicyStore(client=client, name=NAME, region=REGION).put("{}", advanced=advanced)  # type: ignore[arg-type]
    assert [(given["Tier"], given.get("Overwrite", False)) for given in client.given] == [(tier, False), (tier, True)]


def test_a_parameter_that_may_not_be_made_is_not_written_over() -> None:
    client = Refusing("AccessDeniedException")
    with pytest.raises(AwsRefused):
        SsmPolicyStore(client=client, name=NAME, region=REGION).put("{}", advanced=False)  # type: ignore[arg-type]
    assert [given.get("Overwrite", False) for given in client.given] == [False]
