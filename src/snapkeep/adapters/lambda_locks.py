"""Requests for locks: asynchronous invocations of the function LockSnapshots, which Lambda repeats until they succeed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.json_codec import OPTIONAL, to_object
from snapkeep.domain.records import dataclass

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

IDS_PER_CALL = 200
"""The most locks of one call. At five locks a second (EC2 developer guide: request throttling), they take much less than the
function's five minutes."""


@dataclass(frozen=True, slots=True)
class LockCall:
    """The call of LockSnapshots: snapshots by id; without ids, the pending copies of the region."""

    snapshots: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    version: int = field(default=0, metadata=OPTIONAL)
    """The version of the policy document that requires the locks."""


class LambdaLocks:
    """`LockRequests` over a Lambda client."""

    def __init__(self, *, client_of: Callable[[], LambdaClient], function: str) -> None:
        """`client_of` returns the client: most policies have no locks."""
        self._client_of = client_of
        self._function = function

    def request(self, snapshot_ids: Sequence[str], version: int = 0) -> None:
        """Invoke the function. Raise AwsRefused, AwsThrottled or AwsUnavailable if Lambda does not accept the call."""
        for first in range(0, max(len(snapshot_ids), 1), IDS_PER_CALL):
            call = LockCall(tuple(snapshot_ids[first : first + IDS_PER_CALL]), version)
            payload = json.dumps(to_object(call)).encode()
            with translated(f"invoke {self._function}"):
                self._client_of().invoke(FunctionName=self._function, InvocationType="Event", Payload=payload)
