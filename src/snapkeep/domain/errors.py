"""The errors that ports and use cases raise. State machines match on the class names (`ErrorEquals`): the names are a contract.

The commands, deployments and policy documents have subclasses beside the code that raises them.
"""

from __future__ import annotations


class SnapkeepError(Exception):
    """The base of all errors of Snapkeep. Each message says what is wrong and what would be right."""


class InvalidEvent(SnapkeepError):
    """An event or an input that cannot be handled: an unknown form, a missing field, or a snapshot that is not a copy."""


class InvalidConfiguration(SnapkeepError):
    """A parameter, an environment variable or a policy that cannot be used."""


class SnapshotFailed(SnapkeepError):
    """The snapshot itself ended in error."""


class SnapshotGone(SnapkeepError):
    """The snapshot no longer exists."""


class CopyFailed(SnapkeepError):
    """A copy failed for good; the message says which snapshot, which rule and why."""


class CopyWrong(SnapkeepError):
    """A copy completed, but differs from its request (size, encryption, key)."""


class CopyDiffers(SnapkeepError):
    """The blocks of a copy differ from its source's; the message says which copy, and where its proof is."""


class ProofIncomplete(SnapkeepError):
    """A copy could not be compared to the end; the message says why. It is neither proved nor found different."""


class PlanRefused(SnapkeepError):
    """A plan breaks an invariant or a limit; nothing of it was carried out."""


class AwsThrottled(SnapkeepError):
    """AWS throttled the call (`RequestLimitExceeded` and others). Retried with back-off and jitter."""


class AwsUnavailable(SnapkeepError):
    """AWS did not respond, or responded with a server error. Retried with back-off and jitter."""


UNREACHABLE_AFTER = 2
"""Calls to a region without an answer after which a run makes no further one there: one may be chance, and must not cost more."""


class AwsRefused(SnapkeepError):
    """AWS refused the call (permission, parameter). Not retried."""


class CopyQuotaReached(SnapkeepError):
    """The destination has as many copies in flight as it allows (`ResourceLimitExceeded`)."""


class PendingQuotaReached(SnapkeepError):
    """As many snapshots are pending as EBS allows in the region; none was made."""


class VolumeBusy(SnapkeepError):
    """EC2 starts no snapshot of this volume now: too many are pending, or the volume is being made or deleted.

    Other volumes are not affected.
    """


class SnapshotQuotaReached(SnapkeepError):
    """The snapshots of the region reach, or nearly reach, its quota; none is made."""


class TagsDoNotFit(SnapkeepError):
    """The tags would pass EC2's limit of 50; none was written."""


class EntryChanged(SnapkeepError):
    """A queue entry was written since it was read: read it and decide again."""


class EntryNotFound(SnapkeepError):
    """The queue has no such entry."""


class DocumentAbsent(SnapkeepError):
    """No policy document was ever pushed, or it was removed: the stack's parameters are the policy."""


class ReportNotFound(SnapkeepError):
    """No report is stored under this name."""


class BlocksUnreadable(SnapkeepError):
    """The blocks of a snapshot cannot be read; `reason` is an identifier of `domain.recovery.proof.ProofEnd`."""

    def __init__(self, message: str, reason: str, region: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.region = region


class PageTokenExpired(SnapkeepError):
    """A page token of a listing is older than 60 minutes; list from the next index."""


class ProofNotFound(SnapkeepError):
    """No such proof is stored."""


class DocumentNotFound(SnapkeepError):
    """The bucket of a DR region has no document under this key."""


class DocumentChanged(SnapkeepError):
    """A document in the bucket of a DR region was written since it was read, or exists already."""


class RecordNotWritten(SnapkeepError):
    """A recovery record is missing in a DR region; the copy is made nevertheless."""


class RecoveryFailed(SnapkeepError):
    """A step of a recovery cannot succeed; the message says what to do. The journal has what was made."""


class DrillFailed(SnapkeepError):
    """A drill did not pass; its evidence has the cause."""


class NotIsolated(SnapkeepError):
    """The network of instance drills does not exist, or has a way out; nothing is launched in it."""


class KeyNotUsable(SnapkeepError):
    """The KMS key of a copy rule cannot be used; the message names the key and why."""


RETRYABLE = (AwsThrottled, AwsUnavailable)
"""Errors that a state machine retries, beside Lambda's own service exceptions."""
