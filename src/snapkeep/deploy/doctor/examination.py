"""The doctor: reads, decides, and never acts. A fact that cannot be read is not known, and stops no other check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

from snapkeep.deploy.doctor import checks
from snapkeep.deploy.doctor.ports import AccountInventory, Caller, PermissionQuestion, RegionInventory, ResourceKind
from snapkeep.deploy.doctor.results import Check, CheckResult, CheckState
from snapkeep.domain.errors import SnapkeepError


@dataclass(frozen=True, slots=True)
class StackSubject:
    """A stack as it is deployed, or will be."""

    region: str
    parameters: Mapping[str, str]
    """All of them: what was deployed or is given, and the template's defaults."""
    deployed: bool
    version: str
    """The version that the deployed stack's output names; empty where there is none."""
    names: Mapping[ResourceKind, Sequence[str]] = field(default_factory=dict)
    """The names that the template of a stack that is not deployed fixes."""
    unreadable: str = ""
    """Why CloudFormation did not describe it; empty where it did, or where there is no such stack."""


@dataclass(frozen=True, slots=True)
class System:
    """The system that is examined: the primary stack, and the DR stacks. A vault is one without a primary stack."""

    name: str
    package_version: str
    primary: StackSubject | None
    dr: Sequence[StackSubject]
    copy_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By DR region, the KMS keys that the copy rules in force name."""
    ssm_documents: Sequence[str] = ()
    """The SSM documents that the policies in force run around snapshots."""

    @property
    def stacks(self) -> list[StackSubject]:
        """The stacks, the primary first."""
        return [*([self.primary] if self.primary else []), *self.dr]


def examine(
    system: System,
    account: AccountInventory,
    region_of: Callable[[str], RegionInventory],
    *,
    deploying: bool = False,
    role_arn: str = "",
) -> list[CheckResult]:
    """Return the results of all checks; `deploying` leaves out what a deployment changes anyway or takes long to read.

    `role_arn` is the role with which CloudFormation acts, and is empty where it acts with the caller's permissions. Without
    working credentials there is no other result.
    """
    try:
        caller = account.caller()
    except SnapkeepError as error:
        remedy = "set AWS_PROFILE or give --profile, then `aws sts get-caller-identity`"
        return [CheckResult(Check.CREDENTIALS, CheckState.PROBLEM, "", str(error), remedy)]
    results = [checks.credentials_check(caller)]
    home = region_of(system.stacks[0].region)
    for stack in system.stacks:
        region = stack.region
        enabled = _known(Check.REGION, region, partial(_region, home, region))
        results.append(enabled)
        if enabled.state is not CheckState.PROBLEM:  # a region that is not enabled answers nothing
            results += _stack_results(system, stack, account, caller, region_of(region), deploying=deploying, role_arn=role_arn)
    return results


def _region(home: RegionInventory, region: str) -> CheckResult:
    return checks.region_check(region, home.opt_in_status(region))


def _known(check: Check, region: str, decide: Callable[[], CheckResult]) -> CheckResult:
    """Return the result of a check, or that it is not known."""
    try:
        return decide()
    except SnapkeepError as error:
        return CheckResult(check, CheckState.NOT_KNOWN, region, str(error))


def _stack_results(
    system: System,
    stack: StackSubject,
    account: AccountInventory,
    caller: Caller,
    facts: RegionInventory,
    *,
    deploying: bool,
    role_arn: str,
) -> Iterator[CheckResult]:
    region, is_dr = stack.region, stack is not system.primary

    def deployer() -> CheckResult:
        denied = [] if caller.is_root else _denied(account, caller, system.name, region, role_arn)
        return checks.deployer_check(denied, region, deploying=deploying)

    decisions: list[tuple[Check, Callable[[], CheckResult]]] = [
        (Check.DEPLOYER, deployer),
        (Check.READER, lambda: checks.reader_check(facts.denied_reads(), region)),
        (Check.CONCURRENCY, lambda: checks.concurrency_check(region, *facts.concurrency())),
        (Check.SHARING, lambda: checks.sharing_check(region, facts.block_public_access())),
        (Check.ENCRYPTION, lambda: checks.encryption_check(region, on=facts.encrypts_by_default())),
        (Check.TRAIL, lambda: checks.trail_check(region, facts.trails())),
        (Check.SAMPLE, lambda: checks.sample_check(region, facts.functions())),
    ]
    if is_dr:
        quota = int(stack.parameters["CopyQuota"])
        decisions.append((Check.COPY_QUOTA, lambda: checks.copy_quota_check(region, quota, facts.copies_at_once())))
        keys = _copy_keys(system, stack)
        # Bound now: the checks run after the loop.
        decisions += [(Check.COPY_KEY, partial(_key, Check.COPY_KEY, facts, region, key, caller)) for key in keys]
    else:
        most = int(stack.parameters["SnapshotQuota"])
        decisions.append((Check.SNAPSHOT_QUOTA, lambda: checks.snapshot_quota_check(region, most, facts.most_snapshots())))
        allowed, named = stack.parameters.get("SsmDocuments", ""), system.ssm_documents
        if named:
            decisions.append((Check.SSM_DOCUMENTS, lambda: checks.ssm_documents_check(region, allowed, named, caller)))
    if stack_key := stack.parameters.get("KmsKeyArn", ""):
        services = ("events.amazonaws.com", "cloudwatch.amazonaws.com", f"logs.{region}.amazonaws.com")
        decisions.append((Check.STACK_KEY, partial(_key, Check.STACK_KEY, facts, region, stack_key, caller, services)))
    if stack.names:
        decisions.append((Check.NAMES, lambda: checks.names_check(region, _existing(facts, stack.names))))
    if not deploying:
        if stack.deployed:
            decisions.append((Check.VERSION, lambda: checks.version_check(region, stack.version, system.package_version)))
        decisions.append((Check.FORMER, lambda: _former(facts, region, system.name)))
    if stack.unreadable:
        yield CheckResult(Check.STACK, CheckState.NOT_KNOWN, region, stack.unreadable)
    yield from (_known(check, region, decide) for check, decide in decisions)


def _key(
    check: Check, facts: RegionInventory, region: str, key: str, caller: Caller, services: Sequence[str] = ()
) -> CheckResult:
    return checks.key_check(check, region, facts.key(key), caller.account_id, services)


def _copy_keys(system: System, stack: StackSubject) -> list[str]:
    """Return the keys of copies into a region: those of the policies in force, and the primary stack's parameter."""
    parameters = system.primary.parameters if system.primary else {}
    of_parameter = parameters.get("DRKmsKey", "") if parameters.get("DRRegion") == stack.region else ""
    return [key for key in dict.fromkeys((of_parameter, *system.copy_keys.get(stack.region, ()))) if key]


