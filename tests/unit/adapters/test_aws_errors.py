"""AWS's error codes become ours: those that say "later" are tried again by the state machines."""

from __future__ import annotations

import re

import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.parsers import ResponseParserError

from snapkeep.adapters.aws_errors import dry_run, translate, translated
from snapkeep.deploy.operations import OPERATIONS
from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, CopyQuotaReached, SnapkeepError, SnapshotGone


def codes_of_throttling() -> list[str]:
    """The code of every error by which an operation that functions call says that it, or its key, is asked too often."""
    session, found = botocore.session.get_session(), set[str]()
    for service, operations in OPERATIONS.items():
        model = session.get_service_model(service)
        for shape in (shape for operation in operations for shape in model.operation_model(operation).error_shapes):
            if re.search("throttl", shape.name, re.IGNORECASE):
                found.add(shape.metadata.get("error", {}).get("code", shape.name))
    return sorted(found)


# Beside those of the models: what EC2 answers (EC2 developer guide), what any service may (botocore: _retry.json), what SQS
# puts on the wire for KmsThrottled for the sake of older clients (its model's awsQueryError), and SNS for ThrottledException.
@pytest.mark.parametrize(
    "code",
    [*codes_of_throttling(), "RequestLimitExceeded", "Throttling", "ThrottlingException", "KMS.ThrottlingException", "Throttled"],
)
def test_being_throttled_has_many_names(code: str) -> None:
    answer = {"Error": {"Code": code, "Message": "later"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    assert isinstance(translate(ClientError(answer, "Publish"), "publish"), AwsThrottled)  # type: ignore[arg-type]


def failed(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "CopySnapshot")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (failed("InvalidParameterValue"), AwsRefused),
        (failed("Unknown", 499), AwsRefused),
        (failed("Unknown", 500), AwsUnavailable),
        (failed("Unknown", 503), AwsUnavailable),
        *((failed(code), AwsUnavailable) for code in ("InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable")),
        (failed("RequestLimitExceeded", 503), AwsThrottled),
        (failed("InvalidSnapshot.NotFound"), SnapshotGone),
        (failed("InvalidSnapshotID.NotFound"), SnapshotGone),
        (failed("ResourceLimitExceeded"), CopyQuotaReached),
        (failed("ConcurrentSnapshotLimitExceeded"), CopyQuotaReached),
        (failed("PendingSnapshotLimitExceeded"), CopyQuotaReached),
        (ConnectTimeoutError(endpoint_url="https://ec2"), AwsUnavailable),
        (ResponseParserError("no XML:\nb'<all of the answer'"), AwsUnavailable),
    ],
    ids=str,
)
def test_an_error_of_aws_becomes_the_one_that_the_state_machines_match(error: Exception, kind: type[SnapkeepError]) -> None:
    translation = translate(error, "copy_snapshot")
    assert type(translation) is kind
    assert str(translation).startswith("copy_snapshot: ")
    with pytest.raises(kind), translated("copy_snapshot"):
        raise error


class DryRuns:
    """An EC2 client that answers dry runs by an error."""

    def __init__(self, error: ClientError) -> None:
        self._error = error

    def create_volume(self, *, DryRun: bool) -> None:  # noqa: N803 - boto3's
        assert DryRun
        raise self._error


def test_a_dry_run_is_a_refusal_only_where_ec2_refuses() -> None:
    """A call that is throttled, or that AWS fails, shows nothing about the request."""
    assert dry_run(DryRuns(failed("DryRunOperation", 412)), "create_volume") == ""
    assert dry_run(DryRuns(failed("UnauthorizedOperation", 403)), "create_volume").startswith("create_volume: Unauthorized")
    with pytest.raises(AwsThrottled):
        dry_run(DryRuns(failed("RequestLimitExceeded", 503)), "create_volume")
    with pytest.raises(AwsUnavailable):
        dry_run(DryRuns(failed("InternalError", 500)), "create_volume")
