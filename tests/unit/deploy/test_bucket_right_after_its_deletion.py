"""S3 answers 409 while it still deletes a bucket of the name: `deploy` right after `destroy` waits for it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from snapkeep.deploy.buckets import ArtifactBucket


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "CreateBucket")  # type: ignore[typeddict-item]


class S3:
    """A region's S3 without the bucket, which refuses its first creations."""

    meta = type("Meta", (), {"endpoint_url": "http://127.0.0.1:4566"})

    def __init__(self, *refusals: str) -> None:
        self.refusals = list(refusals)
        self.created = 0

    def head_bucket(self, **_: Any) -> None:
        raise refusal("404")

    def create_bucket(self, **_: Any) -> None:
        if self.refusals:
            raise refusal(self.refusals.pop(0))
        self.created += 1

    def put_public_access_block(self, **_: Any) -> None:
        """Do nothing."""

    def put_bucket_encryption(self, **_: Any) -> None:
        """Do nothing."""


def bucket(s3: S3, pauses: list[float]) -> ArtifactBucket:
    return ArtifactBucket(s3, "snapkeep-123456789012-us-east-2", "123456789012", "us-east-2", pause=pauses.append)


def test_a_creation_that_meets_the_deletion_is_retried() -> None:
    s3, pauses = S3("OperationAborted", "OperationAborted"), list[float]()
    assert bucket(s3, pauses).ensure({})
    assert (s3.created, len(pauses)) == (1, 2)


def test_a_deletion_that_does_not_end_is_reported() -> None:
    s3, pauses = S3(*["OperationAborted"] * 100), list[float]()
    with pytest.raises(ClientError, match="OperationAborted"):
        bucket(s3, pauses).ensure({})
    assert 60 <= sum(pauses) <= 300


def test_another_refusal_is_not_retried() -> None:
    s3, pauses = S3("AccessDenied"), list[float]()
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket(s3, pauses).ensure({})
    assert pauses == []
