"""The doctor's decisions: results from the facts that were read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from snapkeep.deploy.doctor.ports import Caller, DeployedFunction, KeyFacts, RecordingTrail, ResourceKind
from snapkeep.deploy.doctor.results import Check, CheckResult, CheckState
from snapkeep.domain.commands import document_arn
from snapkeep.domain.plural import counted

LEAST_CONCURRENCY = 20
"""Executions that a burst of snapshots needs at once: the state machines retry what Lambda throttles, so less is only slower."""
COPY_ACTIONS = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
"""The actions that a role needs on the key of copies (EBS user guide: share a KMS key)."""
STACK_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
SAMPLE_FUNCTIONS = ("TagSnapshots", "CopySnapshotToDR", "CountSnapshots", "DeleteOldSnapshots", "TagSnapshotCopy")
"""Functions of AWS's sample aws-step-functions-ebs-snapshot-mgmt; `Notification` is too common a name to tell it by."""
_FEWEST_OF_SAMPLE = 2


def region_check(region: str, opt_in_status: str) -> CheckResult:
    """Return whether the account can use a region."""
    if not opt_in_status:
        text, remedy = f"there is no region {region} in this partition", "name a region such as us-east-2"
        return CheckResult(Check.REGION, CheckState.PROBLEM, region, text, remedy)
    if opt_in_status == "not-opted-in":
        remedy = f"enable it: `aws account enable-region --region-name {region}`"
        return CheckResult(Check.REGION, CheckState.PROBLEM, region, "the account has not enabled this region", remedy)
    return CheckResult(Check.REGION, CheckState.OK, region, opt_in_status)


def deployer_check(denied: Sequence[str], region: str, *, deploying: bool) -> CheckResult:
    """Return whether the caller may deploy; what a deployment lacks is a problem for a deployment alone."""
    if not denied:
        return CheckResult(Check.DEPLOYER, CheckState.OK, region, "the caller's policies allow what a deployment needs")
    state = CheckState.PROBLEM if deploying else CheckState.WARNING
    text = f"the caller's policies do not allow {', '.join(sorted(set(denied)))}"
    return CheckResult(Check.DEPLOYER, state, region, text, "attach docs/iam/deployer.json and deployer-resources.json")


def reader_check(denied: Sequence[str], region: str) -> CheckResult:
    """Return whether the caller may read what `status`, `plan` and `explain` read from EC2."""
    if not denied:
        return CheckResult(Check.READER, CheckState.OK, region, "EC2 answers what status, plan and explain read")
    text = f"EC2 refuses {', '.join(denied)}: status, plan and explain cannot work"
    return CheckResult(Check.READER, CheckState.WARNING, region, text, "attach docs/iam/viewer.json")


def copy_quota_check(region: str, parameter: int, quota: int) -> CheckResult:
    """Compare CopyQuota with the quota of EBS; copies of other callers count in it too."""
    if parameter > quota:
        text = f"CopyQuota is {parameter}, and EBS copies {quota} snapshots into this region at once: copies beyond are refused"
        remedy = f"deploy with --dr-parameter CopyQuota={quota}, or have AWS Support raise the quota"
        return CheckResult(Check.COPY_QUOTA, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.COPY_QUOTA, CheckState.OK, region, f"CopyQuota {parameter} of {quota}")


def snapshot_quota_check(region: str, parameter: int, quota: int) -> CheckResult:
    """Compare SnapshotQuota with the quota of EBS. EBS refuses every snapshot of the account beyond its quota."""
    if parameter > quota:
        text = f"SnapshotQuota is {parameter}, and EBS keeps {quota} snapshots in this region: Snapkeep leaves no room for others"
        remedy = f"deploy with --parameter SnapshotQuota={quota}, or have the quota raised in Service Quotas"
        return CheckResult(Check.SNAPSHOT_QUOTA, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.SNAPSHOT_QUOTA, CheckState.OK, region, f"SnapshotQuota {parameter} of {quota}")


def ssm_documents_check(region: str, parameter: str, named: Sequence[str], caller: Caller) -> CheckResult:
    """Compare SsmDocuments with the documents that the policies in force name: MakeSnapshots may send no others."""
    allowed = parameter.split(",")
    needed = [document_arn(document, region, caller.account_id, caller.partition) for document in named]
    missing = [arn for arn in needed if arn not in allowed]
    if missing:
        text = f"policies run commands around snapshots that SsmDocuments does not allow, and AWS refuses: {', '.join(missing)}"
        remedy = "deploy with --parameter SsmDocuments=… and the ARNs of all documents, with commas between them"
        return CheckResult(Check.SSM_DOCUMENTS, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.SSM_DOCUMENTS, CheckState.OK, region, f"{counted(len(named), 'document')} in SsmDocuments")


