"""The policy of a vault's stack: of the whole document, the entry of the stack's own account and region counts alone."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.model import EBS_KEY
from snapkeep.domain.policy.model import AWS_MANAGED, CopyRule, Policy, PolicySet, Retention, Selector, Vault, VerifyRule


def vault_policies(policies: PolicySet, account: str, region: str) -> PolicySet:
    """Return the policies in force in a vault's stack, given its account and region: none where the document names no such vault.

    The vault is one policy with one copy rule, so that its copies are made, checked, planned and locked as all others. It knows
    no deleted volumes and no tags of sources: nothing that production does deletes a copy here (INV-24).
    """
    vault = next((vault for vault in policies.vaults if (vault.account, vault.region) == (account, region)), None)
    if vault is None:
        return replace(policies, policies=(), groups=(), drills=(), vaults=())
    return replace(policies, policies=(_policy_of(vault),), groups=(), drills=(), vaults=(vault,))


def _policy_of(vault: Vault) -> Policy:
    key = EBS_KEY if vault.kms_key == AWS_MANAGED else vault.kms_key
    # The vault cannot read the source; the copy that was shared with it is proved already.
    lock = replace(vault.lock, after_proof=False) if vault.lock else None
    rule = CopyRule(
        vault.region, key, retention=vault.retention, carry_tags=False, verify=VerifyRule(structure="never"), lock=lock
    )
    return Policy(vault.name, Selector(), Retention(), (rule,))
