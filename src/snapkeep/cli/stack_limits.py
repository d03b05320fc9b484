"""Limits that the deployed stacks set: to locks, sharing with vaults, commands around snapshots, and a day's deletions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from snapkeep.cli.errors import known_errors, one_line
from snapkeep.domain.locks import LockLimits, lock_not_allowed, locks_not_allowed
from snapkeep.domain.policy.problem import InvalidPolicy
from snapkeep.domain.retention.deletion_days import AllowanceReader, DayAllowance
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.common import AwsSettings
    from snapkeep.domain.policy.model import PolicySet, Vault
    from snapkeep.domain.policy.problem import PolicyProblem


class Stacks(Protocol):
    """The stacks of an installed system."""

    @property
    def settings(self) -> AwsSettings:
        """The settings, with the primary region."""

    def stack_parameters(self, kind: StackKind, region: str) -> Mapping[str, str]:
        """Return the parameters of a region's stack; empty where there is no such stack."""

    def stack_outputs(self, kind: StackKind, region: str) -> Mapping[str, str]:
        """Return the outputs of a region's stack."""


def limits_of(installed: Stacks, region: str) -> LockLimits | None:
    """Return the locks that the stack of a region allows; None where there is no stack, or it does not answer."""
    return _limits(parameters) if (parameters := _parameters(installed, installed.settings.kind_of(region), region)) else None


def lock_problems(installed: Stacks, policies: PolicySet) -> list[PolicyProblem]:
    """Return each lock that its region's stack does not allow, as far as the stacks are known."""
    return locks_not_allowed(policies, installed.settings.region, partial(limits_of, installed))


def check_locks(installed: Stacks, policies: PolicySet) -> None:
    """Raise InvalidPolicy for each lock that its region's stack does not allow. A region that does not answer allows all."""
    if problems := lock_problems(installed, policies):
        raise InvalidPolicy(problems)


def check_locks_of_vault(parameters: Mapping[str, str], vault: Vault, number: int) -> None:
    """Raise InvalidPolicy where the lock of the vault `vaults[number]` is not allowed by its own stack's parameters."""
    if vault.lock is None:
        return
    if problems := list(lock_not_allowed(f"vaults[{number}].lock", vault.lock, vault.region, _limits(parameters))):
        raise InvalidPolicy(problems)


def vaults_not_allowed(installed: Stacks, policies: PolicySet) -> Iterator[str]:
    """Yield the vaults that policies name and whose accounts their DR stack may not share with, as far as that is known."""
    used = {policy.vault for policy in policies.policies}
    for vault in policies.vaults:
        parameters = _parameters(installed, StackKind.DR, vault.from_region)
        accounts = [account for text in parameters.get("VaultAccounts", "").split(",") if (account := text.strip())]
        if vault.name in used and parameters and vault.account not in accounts:
            value = ",".join([*accounts, vault.account])
            yield (
                f"vault {vault.name}: nothing is shared with it, as its account {vault.account} is not in VaultAccounts of the "
                f"stack in {vault.from_region}: add it with `snapkeep deploy --dr-parameter VaultAccounts={value}`"
            )


def documents_not_allowed(installed: Stacks, policies: PolicySet) -> Iterator[str]:
    """Yield the SSM documents of policies that the primary stack does not allow, as far as that is known."""
    region = installed.settings.region
    parameters = _parameters(installed, StackKind.PRIMARY, region)
    allowed = {text.strip() for text in parameters.get("SsmDocuments", "").split(",")}
    allowed |= {arn.partition(":document/")[2] for arn in allowed}
    for policy in policies.policies if parameters else ():
        named = dict.fromkeys(script.ssm_document for script in (policy.before, policy.after) if script)
        missing = [document for document in named if document not in allowed]
        if missing:
            yield (
                f"policy {policy.name}: AWS refuses {', '.join(missing)}, as SsmDocuments of the stack in {region} does not have "
                f"the ARN: deploy with `--parameter SsmDocuments=…` and the ARNs of all documents, with commas between them"
            )


def allowance_reader(installed: Stacks, region: str, kind: StackKind | None = None) -> AllowanceReader:
    """Return what reads the deletions that the runs of a region may make, by one listing for each day.

    Without a `kind` the stack is the region's of a system.
    """

    @cache
    def of_day(day: date) -> Callable[[Collection[str]], DayAllowance]:
        try:
            return _allowance(installed, region, kind or installed.settings.kind_of(region), day)
        except known_errors() as error:
            problem = one_line(error)
            return lambda snapshot_ids: DayAllowance(len(snapshot_ids), problem=problem)

    return lambda day, snapshot_ids: of_day(day)(snapshot_ids)


def _allowance(installed: Stacks, region: str, kind: StackKind, day: date) -> Callable[[Collection[str]], DayAllowance]:
    from snapkeep.adapters.s3_documents import S3Documents  # noqa: PLC0415 - imports botocore
    from snapkeep.usecases.sweep.announced_deletions import AnnouncedDeletions  # noqa: PLC0415 - of plans that delete alone

    times = installed.stack_parameters(kind, region).get("DeletionsTimesUsual")
    if not times:  # no stack, or one of a version that had no limit
        return lambda snapshot_ids: DayAllowance(len(snapshot_ids))
    bucket = installed.stack_outputs(kind, region)["ReportsBucketName"]
    documents = S3Documents(client=installed.settings.client("s3", region), bucket=bucket)
    return AnnouncedDeletions(documents).allowance_of(day, int(times))


def _parameters(installed: Stacks, kind: StackKind, region: str) -> Mapping[str, str]:
    """Return the parameters of a stack; empty where there is none, or none is known."""
    try:
        return installed.stack_parameters(kind, region)
    except known_errors():
        return {}


def _limits(parameters: Mapping[str, str]) -> LockLimits:
    return LockLimits(int(parameters.get("MaxLockDays", "0")), parameters.get("AllowComplianceLocks") == "yes")
