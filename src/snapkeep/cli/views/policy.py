"""Policies, and what they would change, for people and for a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from snapkeep.domain.durations import format_duration
from snapkeep.domain.plural import counted, noun_for
from snapkeep.domain.policy.model import CopyRule, PolicySet, Retention, Selector
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.prices import completion_price_usd_per_gib
from snapkeep.domain.retention.region_plan import Comparison

_SHOWN = 10
_VALUES_SHOWN = 5


def summary_lines(policies: PolicySet) -> Iterator[str]:
    """Given policies that were checked, return what they say in few lines."""
    for policy in policies.policies:
        yield f"{policy.name}: {selector_text(policy.selector)}"
        yield f"    rpo {format_duration(policy.rpo)}, keep {retention_text(policy.retention)}"
        for rule in policy.copies:
            yield f"    copy to {rule.region} within {format_duration(rule.copy_within)}, keep {retention_text(rule.retention)}"
            if rule.completion_minutes:
                yield f"        {_completion_text(rule)}"
    limits = policies.limits
    deletions = counted(limits.max_deletions, "deletion")
    yield f"limits: at most {deletions} in a plan, {limits.max_share_percent} % of a volume's snapshots"
    yield from remarks(policies)
    yield "all right"


def remarks(policies: PolicySet) -> Iterator[str]:
    """Given policies, return what is allowed and may surprise."""
    for number, policy in enumerate(policies.policies[:-1]):
        if policy.selector == Selector():
            later = ", ".join(one.name for one in policies.policies[number + 1 :])
            yield f"note: {policy.name} takes every volume; {later} governs only volumes whose tag names it"
            return


def retention_text(retention: Retention) -> str:
    """Given a retention, return it in words: `last 7, daily 14, within 3d`. Without a rule everything is kept."""
    counts = {"last": retention.keep_last} | {word: getattr(retention, f"keep_{word}") for word in PERIODS}
    words = [f"{word} {count}" for word, count in counts.items() if count]
    words += [f"within {format_duration(retention.keep_within)}"] if retention.keep_within else []
    if not words:
        return "everything"
    words += [f"at least {retention.minimum}"] if retention.minimum > 1 else []
    zone = "" if retention.timezone == "UTC" else f" (days of {retention.timezone})"
    return ", ".join(words) + zone


def selector_text(selector: Selector) -> str:
    """Given a selector, return it in words."""
    parts = [f"tag {key}={' or '.join(patterns)}" for key, patterns in selector.tags.items()]
    parts += [f"not tag {key}={' or '.join(patterns)}" for key, patterns in selector.exclude_tags.items()]
    parts += [
        f"{what} {_any_of(values)}"
        for what, values in (
            ("volume", selector.volume_ids),
            ("not volume", selector.exclude_volume_ids),
            ("instance", selector.instance_ids),
            ("type", selector.volume_types),
            ("role", selector.roles),
        )
        if values
    ]
    parts += [f"at least {selector.min_size_gib} GiB"] if selector.min_size_gib else []
    parts += [f"at most {selector.max_size_gib} GiB"] if selector.max_size_gib else []
    return ", ".join(parts) or "every volume"


def _any_of(values: Sequence[str]) -> str:
    """Given values, return them in words; of many the first few and how many more, for a line to be read."""
    more = len(values) - _VALUES_SHOWN
    return " or ".join(values if more <= 1 else [*values[:_VALUES_SHOWN], f"one of {more} more"])


def _completion_text(rule: CopyRule) -> str:
    price = completion_price_usd_per_gib(rule.completion_minutes)
    return f"each copy completes within {rule.completion_minutes} minutes, for {price:.3f} USD a GiB copied besides"


def comparison_lines(region: str, comparison: Comparison) -> Iterator[str]:
    """Given what would change in a region, return it in lines: how many, and the first few by name."""
    moved = [f"{lineage.volume_id} from {before or 'none'} to {after}" for lineage, before, after in comparison.moved if after]
    freed = [f"{lineage.volume_id} from {before}" for lineage, before, after in comparison.moved if not after]
    deleted = [
        f"{change.after.snapshot.id} of {change.after.snapshot.origin.start_time:%Y-%m-%d %H:%M}" for change in comparison.deleted
    ]
    kept = [
        f"{change.after.snapshot.id} of {change.after.snapshot.origin.start_time:%Y-%m-%d %H:%M}" for change in comparison.kept
    ]
    copies = [f"{copy.snapshot_id} to {copy.region}" for copy in comparison.copies]
    refused = [f"{plan.lineage.volume_id}: {'; '.join(plan.refusals)}" for plan in comparison.refused]
    yield region
    for what, items in (
        ("volumes under another policy", moved),
        ("volumes under no policy any more", freed),
        ("snapshots more would go", deleted),
        ("snapshots more would stay", kept),
        ("copies more to make", copies),
        *([("plans more that would be refused", refused)] if refused else []),
    ):
        yield f"  {len(items):>6,}  {noun_for(len(items), what)}"
        yield from (f"            {item}" for item in items[:_SHOWN])
        if len(items) > _SHOWN:
            yield f"            and {len(items) - _SHOWN:,} more"


def comparison_as_data(comparison: Comparison) -> dict[str, Any]:
    """Given what would change, return it as plain data."""
    return {
        "volumes_moved": [
            {"source_region": lineage.region, "volume_id": lineage.volume_id, "before": before or None, "after": after or None}
            for lineage, before, after in comparison.moved
        ],
        "deleted_more": [change.after.snapshot.id for change in comparison.deleted],
        "kept_more": [change.after.snapshot.id for change in comparison.kept],
        "copies_more": [{"snapshot_id": copy.snapshot_id, "region": copy.region} for copy in comparison.copies],
        "copies_dropped": [{"snapshot_id": copy.snapshot_id, "region": copy.region} for copy in comparison.copies_dropped],
        "adopted": [snapshot_id for plan in comparison.adopted for snapshot_id in plan.adopted],
        "plans_refused_more": [
            {"source_region": plan.lineage.region, "volume_id": plan.lineage.volume_id, "refusals": list(plan.refusals)}
            for plan in comparison.refused
        ],
    }
