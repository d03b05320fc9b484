"""Blocks of another region's snapshots, through the function ReadBlocks of that region: the bytes stay in their region."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from snapkeep.adapters.aws_errors import translated
from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, BlocksUnreadable, SnapkeepError
from snapkeep.domain.json_codec import OPTIONAL, from_json, to_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.blocks import BlockDigests, BlockList, Extent
from snapkeep.usecases.recovery.ports import BlockReader

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_RETRYABLE: Mapping[str, type[SnapkeepError]] = {
    AwsThrottled.__name__: AwsThrottled,
    AwsUnavailable.__name__: AwsUnavailable,
    "Sandbox.Timedout": AwsUnavailable,
}


class BlockOperation(StrEnum):
    """The operations of ReadBlocks."""

    LISTING = "listing"
    CHANGES = "changes"
    DIGESTS = "digests"


@dataclass(frozen=True, slots=True)
class BlockCall:
    """The call of ReadBlocks."""

    operation: BlockOperation
    snapshot_id: str
    base_id: str = field(default="", metadata=OPTIONAL)
    first: int = field(default=0, metadata=OPTIONAL)
    most: int = field(default=0, metadata=OPTIONAL)
    size_gib: int = field(default=0, metadata=OPTIONAL)
    extents: tuple[Extent, ...] = field(default=(), metadata=OPTIONAL)

    def run(self, reader: BlockReader) -> BlockAnswer:
        """Return the result of a region's reader."""
        try:
            if self.operation is BlockOperation.LISTING:
                return BlockAnswer(listed=reader.listing(self.snapshot_id, self.first, self.most, self.size_gib))
            if self.operation is BlockOperation.CHANGES:
                return BlockAnswer(listed=reader.changes(self.base_id, self.snapshot_id, self.first, self.most))
            return BlockAnswer(digests=reader.digests(self.snapshot_id, self.extents))
        except BlocksUnreadable as error:
            return BlockAnswer(unreadable=error.reason, message=str(error))


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """The answer of ReadBlocks: one of its parts."""

    listed: BlockList | None = field(default=None, metadata=OPTIONAL)
    digests: BlockDigests | None = field(default=None, metadata=OPTIONAL)
    unreadable: str = field(default="", metadata=OPTIONAL)
    message: str = field(default="", metadata=OPTIONAL)


class LambdaBlocks:
    """`BlockReader` over a Lambda client of the snapshots' region."""

    def __init__(self, *, client: LambdaClient, function: str, region: str) -> None:
        self._client = client
        self._function = function
        self._region = region

    def listing(self, snapshot_id: str, first: int, most: int, size_gib: int) -> BlockList:
        """Return the listing from a block on."""
        return self._listed(BlockCall(BlockOperation.LISTING, snapshot_id, first=first, most=most, size_gib=size_gib))

    def changes(self, base_id: str, snapshot_id: str, first: int, most: int) -> BlockList:
        """Return the blocks that changed since another snapshot."""
        return self._listed(BlockCall(BlockOperation.CHANGES, snapshot_id, base_id, first, most))

    def digests(self, snapshot_id: str, extents: Sequence[Extent]) -> BlockDigests:
        """Read those of the blocks that are listed."""
        digests = self._invoke(BlockCall(BlockOperation.DIGESTS, snapshot_id, extents=tuple(extents))).digests
        if digests is None:
            raise AwsUnavailable(f"{self._function} in {self._region} answered without digests")
        return digests

    def _listed(self, call: BlockCall) -> BlockList:
        listed = self._invoke(call).listed
        if listed is None:
            raise AwsUnavailable(f"{self._function} in {self._region} answered without a listing")
        return listed

    def _invoke(self, call: BlockCall) -> BlockAnswer:
        with translated(f"invoke {self._function} in {self._region}"):
            response = self._client.invoke(FunctionName=self._function, Payload=to_text(call).encode())
            data = json.loads(response["Payload"].read())
        if response.get("FunctionError"):
            raise self._error(data)
        answer = from_json(BlockAnswer, data)
        if answer.unreadable:
            raise BlocksUnreadable(answer.message, answer.unreadable, self._region)
        return answer

    def _error(self, data: Any) -> SnapkeepError:
        """Return the function's error under its own name; a permanent error is a refusal."""
        name = str(data.get("errorType", "")) if isinstance(data, dict) else ""
        text = str(data.get("errorMessage", data)) if isinstance(data, dict) else str(data)
        timed_out = "timed out" in text and not name  # some runtimes of Lambda name no error type in this case
        kind = AwsUnavailable if timed_out else _RETRYABLE.get(name, AwsRefused)
        return kind(f"{self._function} in {self._region}: {name}: {text}")
