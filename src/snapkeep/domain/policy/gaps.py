"""Parts of valid policies that protect less, or keep more, than a reader expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import NamedTuple

from snapkeep.domain.policy.model import PolicySet, Selector
from snapkeep.domain.tag_names import POLICY
from snapkeep.domain.wildcards import matches_any


class PolicyGap(NamedTuple):
    """A path in a document, and why it protects less or keeps more."""

    path: str
    text: str


def policy_gaps(policies: PolicySet) -> Iterator[PolicyGap]:
    """Yield policies that an earlier one leaves no volume, that copy nothing or hold everything, and vaults that none names."""
    for number, policy in enumerate(policies.policies):
        earlier = (former.name for former in policies.policies[:number] if _takes_all(former.selector, policy.selector))
        if name := next(earlier, ""):
            text = f"{policy.name} governs only volumes whose tag {POLICY} names it: {name}, an earlier policy, takes all others"
            yield PolicyGap(f"policies[{number}].select", text)
        if not policy.copies:
            text = f"{policy.name} copies nothing: its volumes cannot be recovered in another region"
            yield PolicyGap(f"policies[{number}].copies", text)
        for key in filter(policy.hold_tags.get, policy.selector.tags):
            required, held = set(policy.selector.tags[key]), set(policy.hold_tags[key])
            if ("*" in held or required <= held) and not matches_any(key, policy.carry_tags.excluded):
                text = f"{policy.name} holds every snapshot: its volumes have the tag {key}, and give it to their snapshots"
                yield PolicyGap(f"policies[{number}].hold_tags.{key}", text)
    used = {policy.vault for policy in policies.policies}
    for number, vault in enumerate(policies.vaults):
        if vault.name not in used:
            yield PolicyGap(f"vaults[{number}].name", f"no policy names vault {vault.name}: nothing is shared with it")


def _takes_all(former: Selector, later: Selector) -> bool:
    """Whether a selector certainly takes every volume of another: each part of it is open, or equal."""
    everything = Selector()
    return all(
        getattr(former, part.name) in (getattr(everything, part.name), getattr(later, part.name))
        for part in fields(Selector)
        if part.name != "snapshot_tags"  # it chooses snapshots, not volumes
    )
