"""Parts of valid policies that protect less, or keep more, than a reader expects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple

from snapkeep.domain.policy.cron import parse_cron
from snapkeep.domain.policy.model import PolicySet, Selector
from snapkeep.domain.tag_names import POLICY
from snapkeep.domain.wildcards import matches_any


class PolicyGap(NamedTuple):
    """A path in a document, and why it protects less or keeps more."""

    path: str
    text: str


def policy_gaps(policies: PolicySet, now: datetime) -> Iterator[PolicyGap]:
    """Yield policies that get no volume because of an earlier one, that copy nothing or hold everything, and unused vaults.

    Schedules that are over are no errors: a document that was valid when it was pushed must stay valid.
    """
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
    yield from _schedules_that_are_over(policies, now)
    used = {policy.vault for policy in policies.policies}
    for number, vault in enumerate(policies.vaults):
        if vault.name not in used:
            yield PolicyGap(f"vaults[{number}].name", f"no policy names vault {vault.name}: nothing is shared with it")


def _schedules_that_are_over(policies: PolicySet, now: datetime) -> Iterator[PolicyGap]:
    for number, policy in enumerate(policies.policies):
        if policy.snapshots and _is_over(policy.snapshots.cron, now, policy.snapshots.timezone):
            text = f"{policy.name} makes no snapshots: no moment of {policy.snapshots.cron} is still to come"
            yield PolicyGap(f"policies[{number}].snapshots.cron", text)
    for number, drill in enumerate(policies.drills):
        if _is_over(drill.schedule.cron, now, drill.schedule.timezone):
            text = f"{drill.name} is never due: no moment of {drill.schedule.cron} is still to come"
            yield PolicyGap(f"drills[{number}].schedule.cron", text)


def _is_over(cron: str, now: datetime, timezone: str) -> bool:
    return bool(cron) and parse_cron(cron).is_over(now, timezone)


def _takes_all(former: Selector, later: Selector) -> bool:
    """Whether a selector certainly matches every volume of another: each of its parts is open, or equal."""
    everything = Selector()
    return all(
        getattr(former, part.name) in (getattr(everything, part.name), getattr(later, part.name))
        for part in fields(Selector)
        if part.name != "snapshot_tags"  # it chooses snapshots, not volumes
    )
