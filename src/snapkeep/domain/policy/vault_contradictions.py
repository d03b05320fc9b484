"""Contradictions between a document's vaults, and the policies and copy rules that use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from snapkeep.domain.model import EBS_KEY
from snapkeep.domain.policy.lock_fields import lock_contradictions
from snapkeep.domain.policy.problem import PolicyProblem

_ARN_REGION, _ARN_ACCOUNT, _ARN_RESOURCE = 3, 4, 5

Parsed = Mapping[str, Any]


def vault_contradictions(document: Parsed, primary: str) -> Iterator[PolicyProblem]:
    """Yield the contradictions in a document's vaults and their uses; `primary` is empty if it is not known."""
    vaults: dict[str, Parsed] = {}
    for number, vault in enumerate(document.get("vaults", ())):
        path, name = f"vaults[{number}]", vault.get("name", "")
        if name in vaults:
            yield PolicyProblem(f"{path}.name", repr(name), "write another name: it is taken")
        if name:
            vaults.setdefault(name, vault)
        yield from _in_vault(vault, path, primary)
    for number, policy in enumerate(document.get("policies", ())):
        if "vault" in policy:
            yield from _in_policy(policy, f"policies[{number}]", vaults)


def _in_vault(vault: Parsed, path: str, primary: str) -> Iterator[PolicyProblem]:
    key, account, region = vault.get("kms_key", ""), vault.get("account", ""), vault.get("region", "")
    if region and region == primary:
        right = "name another region: a vault copies nothing in the primary region, whose snapshots are the sources"
        yield PolicyProblem(f"{path}.region", repr(region), right)
    if key.startswith("arn:"):
        parts = key.split(":")
        if account and parts[_ARN_ACCOUNT] != account:
            right = f"name a key of the vault's account, {account}: another account could disable it"
            yield PolicyProblem(f"{path}.kms_key", repr(key), right)
        if region and parts[_ARN_REGION] != region:
            yield PolicyProblem(f"{path}.kms_key", repr(key), f"name a key in {region}: a copy is encrypted where it goes")
    yield from lock_contradictions(vault.get("lock", {}), f"{path}.lock")


def _in_policy(policy: Parsed, path: str, vaults: Mapping[str, Parsed]) -> Iterator[PolicyProblem]:
    name = policy["vault"]
    if name not in vaults:
        right = "write the name of a vault: " + (", ".join(vaults) or "there is none; describe it under vaults")
        yield PolicyProblem(f"{path}.vault", repr(name), right)
        return
    region, rules = vaults[name].get("from", ""), policy.get("copies", ())
    number = next((number for number, rule in enumerate(rules) if rule.get("region") == region), None)
    if not region:
        return
    if number is None:
        right = f"write a copy rule for {region}, from which this vault copies, or name another vault"
        yield PolicyProblem(f"{path}.vault", repr(name), right)
        return
    rule, path = rules[number], f"{path}.copies[{number}]"
    key = rule.get("kms_key", "")
    if not key or key == EBS_KEY or (key.startswith("arn:") and key.split(":")[_ARN_RESOURCE] == EBS_KEY):
        right = f"name a customer managed key of {region}: vault {name} cannot copy a snapshot under an AWS managed key"
        yield PolicyProblem(f"{path}.kms_key", repr(key) if key else "missing", right)
    if rule.get("verify", {}).get("structure") == "never":
        right = f"write always, or leave it out: only a copy that was compared is shared with vault {name}"
        yield PolicyProblem(f"{path}.verify.structure", "'never'", right)
