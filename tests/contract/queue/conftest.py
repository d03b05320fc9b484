"""The queues of the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from snapkeep.adapters.dynamodb_queue import DynamoDbQueue
from snapkeep.usecases.ports import CopyQueue
from support.queues import REGION, TABLE, CountingClient, CountingQueue, Subject, make_table


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        make_table(client)
        yield client


@pytest.fixture(params=["memory", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "memory":
        memory = CountingQueue(region=REGION)
        return Subject(memory, lambda: memory.items)
    counting = CountingClient(request.getfixturevalue("table"))
    return Subject(DynamoDbQueue(client=counting, table=TABLE, region=REGION), lambda: counting.items)


@pytest.fixture
def queue(subject: Subject) -> CopyQueue:
    return subject.queue
