"""The stack of a vault in the caller's account and region, and the policies in force there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.common import AwsSettings
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind, stack_name

if TYPE_CHECKING:
    from snapkeep.deploy.stacks import StackDescription


def vault_stack(settings: AwsSettings) -> StackDescription:
    """Return the vault's stack, which has one name; without parameters and outputs where there is no such stack."""
    from snapkeep.deploy.stacks import describe_stack  # noqa: PLC0415 - imports botocore

    return describe_stack(settings.client("cloudformation", settings.region), stack_name(settings.system, StackKind.VAULT))


def account_of(settings: AwsSettings) -> str:
    """Return the caller's account."""
    return str(settings.client("sts", settings.region).get_caller_identity()["Account"])


def policies_of_vault(settings: AwsSettings) -> PolicySet:
    """Return the vault's policies: those of the entry of its document with this account and region."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore
    from snapkeep.domain.policy.vaults import vault_policies  # noqa: PLC0415
    from snapkeep.usecases.policies import in_force  # noqa: PLC0415

    document = in_force(InstalledSystem(settings).adapters.policy_store_of(settings.region), PolicySet(()))
    return vault_policies(document, account_of(settings), settings.region)