def concurrency_check(region: str, limit: int, unreserved: int) -> CheckResult:
    """Return whether Lambda leaves the functions enough concurrent executions."""
    if unreserved < LEAST_CONCURRENCY:
        text = f"{unreserved} of {limit} concurrent executions are unreserved: bursts of snapshots are throttled and take longer"
        remedy = "raise the quota 'Concurrent executions' of AWS Lambda in Service Quotas"
        return CheckResult(Check.CONCURRENCY, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.CONCURRENCY, CheckState.OK, region, f"{unreserved} of {limit} concurrent executions are unreserved")


def key_check(check: Check, region: str, facts: KeyFacts, account_id: str, services: Sequence[str] = ()) -> CheckResult:
    """Return whether the system's roles and AWS's services can use a key, by its state and its policy."""
    if not facts.state:
        return CheckResult(check, CheckState.PROBLEM, region, f"there is no key {facts.arn}", "name a key of this region")
    if facts.state != "Enabled":
        remedy = f"`aws kms cancel-key-deletion` or `aws kms enable-key` for {facts.arn}, or name another key"
        return CheckResult(check, CheckState.PROBLEM, region, f"key {facts.arn} is {facts.state}", remedy)
    if facts.managed_by_aws:
        return CheckResult(check, CheckState.OK, region, f"key {facts.arn} is managed by AWS")
    if facts.policy is None:
        remedy = "let the caller use kms:GetKeyPolicy"
        return CheckResult(check, CheckState.NOT_KNOWN, region, f"the policy of key {facts.arn} could not be read", remedy)
    actions = COPY_ACTIONS if check is Check.COPY_KEY else STACK_ACTIONS
    missing = [] if _admits(facts.policy, "AWS", _roots(account_id, facts.arn), actions) else ["the account's IAM policies"]
    missing += [service for service in services if not _admits(facts.policy, "Service", {service}, STACK_ACTIONS)]
    if missing:
        text = f"the policy of key {facts.arn} does not admit {', '.join(missing)} without conditions"
        return CheckResult(check, CheckState.WARNING, region, text, "compare the key policy with docs/permissions.md")
    return CheckResult(check, CheckState.OK, region, f"key {facts.arn} is enabled, and its policy admits the roles")


def _roots(account_id: str, key_arn: str) -> set[str]:
    """Return the principals that stand for a whole account (IAM user guide: Principal)."""
    return {account_id, f"arn:{key_arn.split(':')[1]}:iam::{account_id}:root", "*"}


def _admits(policy: Mapping[str, Any], kind: str, principals: set[str], actions: Sequence[str]) -> bool:
    """Whether a key policy allows actions to one of the principals. Conditions are read for services only, which need them."""
    statements = _listed(policy.get("Statement"))
    allowed = [
        pattern
        for statement in statements
        if statement.get("Effect") == "Allow" and (kind == "Service" or not statement.get("Condition"))
        if principals.intersection(_principals(statement.get("Principal"), kind))
        for pattern in _listed(statement.get("Action"))
    ]
    return all(any(_matches(pattern, action) for pattern in allowed) for action in actions)


def _principals(principal: Any, kind: str) -> list[str]:
    return ["*"] if principal == "*" else _listed(principal.get(kind)) if isinstance(principal, Mapping) else []


def _matches(pattern: str, action: str) -> bool:
    """Whether an action of a statement includes one (IAM user guide: Action; without regard to case, `*` and `?` match)."""
    return fnmatchcase(action.lower(), pattern.lower())


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def sharing_check(region: str, state: str) -> CheckResult:
    """Return whether anybody can make snapshots public."""
    if state == "unblocked":
        remedy = f"`aws ec2 enable-snapshot-block-public-access --state block-all-sharing --region {region}`"
        text = "snapshots can be shared with everybody"
        return CheckResult(Check.SHARING, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.SHARING, CheckState.OK, region, state)


