"""Blocks of snapshots through the EBS direct APIs.

Sources: botocore's ebs service model (2019-11-02); EBS user guide, "EBS direct APIs".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import code_of, message_of, translated
from snapkeep.domain.errors import AwsRefused, AwsThrottled, AwsUnavailable, BlocksUnreadable, PageTokenExpired
from snapkeep.domain.recovery.blocks import BLOCK_BYTES, BlockDigest
from snapkeep.domain.recovery.proof import ProofEnd
from snapkeep.usecases.recovery.ports import BlockPage

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient

CHUNK_BYTES = 65_536
"""The size of the parts in which a block is hashed: a hundred connections hold one part each."""
LARGEST_VOLUME_GIB = 65_536
_UNRELATED = "UNRELATED_SNAPSHOTS"
_REASONS = {
    ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED"): ProofEnd.KEY,
    ("ResourceNotFoundException", "DEPENDENCY_RESOURCE_NOT_FOUND"): ProofEnd.KEY,
    ("ValidationException", "INVALID_CUSTOMER_KEY"): ProofEnd.KEY,
    ("ValidationException", "INVALID_SNAPSHOT_ID"): ProofEnd.NOT_STANDARD,
    ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"): ProofEnd.DELETED,
}
"""Error code and reason -> why a snapshot cannot be read."""


class EbsBlocks:
    """`BlockApi` over an `ebs` client that does not retry by itself: the use case paces the requests."""

    def __init__(self, *, client: EBSClient, region: str) -> None:
        self._client = client
        self.region = region

    def page(self, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage:
        """Return a page from a block on, or the page of a token. Raise PageTokenExpired for a token that is too old."""
        with self._translated(f"list_snapshot_blocks {snapshot_id}"):
            answer = self._client.list_snapshot_blocks(SnapshotId=snapshot_id, **_page_request(first, most, token))
        listed = answer["Blocks"]
        tokens = [block["BlockToken"] for block in listed]
        return self._page(snapshot_id, answer, [block["BlockIndex"] for block in listed], tokens)

    def page_of_changes(self, base_id: str, snapshot_id: str, first: int, most: int, token: str = "") -> BlockPage | None:
        """Return a page of the blocks that changed since another snapshot; None if AWS does not compare the two."""
        with self._translated(f"list_changed_blocks {base_id} {snapshot_id}"):
            try:
                answer = self._client.list_changed_blocks(
                    FirstSnapshotId=base_id, SecondSnapshotId=snapshot_id, **_page_request(first, most, token)
                )
            except ClientError as error:
                if _reason(error) == _UNRELATED:
                    return None
                raise
        return self._page(snapshot_id, answer, [block["BlockIndex"] for block in answer["ChangedBlocks"]], [])

    def read(self, snapshot_id: str, index: int, token: str) -> BlockDigest:
        """Read one block and return its digest. Raise AwsUnavailable for an incomplete answer."""
        computed, length = hashlib.sha256(), 0
        with self._translated(f"get_snapshot_block {snapshot_id} {index}"):
            answer = self._client.get_snapshot_block(SnapshotId=snapshot_id, BlockIndex=index, BlockToken=token)
            body = answer["BlockData"]
            while chunk := body.read(CHUNK_BYTES):
                computed.update(chunk)
                length += len(chunk)
        if answer["ChecksumAlgorithm"] != "SHA256":
            raise AwsRefused(f"block {index} of {snapshot_id} has a checksum of {answer['ChecksumAlgorithm']}, not of SHA256")
        if length != answer["DataLength"]:
            raise AwsUnavailable(f"block {index} of {snapshot_id}: {length} of {answer['DataLength']} bytes arrived")
        return BlockDigest(index, answer["Checksum"], base64.b64encode(computed.digest()).decode())

    def _page(self, snapshot_id: str, answer: Any, indexes: list[int], tokens: list[str]) -> BlockPage:
        if answer["BlockSize"] != BLOCK_BYTES:
            raise AwsRefused(f"{snapshot_id} has blocks of {answer['BlockSize']} bytes, not of {BLOCK_BYTES}")
        size = answer["VolumeSize"]  # GiB; one example in the guide has bytes
        return BlockPage(indexes, tokens, size if size <= LARGEST_VOLUME_GIB else size // 1024**3, answer.get("NextToken") or "")

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with translated(doing):
            try:
                yield
            except ClientError as error:
                code, reason = code_of(error), _reason(error)
                text = f"{doing} in {self.region}: {code}: {reason or 'no reason'}: {message_of(error)}"
                if (code, reason) in _REASONS:
                    raise BlocksUnreadable(text, _REASONS[code, reason], self.region) from error
                if code == "AccessDeniedException":
                    raise BlocksUnreadable(text, ProofEnd.DENIED, self.region) from error
                if reason == "INVALID_PAGE_TOKEN":
                    raise PageTokenExpired(text) from error
                if code == "ServiceQuotaExceededException":
                    raise AwsThrottled(text) from error
                raise


def _page_request(first: int, most: int, token: str) -> dict[str, Any]:
    """Return the parameters of a page. NextToken takes precedence over StartingBlockIndex (EBS user guide: readsnapshots)."""
    return {"MaxResults": most, **({"NextToken": token} if token else {"StartingBlockIndex": first})}


def _reason(error: ClientError) -> str:
    return str(error.response.get("Reason") or "")
