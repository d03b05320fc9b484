"""The permissions of each function, and why it needs them. The templates' roles grant exactly this; tests hold them, and the code, against it.

Resources and conditions stand in the templates. The permissions that every function has besides (its own log, X-Ray) stand here once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PRIMARY, DR, VAULT = "primary", "dr", "vault"


@dataclass(frozen=True, slots=True)
class Permission:
    """Some actions that one role has for one purpose. `by_service` names the AWS service that does them in the role's name."""

    why: str
    actions: tuple[str, ...]
    by_service: str = ""


def _of(service: str, names: str) -> tuple[str, ...]:
    return tuple(f"{service}:{name}" for name in names.split())


EVERY_FUNCTION = (
    Permission("writes its log", ("logs:CreateLogStream", "logs:PutLogEvents"), "Lambda"),
    Permission("sends its traces", ("xray:PutTraceSegments", "xray:PutTelemetryRecords"), "Lambda"),
)
"""Which Lambda's runtime does for every function."""

_READ_SNAPSHOTS = Permission("reads snapshots and copies", ("ec2:DescribeSnapshots",))
_READ_VOLUMES = Permission(
    "reads volumes, and which are root volumes: policies select by both", ("ec2:DescribeVolumes", "ec2:DescribeInstances")
)
_SEE_DELETED_VOLUMES = Permission(
    "reads which source volumes are deleted, so that a policy's gone may let their copies expire",
    ("ec2:DescribeVolumes", "ec2:DescribeInstances"),
)
_LOOK_FOR_HOLDS = Permission(
    "finds the snapshots that AMIs and locks protect", ("ec2:DescribeImages", "ec2:DescribeLockedSnapshots")
)
_READ_POLICY = Permission("reads the policy in force, and the last good one", ("ssm:GetParameter", "ssm:GetParameterHistory"))
_READ_HOLDS = Permission("reads the holds that people placed, in every region of the system", ("ssm:GetParametersByPath",))
_TELL = Permission("leaves notices for the digest", ("sqs:SendMessage",))
_DELETE = Permission("deletes managed snapshots, and no others", ("ec2:DeleteSnapshot",))
_COUNTED_BY_SWEEP = Permission("reads whether the last sweep saw AMIs or locks, to avoid listing them", ("s3:GetObject",))
_ANNOUNCE = Permission("announces deletions, and makes none on a day with far more than usual", ("s3:ListBucket", "s3:PutObject"))
_LOOK_AT_KEYS = Permission("determines which snapshots can be restored, by the state of their keys", ("kms:DescribeKey",))
_OWN_KEY = Permission(
    "reads and writes what the stack's key encrypts", ("kms:Decrypt", "kms:GenerateDataKey"), "SQS, SNS, DynamoDB"
)
_READ_TABLE_KEY = Permission("reads the table that a DR stack's key encrypts", ("kms:Decrypt", "kms:DescribeKey"), "DynamoDB")
_PLAN_SOURCES = (
    _READ_SNAPSHOTS,
    _READ_VOLUMES,
    _LOOK_FOR_HOLDS,
    _LOOK_AT_KEYS,
    Permission("reads which copies of a volume wait or run, and which a run has seen", ("dynamodb:GetItem", "dynamodb:Query")),
    _READ_TABLE_KEY,
    _READ_POLICY,
    _READ_HOLDS,
    _TELL,
    _OWN_KEY,
)
_TABLE_KEY = Permission(
    "reads and writes the table that a DR stack's key encrypts",
    _of("kms", "Decrypt DescribeKey Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo"),
    "DynamoDB",
)
"""AWS's guide leaves open what DynamoDB asks of who writes: these the AWS CDK grants to writers of an encrypted table."""
_REQUEST_LOCKS = Permission("names snapshots that may have to be locked", ("lambda:InvokeFunction",))
_FAILED_INVOCATION = Permission("keeps a call that failed for good", ("sqs:SendMessage",), "Lambda")
_PUBLISH = (
    Permission("takes notices, and deletes those that were published", ("sqs:ReceiveMessage", "sqs:DeleteMessage")),
    Permission("keeps that an urgent message was published", ("sqs:SendMessage",)),
    Permission("publishes", ("sns:Publish",)),
    _FAILED_INVOCATION,
    _OWN_KEY,
)
_TAG_HOLD = Permission("tags the hold in the call that writes it", ("ssm:AddTagsToResource",), "Systems Manager")
_SIGNAL = (
    Permission("counts the recovery points that a call touches", ("ec2:DescribeSnapshots",)),
    Permission("reads which snapshots were managed before they were deleted", ("s3:GetObject",)),
    Permission("gets NoSuchKey before the first sweep, instead of a refusal", ("s3:ListBucket",), "S3"),
    Permission("keeps the signals, for lists", ("s3:PutObject",)),
    Permission("takes calls from their queue", ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), "Lambda"),
    Permission("puts the system on hold, where HoldOnSignals says so", ("ssm:PutParameter",)),
    _TAG_HOLD,
    _TELL,
    _OWN_KEY,
)