def encryption_check(region: str, *, on: bool) -> CheckResult:
    """Return whether copies of unencrypted snapshots are encrypted."""
    if not on:
        text = "off: a copy of an unencrypted snapshot is encrypted only if its copy rule names a key"
        remedy = f"`aws ec2 enable-ebs-encryption-by-default --region {region}`; it also holds for every new volume"
        return CheckResult(Check.ENCRYPTION, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.ENCRYPTION, CheckState.OK, region, "on")


def trail_check(region: str, trails: Sequence[RecordingTrail]) -> CheckResult:
    """Return whether CloudTrail records who deletes snapshots, and who takes away what protects them."""
    if not trails:
        text = "no trail records this region's management events: calls by others cause no signals, and only 90 days are known"
        return CheckResult(Check.TRAIL, CheckState.WARNING, region, text, "create a trail of all regions")
    if not any(trail.with_kms for trail in trails):
        text = "no trail records the calls of KMS here: the deletion of a key is not a signal"
        return CheckResult(Check.TRAIL, CheckState.WARNING, region, text, "let a trail record the events of KMS")
    return CheckResult(Check.TRAIL, CheckState.OK, region, f"recorded by {', '.join(trail.name for trail in trails)}")


def names_check(region: str, existing: Mapping[ResourceKind, Sequence[str]]) -> CheckResult:
    """Return whether anything that does not belong to the system has a name of its first deployment."""
    taken = sorted(f"{kind.value} {name}" for kind, names in existing.items() for name in names)
    if taken:
        text = f"the stack cannot take over what exists already and belongs to another system: {', '.join(taken)}"
        remedy = "delete what is left over, or give this system a name of its own with --name, such as --name 2"
        return CheckResult(Check.NAMES, CheckState.PROBLEM, region, text, remedy)
    return CheckResult(Check.NAMES, CheckState.OK, region, "all names of the stack are free")


def sample_check(region: str, functions: Sequence[DeployedFunction]) -> CheckResult:
    """Return whether AWS's sample is deployed: at least two of its functions with one suffix that are not Snapkeep's."""
    by_suffix: dict[str, list[str]] = {}
    for function in functions:
        base = next((name for name in SAMPLE_FUNCTIONS if function.name.startswith(name)), "")
        if base and not function.system:
            by_suffix.setdefault(function.name.removeprefix(base), []).append(function.name)
    names = sorted(name for suffix in by_suffix.values() if len(suffix) >= _FEWEST_OF_SAMPLE for name in suffix)
    if names:
        text = f"AWS's sample is deployed ({', '.join(names)}): it deletes, by count, snapshots that Snapkeep's policy keeps"
        return CheckResult(Check.SAMPLE, CheckState.WARNING, region, text, "see docs/operating/from-aws-sample.md")
    return CheckResult(Check.SAMPLE, CheckState.OK, region, "not deployed")


def version_check(region: str, deployed: str, package: str) -> CheckResult:
    """Compare the version that a deployed stack's output names with this package's."""
    if deployed == package:
        return CheckResult(Check.VERSION, CheckState.OK, region, package)
    text = f"the stack is of version {deployed or 'an earlier release'}, and this package of {package}"
    remedy = "deploy with this package, or install the stack's version; see docs/operating/upgrading.md"
    return CheckResult(Check.VERSION, CheckState.WARNING, region, text, remedy)


def former_check(region: str, snapshots: Mapping[str, int], deployed: set[str], system: str) -> CheckResult:
    """Return whether snapshots carry the name of a system that is not deployed: no retention, no copy, no report."""
    orphaned = {name: count for name, count in sorted(snapshots.items()) if name not in deployed | {system}}
    if orphaned:
        listed = ", ".join(f"{counted(count, 'snapshot')} of {name}" for name, count in orphaned.items())
        remedy = f"deploy that system again, or take its snapshots over: `snapkeep rename {next(iter(orphaned))} {system}`"
        text = f"{listed}: that system has no functions here, so nothing copies, expires or reports them"
        return CheckResult(Check.FORMER, CheckState.WARNING, region, text, remedy)
    return CheckResult(Check.FORMER, CheckState.OK, region, "every managed snapshot belongs to a deployed system")


def credentials_check(caller: Caller) -> CheckResult:
    """Return whose credentials are used."""
    if caller.is_root:
        remedy = "use a role; see docs/operating/access.md"
        return CheckResult(Check.CREDENTIALS, CheckState.WARNING, "", "the account's root user: no policy limits it", remedy)
    return CheckResult(Check.CREDENTIALS, CheckState.OK, "", f"{caller.arn} in account {caller.account_id}")
