"""A vault in the caller's account and region as commands see it: its stack, and the policies in force there."""

from __future__ import annotations

from snapkeep.cli.common import AwsSettings
from snapkeep.cli.errors import known_errors
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.vault_stack import VaultAlone, account_of
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind


def is_vault(installed: InstalledSystem) -> bool:
    """Return whether the region has a vault's stack, and no primary stack; False where that is not known."""
    try:
        installed.stack_parameters(StackKind.PRIMARY)
    except VaultAlone:
        return True
    except known_errors():
        pass
    return False


def policies_of_vault(settings: AwsSettings) -> PolicySet:
    """Return the vault's policies: those of the entry of its document with this account and region."""
    from snapkeep.domain.policy.vaults import vault_policies  # noqa: PLC0415
    from snapkeep.usecases.policies import in_force  # noqa: PLC0415

    account = account_of(settings)  # first: without credentials it has the error that says so
    document = in_force(InstalledSystem(settings).adapters.policy_store_of(settings.region), PolicySet(()))
    return vault_policies(document, account, settings.region)
