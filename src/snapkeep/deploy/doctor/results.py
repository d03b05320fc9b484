"""The checks of the doctor, by identifier, and their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from snapkeep.domain.json_codec import named
from snapkeep.domain.labels import LabelledEnum


class Check(LabelledEnum):
    """One question to an account, a region or a system. The values are identifiers for machines."""

    CREDENTIALS = "credentials", "credentials"
    DEPLOYER = "deployer_permissions", "permissions to deploy"
    READER = "ec2_permissions", "permissions to read EC2"
    REGION = "region_enabled", "region enabled"
    STACK = "stack", "stack"
    COPY_QUOTA = "copy_quota", "copies at once"
    SNAPSHOT_QUOTA = "snapshot_quota", "snapshots in the region"
    SSM_DOCUMENTS = "ssm_documents", "commands around snapshots"
    CONCURRENCY = "lambda_concurrency", "Lambda concurrency"
    COPY_KEY = "copy_key", "key of the copies"
    STACK_KEY = "stack_key", "key of the stack"
    SHARING = "public_access", "block public access"
    ENCRYPTION = "encryption_by_default", "encryption by default"
    TRAIL = "cloudtrail", "CloudTrail"
    NAMES = "names_taken", "names of a first deployment"
    SAMPLE = "aws_sample", "AWS's sample"
    VERSION = "version", "version"
    FORMER = "former_systems", "systems that are no longer deployed"


class CheckState(StrEnum):
    """The state of a check."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_KNOWN = "not_known"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `region` is empty where it is about the account."""

    check: Check = field(metadata=named("id"))
    state: CheckState
    region: str
    text: str
    """The facts that were read, or why nothing could be read."""
    remedy: str = ""
    """The remedy; empty where none is needed."""


def problems(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return the results that are problems."""
    return [result for result in results if result.state is CheckState.PROBLEM]
