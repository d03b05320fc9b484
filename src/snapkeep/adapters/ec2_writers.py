"""Writes to EBS: tags, copies, deletions, locks. Each has its own class because each has its own role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from snapkeep.adapters.aws_errors import GONE, code_of, message_of, translate, translated
from snapkeep.domain.errors import AwsThrottled, AwsUnavailable, KeyNotUsable, TagsDoNotFit
from snapkeep.domain.tags import description_of_copy
from snapkeep.usecases.ports import DeletionOutcome, DeletionResult

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

    from snapkeep.domain.copies.request import CopyRequest
    from snapkeep.domain.locks import LockOrder

KEY_FAULTS = frozenset(
    {"InvalidKmsKey.InvalidKeyId", "InvalidKmsKey.InvalidState", "KMSKeyNotAccessibleFault", "InvalidKmsKey.NotFound"}
)


def tag_list(tags: Mapping[str, str]) -> list[Any]:
    """Return tags as a list in AWS's form."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_specifications(tags_by_type: Mapping[str, Mapping[str, str]]) -> list[Any]:
    """Return the tags of a call's new resources, by type of resource, in EC2's form."""
    return [{"ResourceType": resource_type, "Tags": tag_list(tags)} for resource_type, tags in tags_by_type.items()]


class _OneRole:
    """The base of classes over an EC2 client with one role."""

    def __init__(self, *, client: EC2Client) -> None:
        self._client = client


class Ec2Tagger(_OneRole):
    """`SnapshotTagger` over an EC2 client."""

    def tag(self, snapshot_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Write the tags. Raise TagsDoNotFit above the limit of 50 (`TagLimitExceeded`), SnapshotGone, AwsThrottled, …."""
        with translated("create_tags", {"TagLimitExceeded": TagsDoNotFit}):
            self._client.create_tags(Resources=list(snapshot_ids), Tags=tag_list(tags))


class Ec2Copier(_OneRole):
    """`SnapshotCopier` over an EC2 client of the *destination* region, which must not retry by itself.

    CopySnapshot has no client token (botocore: ec2 2016-11-15): a retry after a time-out could make a second copy.
    """

    def start_copy(self, request: CopyRequest) -> str:
        """Start the copy with its tags in the call; return its id. Raise CopyQuotaReached, SnapshotGone, KeyNotUsable, …."""
        region, snapshot_id = request.copied
        parameters: dict[str, Any] = {
            "SourceRegion": region,
            "SourceSnapshotId": snapshot_id,
            # A copy of a copy names the original source: a reader needs no access to another account.
            "Description": description_of_copy(request.origin),
            "TagSpecifications": tag_specifications({"snapshot": request.tags}),
        }
        # The parameter is left out otherwise: "You cannot set this parameter to false" (botocore: ec2 2016-11-15,
        # CopySnapshotRequest).
        if request.encrypted:
            parameters["Encrypted"] = True
        if request.kms_key:
            parameters["KmsKeyId"] = request.kms_key
        if request.completion_minutes:
            parameters["CompletionDurationMinutes"] = request.completion_minutes
        with translated("copy_snapshot"):
            try:
                return self._client.copy_snapshot(**parameters)["SnapshotId"]
            except ClientError as error:
                if code_of(error) not in KEY_FAULTS:
                    raise
                raise KeyNotUsable(f"key {request.kms_key or '(default)'}: {code_of(error)}: {message_of(error)}") from error


class Ec2Deleter(_OneRole):
    """`SnapshotDeleter` over an EC2 client that does not retry by itself: the use case paces the calls."""

    def delete(self, snapshot_id: str) -> DeletionResult:
        """Delete one snapshot and return the result. A refusal is a result. Raise AwsThrottled or AwsUnavailable."""
        doing = f"delete_snapshot {snapshot_id}"
        with translated(doing):
            try:
                self._client.delete_snapshot(SnapshotId=snapshot_id)
            except ClientError as error:
                # These errors are not about the snapshot: the use case retries, or the run fails and is retried.
                if isinstance(translate(error, doing), (AwsThrottled, AwsUnavailable)):
                    raise
                return DeletionResult(snapshot_id, _refusal(code_of(error), message_of(error)), message_of(error))
        return DeletionResult(snapshot_id, DeletionOutcome.DELETED)


class Ec2Locker(_OneRole):
    """`SnapshotLocker` over an EC2 client. LockSnapshot is idempotent: the same lock again changes nothing."""

    def lock(self, order: LockOrder) -> None:
        """Lock a snapshot; a lock in governance mode has no cool-off period (EC2 API reference: LockSnapshot)."""
        parameters: dict[str, Any] = {"SnapshotId": order.snapshot_id, "LockMode": order.mode.value, "LockDuration": order.days}
        if order.cool_off_hours:
            parameters["CoolOffPeriod"] = order.cool_off_hours
        with translated(f"lock_snapshot {order.snapshot_id}"):
            self._client.lock_snapshot(**parameters)


def _refusal(code: str, message: str) -> DeletionOutcome:
    if code in GONE:
        return DeletionOutcome.ALREADY_GONE
    if code == "InvalidSnapshot.InUse":
        return DeletionOutcome.IN_USE
    # AWS does not document the code for a locked snapshot. A "blocked" call is not evidence of a lock.
    locked = "lock" in f"{code} {message}".lower().replace("block", "")
    return DeletionOutcome.LOCKED if locked else DeletionOutcome.NOT_ALLOWED
