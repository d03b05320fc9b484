"""A share with an account that left `VaultAccounts` stays known: the stack's role can no longer take it back."""

from __future__ import annotations

from dataclasses import replace

from snapkeep.domain.policy.model import CopyRule, Policy, PolicySet, Retention, Selector, Vault
from snapkeep.domain.tag_names import VAULT
from snapkeep.lab.simulator.functions import sharing_of
from snapkeep.lab.simulator.layout import SystemLayout
from support.flows import DR, PRIMARY, Laboratory

REMOVED, OTHER = "210987654321", "888877776666"


def test_a_copy_keeps_its_tag_while_a_removed_account_reads_it() -> None:
    lab = Laboratory(layout=SystemLayout(verify=True, vault_accounts=(REMOVED, OTHER)))
    key = lab.world.client("kms", DR, caller="person").create_key()["KeyMetadata"]["Arn"]
    rule = CopyRule(DR, kms_key=key, retention=Retention(keep_last=9))
    gold = Policy("default", Selector(tags={"Backup": ("*",)}), Retention(keep_last=9), (rule,), vault="bunker")
    lab.policies = PolicySet((gold,), vaults=(Vault("bunker", REMOVED, DR, DR, Retention()),))
    volume = lab.make_volume(Encrypted=True)
    lab.world.write(volume, 0, 20, region=PRIMARY)
    lab.protect(volume)
    (copy,) = lab.ids(DR)
    permissions = lab.world.region_account(DR).permissions
    assert list(permissions[copy]) == [REMOVED]

    one = replace(sharing_of(lab.runner.composition, DR), accounts=frozenset({OTHER}))
    assert one.catch_up().withdrawn == ()
    assert list(permissions[copy]) == [REMOVED]
    assert lab.tags(copy, DR)[VAULT].startswith("bunker ")

    one = replace(one, accounts=frozenset({REMOVED, OTHER}), policies=lambda: replace(lab.policies, policies=()))
    assert one.catch_up().withdrawn == (copy,)
    assert not permissions.get(copy)
    assert VAULT not in lab.tags(copy, DR)