def _existing(facts: RegionInventory, names: Mapping[ResourceKind, Sequence[str]]) -> dict[ResourceKind, Sequence[str]]:
    return {kind: facts.existing(kind, of_kind) for kind, of_kind in names.items()}


def _former(facts: RegionInventory, region: str, system: str) -> CheckResult:
    deployed = {function.system for function in facts.functions()}
    return checks.former_check(region, facts.managed_snapshots(), deployed, system)


def deployer_questions(caller: Caller, system: str, region: str) -> list[PermissionQuestion]:
    """Return the permissions that a deployment into a region needs of its caller, apart from what CloudFormation does."""
    prefix, account = f"arn:{caller.partition}", caller.account_id
    return _questions(
        {
            f"{prefix}:cloudformation:{region}:{account}:stack/{system}-primary/*": (
                "cloudformation:CreateChangeSet",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStacks",
                "cloudformation:ExecuteChangeSet",
                "cloudformation:ListStackResources",
            ),
            f"{prefix}:s3:::{system}-{account}-{region}": ("s3:CreateBucket", "s3:ListBucket", "s3:PutEncryptionConfiguration"),
            f"{prefix}:s3:::{system}-{account}-{region}/functions/package.zip": ("s3:GetObject", "s3:PutObject"),
        }
    )


def cloudformation_questions(caller: Caller, system: str, region: str) -> list[PermissionQuestion]:
    """Return the permissions that CloudFormation needs for the stacks' resources, without those of KMS, which have conditions."""
    prefix, account = f"arn:{caller.partition}", caller.account_id
    return _questions(
        {
            f"{prefix}:iam::{account}:role/{system}-primary-Role": ("iam:CreateRole", "iam:PutRolePolicy", "iam:TagRole"),
            f"{prefix}:lambda:{region}:{account}:function:DeleteOldSnapshots": ("lambda:AddPermission", "lambda:CreateFunction"),
            f"{prefix}:states:{region}:{account}:stateMachine:{system}-sweep": ("states:CreateStateMachine",),
            f"{prefix}:events:{region}:{account}:rule/{system}-primary-Rule": ("events:PutRule", "events:PutTargets"),
            f"{prefix}:sqs:{region}:{account}:{system}-primary-Notices": ("sqs:CreateQueue",),
            f"{prefix}:sns:{region}:{account}:{system}-notifications": ("sns:CreateTopic",),
            f"{prefix}:dynamodb:{region}:{account}:table/{system}-queue": ("dynamodb:CreateTable",),
            f"{prefix}:logs:{region}:{account}:log-group:/aws/lambda/DeleteOldSnapshots": ("logs:CreateLogGroup",),
            f"{prefix}:cloudwatch:{region}:{account}:alarm:{system}-primary-Alarm": ("cloudwatch:PutMetricAlarm",),
        }
    )


def _questions(actions_of: Mapping[str, tuple[str, ...]]) -> list[PermissionQuestion]:
    return [PermissionQuestion(actions, arn) for arn, actions in actions_of.items()]


def _denied(account: AccountInventory, caller: Caller, system: str, region: str, role_arn: str) -> list[str]:
    """Return the actions that a deployment needs and that the caller, or CloudFormation's role, is denied."""
    actor = replace(caller, arn=role_arn) if role_arn else caller
    passing = [PermissionQuestion(("iam:PassRole",), role_arn)] if role_arn else []
    asked = [(caller, question) for question in (*deployer_questions(caller, system, region), *passing)]
    asked += [(actor, question) for question in cloudformation_questions(caller, system, region)]
    return list(chain.from_iterable(account.denied(who, question) for who, question in asked))
