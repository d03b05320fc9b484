"""AWS's errors, translated once, at the edge, to the names that the state machines match on."""

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

A service that is throttled by KMS says so under names of its own, which botocore does not retry by itself.
"""

COPY_QUOTA = frozenset({"ResourceLimitExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"})
"""EC2 API reference, "Error codes": too many copies, or pending snapshots, at once."""

GONE = frozenset({"InvalidSnapshot.NotFound", "InvalidSnapshotID.NotFound"})

UNAVAILABLE = frozenset(
    {"InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "ServiceUnavailable", "Unavailable"}
)
SERVER_FAULT = 500
KnownErrors: TypeAlias = Mapping[str, Callable[[str], SnapkeepError]]
"""AWS's code -> what makes our error of AWS's message, for a call where the code has a meaning of its own."""


def code_of(error: ClientError) -> str:
    """Return AWS's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's error message."""
    return str(error.response.get("Error", {}).get("Message", ""))


def translate(error: Exception, doing: str) -> SnapkeepError:
    """Return our error for one of botocore's; `doing` names the call."""
    # No answer at all: a time-out, a broken connection, no route. The request may have been carried out.
    if not isinstance(error, ClientError):
        # The error of an answer that is no XML has the whole answer in its further lines.
        return AwsUnavailable(f"{doing}: {str(error).partition(chr(10))[0]}")
    code, text = code_of(error), f"{doing}: {code_of(error)}: {message_of(error)}"
    if code in THROTTLED:
        return AwsThrottled(text)
    if code in GONE:
        return SnapshotGone(text)
    if code in COPY_QUOTA:
        return CopyQuotaReached(text)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    # Whatever AWS calls its own fault passes: retry it. The rest is a refusal, which repeats.
    if code in UNAVAILABLE or status >= SERVER_FAULT:
        return AwsUnavailable(text)
    return AwsRefused(text)


@contextmanager
def translated(doing: str, known: KnownErrors = MappingProxyType({})) -> Iterator[None]:
    """Raise our errors instead of botocore's; `doing` names the call."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        if isinstance(error, ClientError) and (make := known.get(code_of(error))):
            raise make(message_of(error)) from error
        raise translate(error, doing) from error


def accepted(call: Callable[..., Any], doing: str, refusals: Collection[str], **request: Any) -> bool:
    """Call an operation; return False if AWS refuses it with one of these codes. Raise our errors; `doing` names the call."""
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

    Raise AwsThrottled or AwsUnavailable where EC2 does not say.
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
    """Yield the pages of an operation's answer. Raise our errors; `doing` names the call.

    `more` names what a page has while more follow, `sent_as` how the request for the next page gives it back. Error codes in
    `nothing` say that there is no page.
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
