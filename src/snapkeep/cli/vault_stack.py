"""The stack of a vault in the caller's account and region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import WrongUse
from snapkeep.domain.system import StackKind, stack_name

if TYPE_CHECKING:
    from snapkeep.deploy.stack_descriptions import StackDescription


def vault_stack(settings: AwsSettings) -> StackDescription:
    """Return the vault's stack, which has one name; without parameters and outputs where there is no such stack."""
    from snapkeep.deploy.stack_descriptions import describe_stack  # noqa: PLC0415 - imports botocore

    return describe_stack(settings.client("cloudformation", settings.region), stack_name(settings.system, StackKind.VAULT))


class VaultAlone(WrongUse):
    """The region has a vault's stack, and no primary stack: commands of production have nothing to show there."""


def refuse_vault(settings: AwsSettings) -> None:
    """Raise VaultAlone where the caller's region has a vault's stack. An unreadable region has none."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

    try:
        stack = vault_stack(settings)
    except (BotoCoreError, ClientError):
        return
    if stack.parameters:
        raise VaultAlone(
            f"{settings.region} of this account has the vault {stack.name} and no primary stack: use `snapkeep vault list`, "
            f"`vault sweep`, `vault push` and `vault restore`, `snapkeep hold`, `report` and `doctor`, and for recoveries "
            f"`recover resume` and `recover undo` with --in {settings.region}"
        )


def account_of(settings: AwsSettings) -> str:
    """Return the caller's account."""
    return str(settings.client("sts", settings.region).get_caller_identity()["Account"])
