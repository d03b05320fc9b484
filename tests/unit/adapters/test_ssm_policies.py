"""The document in Parameter Store: no stack makes its parameter, so the first version that is pushed does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from mypy_boto3_ssm import SSMClient

from snapkeep.adapters.ssm_policies import SsmPolicyStore
from snapkeep.domain.errors import AwsRefused, DocumentAbsent

NAME, REGION = "/snapkeep-blue/policy", "eu-west-1"


@pytest.fixture
def client() -> Iterator[SSMClient]:
    with mock_aws():
        yield boto3.client("ssm", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def store(client: SSMClient) -> SsmPolicyStore:
    return SsmPolicyStore(client=client, name=NAME, region=REGION)


def tags_of(client: SSMClient) -> dict[str, str]:
    listed = client.list_tags_for_resource(ResourceType="Parameter", ResourceId=NAME)["TagList"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def test_where_nothing_was_pushed_there_is_no_document_and_no_history(store: SsmPolicyStore) -> None:
    with pytest.raises(DocumentAbsent):
        store.current()
    assert store.history() == []


def test_the_first_version_makes_the_parameter_with_the_systems_tag(client: SSMClient, store: SsmPolicyStore) -> None:
    assert store.put('{"version": 1}', advanced=False) == 1
    assert tags_of(client) == {"snapkeep:system": "snapkeep-blue"}
    assert store.put('{"version": 1, "policies": []}', advanced=False) == 2
    assert store.current().text == '{"version": 1, "policies": []}'
    assert [stored.version for stored in store.history()] == [2, 1]
    assert tags_of(client) == {"snapkeep:system": "snapkeep-blue"}


def test_removing_a_document_keeps_its_former_versions(store: SsmPolicyStore) -> None:
    store.put('{"version": 1}', advanced=False)
    store.remove()
    with pytest.raises(DocumentAbsent):
        store.current()
    assert [stored.text for stored in store.history() if stored.text != "{}"] == ['{"version": 1}']


def test_removing_what_was_never_pushed_makes_nothing(client: SSMClient, store: SsmPolicyStore) -> None:
    store.remove()
    assert client.describe_parameters()["Parameters"] == []


def test_a_push_recreates_a_parameter_that_was_deleted(client: SSMClient, store: SsmPolicyStore) -> None:
    store.put('{"version": 1}', advanced=False)
    client.delete_parameter(Name=NAME)
    with pytest.raises(DocumentAbsent):
        store.current()
    assert store.put('{"version": 1}', advanced=False) == 1
    assert tags_of(client) == {"snapkeep:system": "snapkeep-blue"}


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
