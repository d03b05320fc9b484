"""The policy of a vault's stack: only the entry of the stack's own account and region in the document counts."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.model import EBS_KEY
from snapkeep.domain.policy.model import AWS_MANAGED, CopyRule, Policy, PolicySet, Retention, Selector, Vault, VerifyRule


def vault_policies(policies: PolicySet, account: str, region: str) -> PolicySet:
    """Return the policies in force in a vault's stack, given its account and region: none if the document has no such vault.

    The vault is one policy with one copy rule. Its copies are made, checked, planned and locked like all others. The policy
    ignores deleted volumes and tags of sources: no action of production deletes a copy here (INV-24).
    """
    vault = next((vault for vault in policies.vaults if (vault.account, vault.region) == (account, region)), None)
    if vault is None:
        return replace(policies, policies=(), groups=(), drills=(), vaults=())
    return replace(policies, policies=(_policy_of(vault),), groups=(), drills=(), vaults=(vault,))


def _policy_of(vault: Vault) -> Policy:
    key = EBS_KEY if vault.kms_key == AWS_MANAGED else vault.kms_key
    # The vault cannot read the source, and the copy that is shared with it is already proved.
    lock = replace(vault.lock, after_proof=False) if vault.lock else None
    rule = CopyRule(
        vault.region, key, retention=vault.retention, carry_tags=False, verify=VerifyRule(structure="never"), lock=lock
    )
    return Policy(vault.name, Selector(), Retention(), (rule,))
