"""Other tools that make snapshots: the tags that identify their snapshots, and the tags by which they claim or expire others.

Sources of the tags: the documents and code of each tool. Every principal may write them, except AWS Backup's own tag.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot
from snapkeep.domain.tag_names import MADE
from snapkeep.domain.wildcards import matches_any

BACKUP_TAG = "aws:backup:source-resource"
"""The system tag on snapshots of AWS Backup (aws-nuke recognizes them by it: github.com/ekristen/aws-nuke/issues/364)."""


class Tool(NamedTuple):
    """A tool, and the tag on every snapshot that it makes."""

    name: str
    tag: str
    working_material: bool = False
    """Whether its snapshots are no backups: then they are not copied."""


OTHER_TOOLS = (
    Tool("AWS Backup restore testing", "awsbackup-restore-test", working_material=True),
    Tool("AWS Backup", BACKUP_TAG),
    Tool("the EBS CSI driver", "CSIVolumeSnapshotName"),
    Tool("Velero", "velero.io/backup"),
    Tool("AWS Elastic Disaster Recovery", "AWSElasticDisasterRecoveryManaged", working_material=True),
    Tool("AWS Application Migration Service", "AWSApplicationMigrationServiceManaged", working_material=True),
)
NOT_CARRIED = (
    "aws:*",
    "snapkeep:*",
    "awsbackup-restore-test",
    "AWSElasticDisasterRecoveryManaged",
    "AWSApplicationMigrationServiceManaged",
    "kubernetes.io/cluster/*",
    "KubernetesCluster",
    "ebs.csi.aws.com/*",
    "CSIVolumeSnapshotName",
    "velero.io/*",
    "maid_status",
    "custodian_*",
    "c7n*",
    "shelvery:*",
    "DeleteOn",
    "Expiration",
    "dlm:managed",
)
"""Patterns of tag keys that are carried neither from a volume to its snapshots nor to copies."""


def tool_of(snapshot: Snapshot) -> Tool | None:
    """Return the tool that made a snapshot; None if none is known.

    Copies have their volume's tags, and copies by earlier versions all tags of their source. Only AWS's own tags show who made
    a copy.
    """
    tools = (tool for tool in OTHER_TOOLS if tool.tag in snapshot.tags)
    return next((tool for tool in tools if not snapshot.is_copy or tool.tag.startswith("aws:")), None)


class Maker(LabelledEnum):
    """The tool that makes a volume's snapshots, by the tags of the newest one. The values are identifiers for machines."""

    remark: str
    """An addition for people; empty for most."""

    def __init__(self, identifier: str, label: str, remark: str = "") -> None:
        super().__init__(identifier, label)
        self.remark = remark

    OURS = "snapkeep", "Snapkeep"
    DLM = "dlm", "Data Lifecycle Manager"
    AWS_BACKUP = "aws_backup", "AWS Backup"
    OTHER_TOOL = "other_tool", "another tool"
    NOT_KNOWN = "not_known", "not known", "a person, or a tool that leaves no tag"


DLM_TAGS = ("aws:dlm:lifecycle-policy-id", "dlm:managed")
"""EBS user guide, "Automate backups with Amazon Data Lifecycle Manager": the tags of its snapshots."""


def maker_of(snapshot: Snapshot) -> Maker:
    """Return the maker of a source snapshot."""
    if MADE in snapshot.tags:
        return Maker.OURS
    if any(tag in snapshot.tags for tag in DLM_TAGS):
        return Maker.DLM
    tool = tool_of(snapshot)
    if tool is None:
        return Maker.NOT_KNOWN
    return Maker.AWS_BACKUP if tool.tag == BACKUP_TAG else Maker.OTHER_TOOL


def left_alone_by(tags: Mapping[str, str], leave_alone: Mapping[str, tuple[str, ...]]) -> str:
    """Return the key of the tag that matches a policy's `leave_alone`; empty if there is none."""
    return next((key for key, values in leave_alone.items() if key in tags and matches_any(tags[key], values)), "")