_LOCK = (
    Permission("reads snapshots, and the locks that they have", ("ec2:DescribeSnapshots", "ec2:DescribeLockedSnapshots")),
    Permission("locks managed snapshots, for MaxLockDays at most", ("ec2:LockSnapshot",)),
    _READ_POLICY,
    _TELL,
    _FAILED_INVOCATION,
    _OWN_KEY,
)

_SWEEP_SHARED = (
    _REQUEST_LOCKS,
    Permission(
        "reads which accounts can read snapshots", ("ec2:DescribeSnapshotAttribute", "ec2:GetSnapshotBlockPublicAccessState")
    ),
    Permission("adopts history, with consent, and restores lost tags", ("ec2:CreateTags",)),
    Permission(
        "starts the runs that events should have started, and reads the time of its deployment",
        ("states:StartExecution", "states:DescribeStateMachine"),
    ),
    Permission("replays events that rules could not deliver", ("sqs:ReceiveMessage", "sqs:DeleteMessage")),
    Permission("reads who deleted a snapshot that the policy keeps", ("cloudtrail:LookupEvents",)),
    Permission("puts the system on hold on a day with far more deletions than usual", ("ssm:PutParameter",)),
    _TAG_HOLD,
    Permission("keeps its report, and the existing snapshots for the next sweep", ("s3:GetObject", "s3:PutObject")),
    Permission("gets NoSuchKey for a missing object, instead of a refusal", ("s3:ListBucket",), "S3"),
    Permission("publishes its report", ("sns:Publish",)),
    _READ_POLICY,
    _READ_HOLDS,
    _TELL,
    _OWN_KEY,
)

_READ_BLOCKS = (
    Permission(
        "lists and reads blocks of managed snapshots in its region, Verify also of what drills restored",
        ("ebs:GetSnapshotBlock", "ebs:ListChangedBlocks", "ebs:ListSnapshotBlocks"),
    ),
    Permission("decrypts the blocks of encrypted snapshots", ("kms:Decrypt",), "EC2"),
)
_RUN_COMMAND = ("ssm:DescribeInstanceInformation", "ssm:ListCommandInvocations", "ssm:SendCommand")
_START_VERIFY = Permission("starts the comparison of a copy that has arrived", ("states:StartExecution",))

