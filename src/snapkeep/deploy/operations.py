"""The AWS operations that the functions call: all that their package knows of botocore's service models.

A test holds this against what the adapters and functions call. Names are those of the service models.
"""

from __future__ import annotations

OPERATIONS: dict[str, tuple[str, ...]] = {
    "cloudtrail": ("LookupEvents",),
    "dynamodb": ("GetItem", "PutItem", "Query", "UpdateItem"),
    "ebs": ("GetSnapshotBlock", "ListChangedBlocks", "ListSnapshotBlocks"),
    "ec2": (
        "CopySnapshot",
        "CreateSnapshot",
        "CreateSnapshots",
        "CreateTags",
        "CreateVolume",
        "DeleteSnapshot",
        "DeleteTags",
        "DeleteVolume",
        "DeregisterImage",
        "DescribeAvailabilityZones",
        "DescribeImages",
        "DescribeInstanceAttribute",
        "DescribeInstanceCreditSpecifications",
        "DescribeInstanceStatus",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeInstances",
        "DescribeLockedSnapshots",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeSnapshotAttribute",
        "DescribeSnapshots",
        "DescribeSubnets",
        "DescribeVolumeStatus",
        "DescribeVolumes",
        "DescribeVpcEndpoints",
        "GetInstanceUefiData",
        "GetSnapshotBlockPublicAccessState",
        "RegisterImage",
        "RunInstances",
        "TerminateInstances",
    ),
    "kms": ("DescribeKey",),
    "lambda": ("Invoke",),
    "s3": ("GetObject", "ListObjectsV2", "PutObject"),
    "sns": ("Publish",),
    "sqs": ("DeleteMessageBatch", "ReceiveMessage", "SendMessage"),
    "ssm": ("GetParameter", "GetParameterHistory", "GetParametersByPath", "PutParameter"),
    "stepfunctions": (
        "DescribeStateMachine",
        "GetExecutionHistory",
        "ListExecutions",
        "SendTaskFailure",
        "SendTaskSuccess",
        "StartExecution",
    ),
}
