"""Holds in Parameter Store: one parameter for each, read page by page; one that cannot be read is an error."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mypy_boto3_ssm import SSMClient

from snapkeep.adapters.ssm_holds import SsmHolds
from snapkeep.domain.errors import InvalidConfiguration
from support.placing import hold

PATH, REGION = "/snapkeep-blue/holds", "eu-west-1"


@pytest.fixture
def store(ssm: SSMClient) -> SsmHolds:
    return SsmHolds(client=ssm, path=PATH, region=REGION)


def test_holds_of_several_pages_are_read_and_released(ssm: SSMClient, store: SsmHolds) -> None:
    placed = [hold(f"hold-{number}", volumes=(f"vol-{number}",)) for number in range(23)]  # a page has ten
    for one in placed:
        store.place(one)
    assert sorted(store.all(), key=lambda one: int(one.id[5:])) == placed
    assert (store.release("hold-7"), store.release("hold-7")) == (True, False)
    assert len(store.all()) == 22
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=f"{PATH}/hold-1")["TagList"]
    assert tags == [{"Key": "snapkeep:system", "Value": "snapkeep-blue"}]


def test_a_hold_that_is_written_again_is_unchanged(store: SsmHolds) -> None:
    store.place(hold("hold-1", volumes=("vol-1",)))
    store.place(hold("hold-1", volumes=("vol-2",)))
    assert store.all() == [hold("hold-1", volumes=("vol-1",))]


@pytest.mark.parametrize("value", ["{broken", "{}", '{"id": "x", "by": "y", "since": "soon", "reason": "z", "review_after": 1}'])
def test_a_hold_that_cannot_be_read_is_an_error_that_names_it(ssm: SSMClient, store: SsmHolds, value: str) -> None:
    ssm.put_parameter(Name=f"{PATH}/by-hand", Value=value, Type="String")
    with pytest.raises(InvalidConfiguration, match="by-hand in eu-west-1"):
        store.all()


def test_a_reason_that_ssm_would_expand_is_written_escaped(ssm: SSMClient, store: SsmHolds) -> None:
    """PutParameter refuses a value with `{{…}}` in it (ssm 2014-11-06)."""
    odd = replace(hold(), reason="{{resolve}} é")
    store.place(odd)
    assert "{{" not in ssm.get_parameter(Name=f"{PATH}/hold-1")["Parameter"]["Value"]
    assert store.all() == [odd]


def test_a_hold_larger_than_a_parameter_is_refused(store: SsmHolds) -> None:
    with pytest.raises(InvalidConfiguration, match="place several"):
        store.place(hold(snapshots=tuple(f"snap-{number:017x}" for number in range(200))))