_QUEUE_AND_LEASE = Permission(
    "takes the lease, reads and writes entries", ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query")
)
_WOKEN_BY_ENTRIES = Permission(
    "is invoked by new entries",
    ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"),
    "Lambda",
)
_COPY = (
    Permission("counts copies in progress, and looks for existing copies", ("ec2:DescribeSnapshots",)),
    Permission("starts copies", ("ec2:CopySnapshot",)),
    _REQUEST_LOCKS,
    Permission("tags a copy in the call that makes it, and in no other", ("ec2:CreateTags",), "EC2"),
    _QUEUE_AND_LEASE,
    _TABLE_KEY,
    _WOKEN_BY_ENTRIES,
    Permission("checks a copy's key before it is used", ("kms:DescribeKey",)),
    Permission(
        "re-encrypts a copy from its source's key to its own",
        _of("kms", "CreateGrant Decrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo"),
        "EC2",
    ),
    _TELL,
    _FAILED_INVOCATION,
    _OWN_KEY,
)
_RECEIVE = (
    _READ_SNAPSHOTS,
    _LOOK_AT_KEYS,
    Permission("restores lost tags of managed copies, marks wrong copies, and records proofs", ("ec2:CreateTags",)),
    _REQUEST_LOCKS,
    Permission("closes the copy's entry in the queue", ("dynamodb:GetItem", "dynamodb:PutItem")),
    _TABLE_KEY,
    _READ_POLICY,
    _TELL,
    _OWN_KEY,
)
_DELETE_COPIES = (
    _DELETE,
    _COUNTED_BY_SWEEP,
    _ANNOUNCE,
    _READ_SNAPSHOTS,
    _LOOK_FOR_HOLDS,
    _LOOK_AT_KEYS,
    Permission("reads which copies a run has checked", ("dynamodb:GetItem",)),
    _READ_TABLE_KEY,
    _READ_POLICY,
    _READ_HOLDS,
    _TELL,
    _OWN_KEY,
)
_SWEEP_COPIES = (
    _READ_SNAPSHOTS,
    _LOOK_FOR_HOLDS,
    _LOOK_AT_KEYS,
    Permission("reads the queue, and closes entries", ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")),
    _TABLE_KEY,
    *_SWEEP_SHARED,
)
_ANSWER = Permission("answers the waiting execution", ("states:SendTaskSuccess", "states:SendTaskFailure"))
_WORD = Permission("notifies the owners of shared snapshots of complete copies", ("events:PutEvents",))

PERMISSIONS: Mapping[str, Mapping[str, Sequence[Permission]]] = {
    PRIMARY: {
        "TagSnapshots": (
            _READ_SNAPSHOTS,
            _READ_VOLUMES,
            Permission("tags snapshots", ("ec2:CreateTags",)),
            _REQUEST_LOCKS,
            Permission("reads which copies of a volume wait or run, if one of each period is made", ("dynamodb:Query",)),
            _READ_TABLE_KEY,
            Permission(
                "reads the rest of a recovery record, for instances that changed",
                _of(
                    "ec2",
                    "DescribeInstanceAttribute DescribeInstanceCreditSpecifications DescribeSecurityGroups "
                    "DescribeSubnets GetInstanceUefiData",
                ),
            ),
            Permission(
                "writes recovery records into the bucket of a DR region, whose name is in a parameter there",
                ("s3:GetObject", "s3:PutObject", "ssm:GetParameter"),
            ),
            Permission("learns that a record does not exist: without it, S3 denies access to one", ("s3:ListBucket",), "S3"),
            Permission(
                "reads and writes the bucket that a DR stack's key encrypts", ("kms:Decrypt", "kms:GenerateDataKey"), "S3"
            ),
            Permission("reads the time of its deployment: earlier snapshots are history", ("states:DescribeStateMachine",)),
            _READ_POLICY,
            _TELL,
            _OWN_KEY,
        ),
        "CopySnapshotToDR": (
            Permission("puts a copy into a DR region's queue", ("dynamodb:GetItem", "dynamodb:PutItem")),
            _TABLE_KEY,
            Permission(
                "answers at once for a copy that is done or failed already", ("states:SendTaskSuccess", "states:SendTaskFailure")
            ),
        ),
        "ReadBlocks": _READ_BLOCKS,
        "CountSnapshots": _PLAN_SOURCES,
        "DeleteOldSnapshots": (_DELETE, _COUNTED_BY_SWEEP, _ANNOUNCE, *_PLAN_SOURCES),
        "MakeSnapshots": (
            _READ_SNAPSHOTS,
            _READ_VOLUMES,
            Permission("makes snapshots", ("ec2:CreateSnapshot", "ec2:CreateSnapshots")),
            Permission("tags snapshots in the call that makes them, and in no other", ("ec2:CreateTags",), "EC2"),
            Permission("keeps its intentions, so that no call is repeated", ("s3:GetObject", "s3:PutObject")),
            Permission("learns that nothing is kept yet: without it, S3 denies access", ("s3:ListBucket",), "S3"),
            Permission("reads whether a hold stops it", ("ssm:GetParametersByPath",)),
            Permission("runs the documents of SsmDocuments around snapshots", ("ssm:SendCommand", "ssm:ListCommandInvocations")),
            _READ_POLICY,
            _TELL,
            _FAILED_INVOCATION,
            _OWN_KEY,
        ),
        "LockSnapshots": _LOCK,
        "Notification": (_TELL, _OWN_KEY),
        "Signal": _SIGNAL,
        "Digest": _PUBLISH,
        "Sweep": (
            _READ_SNAPSHOTS,
            _READ_VOLUMES,
            _LOOK_FOR_HOLDS,
            _LOOK_AT_KEYS,
            Permission(
                "reads a DR region's queue, and puts missing copies there",
                ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
            ),
            _TABLE_KEY,
            Permission("reads which runs wait, and for what", ("states:ListExecutions", "states:GetExecutionHistory")),
            Permission("answers a run whose answer was lost", ("states:SendTaskSuccess", "states:SendTaskFailure")),
            *_SWEEP_SHARED,
        ),
    },
    DR: {
        "Verify": (
            *_READ_BLOCKS,
            Permission("lets the source's region read its blocks, and gets their hashes", ("lambda:InvokeFunction",)),
            Permission("reads the copy and its source", ("ec2:DescribeSnapshots",)),
            Permission("keeps proofs, and reads the last full one of a volume", ("s3:GetObject", "s3:PutObject")),
            Permission("gets NoSuchKey for a missing proof, instead of a refusal", ("s3:ListBucket",), "S3"),
            _OWN_KEY,
        ),
        "Drill": (
            _READ_SNAPSHOTS,
            _LOOK_AT_KEYS,
            Permission("watches the volumes of drills", ("ec2:DescribeVolumes", "ec2:DescribeVolumeStatus")),
            Permission(
                "plans drills of instances by their recovery records, and watches them",
                _of(
                    "ec2",
                    "DescribeImages DescribeInstances DescribeInstanceStatus DescribeInstanceTypeOfferings "
                    "DescribeInstanceTypes DescribeSecurityGroups DescribeSubnets",
                ),
            ),
            Permission("holds the points of drills, and releases them", ("ec2:CreateTags", "ec2:DeleteTags")),
            Permission("starts the drills that are due", ("states:StartExecution",)),
            Permission("runs the command of a drill in its instances, and reads the output", _RUN_COMMAND),
            Permission("keeps the ledger of drills, their plans and their evidence", ("s3:GetObject", "s3:PutObject")),
            Permission("finds recovery records, and gets NoSuchKey for a missing ledger", ("s3:ListBucket",)),
            _READ_POLICY,
            _TELL,
            _FAILED_INVOCATION,
            _OWN_KEY,
        ),
        "MakeForDrill": (
            Permission("finds the resources that it made already", ("ec2:DescribeSnapshots", "ec2:DescribeVolumes")),
            Permission("chooses a zone", ("ec2:DescribeAvailabilityZones",)),
            Permission(
                "makes volumes of managed copies, and snapshots of those volumes", ("ec2:CreateVolume", "ec2:CreateSnapshot")
            ),
            Permission(
                "finds the network of drills and the AMIs and instances that it made, and checks that the network is isolated",
                _of(
                    "ec2",
                    "DescribeImages DescribeInstances DescribeRouteTables "
                    "DescribeSecurityGroups DescribeSubnets DescribeVpcEndpoints",
                ),
            ),
            Permission(
                "registers AMIs of managed copies, and launches instances of them in the network of drills",
                ("ec2:RegisterImage", "ec2:RunInstances"),
            ),
            Permission("gives instances that run a command the role of drills' SSM agents", ("iam:PassRole",), "EC2"),
            Permission("tags them in the calls that make them, and in no other", ("ec2:CreateTags",), "EC2"),
            Permission(
                "makes a volume of an encrypted copy",
                _of("kms", "CreateGrant Decrypt DescribeKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo"),
                "EC2",
            ),
        ),
        "RemoveAfterDrill": (
            Permission(
                "finds the resources of a drill",
                ("ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
            ),
            Permission(
                "removes only resources with a drill's tag",
                ("ec2:DeleteVolume", "ec2:DeleteSnapshot", "ec2:DeregisterImage", "ec2:TerminateInstances"),
            ),
        ),
        "TagSnapshotCopy": (*_RECEIVE, _START_VERIFY, _ANSWER),
        "ShareWithVault": (
            _READ_SNAPSHOTS,
            _LOOK_AT_KEYS,
            Permission("reads whether the accounts of vaults can read a copy", ("ec2:DescribeSnapshotAttribute",)),
            Permission("shares managed copies with VaultAccounts alone, and ends shares", ("ec2:ModifySnapshotAttribute",)),
            Permission("writes and removes the tags of shares", ("ec2:CreateTags", "ec2:DeleteTags")),
            _READ_POLICY,
            _TELL,
            _FAILED_INVOCATION,
            _OWN_KEY,
        ),
        "DeleteOldSnapshots": (*_DELETE_COPIES, _SEE_DELETED_VOLUMES),
        "Dispatch": (
            *_COPY,
            Permission("counts the blocks changed since the last copy, and reads none", ("ebs:ListChangedBlocks",)),
            _ANSWER,
        ),
        "LockSnapshots": _LOCK,
        "Notification": (_TELL, _OWN_KEY),
        "Signal": _SIGNAL,
        "Digest": _PUBLISH,
        "Sweep": (*_SWEEP_COPIES, _SEE_DELETED_VOLUMES, _ANSWER),
    },
    VAULT: {
        "TagSnapshotCopy": _RECEIVE,
        "DeleteOldSnapshots": _DELETE_COPIES,
        "Dispatch": (*_COPY, Permission("uses keys of shared snapshots, whose policies allow it", ("kms:DescribeKey",), "EC2")),
        "Pull": (
            Permission("lists shared snapshots and existing copies", ("ec2:DescribeSnapshots",)),
            _LOOK_AT_KEYS,
            Permission("puts copies into the queue", ("dynamodb:GetItem", "dynamodb:PutItem")),
            _TABLE_KEY,
            _WORD,
            _READ_POLICY,
            _TELL,
            _FAILED_INVOCATION,
            _OWN_KEY,
        ),
        "LockSnapshots": _LOCK,
        "Notification": (_TELL, _OWN_KEY),
        "Signal": _SIGNAL,
        "Digest": _PUBLISH,
        "Sweep": (*_SWEEP_COPIES, _WORD),
    },
}
"""Stack -> function -> what its role grants."""


def actions_of(stack: str, function: str) -> frozenset[str]:
    """Return every action that the role of a stack's function grants."""
    return frozenset(action for one in (*EVERY_FUNCTION, *PERMISSIONS[stack][function]) for action in one.actions)


def own_calls_of(stack: str, function: str) -> frozenset[str]:
    """Return the actions that the code of a stack's function calls itself (no service on its behalf)."""
    return frozenset(action for one in PERMISSIONS[stack][function] if not one.by_service for action in one.actions)
