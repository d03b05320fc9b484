"""The translation of AWS's errors, once, at the edge, into the names that the state machines match."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from snapkeep.domain.errors import (
    RETRYABLE,
    AwsRefused,
    AwsThrottled,
    AwsUnavailable,
    CopyQuotaReached,
    SnapkeepError,
    SnapshotGone,
)

THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "Throttled",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "RequestThrottled",
        "RequestThrottledException",
        "EC2ThrottledException",
        "SnapshotCreationPerVolumeRateExceeded",
        "KMSThrottling",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "KmsThrottlingException",
    }
)
"""EC2 developer guide, "Request throttling"; the other services' names from their service models.

A service that KMS throttles reports it under its own names, which botocore does not retry by itself.
"""

COPY_QUOTA = frozenset({"ResourceLimitExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"})
"""EC2 API reference, "Error codes": too many copies, or pending snapshots, at once."""

GONE = frozenset({"InvalidSnapshot.NotFound", "InvalidSnapshotID.NotFound"})

UNAVAILABLE = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "ServiceUnavailable", "Unavailable"}
)
SERVER_FAULT = 500
KnownErrors: TypeAlias = Mapping[str, Callable[[str], SnapkeepError]]
"""AWS's code -> the function that makes an error from AWS's message, for a call with a special meaning of the code."""


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's error message."""
    return str(error.response.get("Error", {}).get("Message", ""))


def translate(error: Exception, doing: str) -> SnapkeepError:
    """Return Snapkeep's error for one of botocore's; `doing` names the call."""
    # There is no answer: a time-out, a broken connection, no route. AWS may have carried out the request.
    if not isinstance(error, ClientError):
        # The error about an answer that is not XML has the whole answer in its later lines.
        return AwsUnavailable(f"{doing}: {str(error).partition(chr(10))[0]}")
    code, text = code_of(error), f"{doing}: {code_of(error)}: {message_of(error)}"
    if code in THROTTLED:
        return AwsThrottled(text)
    if code in GONE:
        return SnapshotGone(text)
    if code in COPY_QUOTA:
        return CopyQuotaReached(text)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # A server error is temporary: retry it. Other errors are refusals, which would recur.
    if code in UNAVAILABLE or status >= SERVER_FAULT:
        return AwsUnavailable(text)
    return AwsRefused(text)


@contextmanager
def translated(doing: str, known: KnownErrors = MappingProxyType({})) -> Iterator[None]:
    """Raise Snapkeep's errors instead of botocore's; `doing` names the call."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        if isinstance(error, ClientError) and (make := known.get(code_of(error))):
            raise make(message_of(error)) from error
        raise translate(error, doing) from error


def accepted(call: Callable[..., Any], doing: str, refusals: Collection[str], **request: Any) -> bool:
    """Call an operation; return False if AWS refuses it with one of these codes.

    Raise Snapkeep's errors; `doing` names the call.
    """
    with translated(doing):
        try:
            call(**request)
        except ClientError as error:
            if code_of(error) in refusals:
                return False
            raise
    return True


def dry_run(client: Any, operation: str, **request: Any) -> str:
    """Return why EC2 would refuse an operation, by a dry run; empty if it would not.

    Raise AwsThrottled or AwsUnavailable if EC2 does not answer.
    """
    with translated(operation):
        try:
            getattr(client, operation)(**request, DryRun=True)
        except ClientError as error:
            if isinstance(translate(error, operation), RETRYABLE):
                raise
            return "" if code_of(error) == "DryRunOperation" else f"{operation}: {code_of(error)}: {message_of(error)}"
    return ""


def pages(
    client: Any,
    operation: str,
    request: Mapping[str, Any],
    doing: str,
    *,
    more: str = "NextToken",
    sent_as: str = "",
    nothing: Collection[str] = (),
) -> Iterator[Any]:
    """Yield the pages of an operation's answer.

    Raise Snapkeep's errors; `doing` names the call. `more` is the token of a page while more follow, `sent_as` its parameter in
    the request for the next page. Error codes in `nothing` mean that there is no page.
    """
    query = dict(request)
    call = getattr(client, operation)
    while True:
        try:
            page = call(**query)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            if isinstance(error, ClientError) and code_of(error) in nothing:
                return
            raise translate(error, doing) from error
        yield page
        if not page.get(more):
            return
        # A page may be empty and still have a token (EC2 API reference: pagination).
        query[sent_as or more] = page[more]
