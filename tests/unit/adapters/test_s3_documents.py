"""Documents in a bucket, and those in memory that stand for them: both behave alike."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from snapkeep.adapters import s3_documents
from snapkeep.adapters.s3_documents import S3Documents
from snapkeep.domain.errors import DocumentChanged, DocumentNotFound
from snapkeep.lab.simulator import memory_ports
from snapkeep.lab.simulator.memory_ports import MemoryDocuments
from snapkeep.usecases.recovery.record_ports import LISTED, Documents

requests: list[str] = []


@pytest.fixture(params=["memory", "s3"])
def documents(request: pytest.FixtureRequest) -> Iterator[Documents]:
    if request.param == "memory":
        yield MemoryDocuments()
        return
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        client.create_bucket(Bucket="bucket")
        client.meta.events.register("before-call", lambda model, **_: requests.append(model.name))
        yield S3Documents(client=client, bucket="bucket")


def test_a_document_is_written_over_the_version_that_was_read(documents: Documents) -> None:
    first = documents.put("a", "one")
    with pytest.raises(DocumentChanged):
        documents.put("a", "two")
    second = documents.put("a", "two", first)
    with pytest.raises(DocumentChanged):
        documents.put("a", "three", first)
    assert (documents.get("a").text, documents.get("a").version) == ("two", second)


def test_a_missing_document_is_reported_as_missing(documents: Documents) -> None:
    with pytest.raises(DocumentNotFound):
        documents.get("a")


def test_the_first_keys_take_one_request(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LISTED == 1000
    for module in (s3_documents, memory_ports):
        monkeypatch.setattr(module, "LISTED", 3)
    names = ("-usual-7", "A", "a", "b", "é")
    for name in reversed(names):
        documents.put(f"day/{name}", "")
    documents.put("another/-", "")
    requests.clear()
    assert documents.first_keys("day/") == ["day/-usual-7", "day/A", "day/a"]
    assert documents.first_keys("nothing/") == []
    assert requests == ["ListObjectsV2"] * (2 if isinstance(documents, S3Documents) else 0)
    assert documents.keys("day/") == [f"day/{name}" for name in names]
