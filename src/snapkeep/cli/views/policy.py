"""Policies and what they would change, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from snapkeep.domain.durations import format_duration
from snapkeep.domain.plural import counted, noun_for
from snapkeep.domain.policy.model import CopyRule, PolicySet, Retention, Selector
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.prices import completion_price_usd_per_gib
from snapkeep.domain.retention.comparison import Comparison
from snapkeep.domain.tags import format_time

if TYPE_CHECKING:
    from snapkeep.cli.installed import RegionSeen
    from snapkeep.usecases.policies import PushResult, ShowResult

_SHOWN = 10
_VALUES_SHOWN = 5


def summary_lines(policies: PolicySet) -> Iterator[str]:
    """Yield checked policies in a few lines."""
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
    yield "no errors"


def remarks(policies: PolicySet) -> Iterator[str]:
    """Yield notes on what is allowed but may surprise."""
    for number, policy in enumerate(policies.policies[:-1]):
        if policy.selector == Selector():
            later = ", ".join(policy.name for policy in policies.policies[number + 1 :])
            yield f"note: {policy.name} selects every volume; {later} governs only volumes whose tag names it"
            return


def retention_text(retention: Retention) -> str:
    """Return a retention in words: `last 7, daily 14, within 3d`. Without a rule everything is kept."""
    counts = {"last": retention.keep_last} | {word: getattr(retention, f"keep_{word}") for word in PERIODS}
    words = [f"{word} {count}" for word, count in counts.items() if count]
    words += [f"within {format_duration(retention.keep_within)}"] if retention.keep_within else []
    if not words:
        return "everything"
    words += [f"at least {retention.minimum}"] if retention.minimum > 1 else []
    zone = "" if retention.timezone == "UTC" else f" (days of {retention.timezone})"
    return ", ".join(words) + zone


def selector_text(selector: Selector) -> str:
    """Return a selector in words."""
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
    """Return values in words; of many, the first few and the number of the rest."""
    more = len(values) - _VALUES_SHOWN
    return " or ".join(values if more <= 1 else [*values[:_VALUES_SHOWN], f"one of {more} more"])


def _completion_text(rule: CopyRule) -> str:
    price = completion_price_usd_per_gib(rule.completion_minutes)
    return f"each copy completes within {rule.completion_minutes} minutes, for {price:.3f} USD more for each GiB copied"


def comparison_lines(region: str, comparison: Comparison) -> Iterator[str]:
    """Yield the changes in a region in lines: counts, and the first few by name."""
    moved = [
        f"{lineage.volume_id} from {before or 'none'} to {after}" for lineage, before, after in comparison.reassigned if after
    ]
    freed = [f"{lineage.volume_id} from {before}" for lineage, before, after in comparison.reassigned if not after]
    deleted = [
        f"{change.after.snapshot.id} of {change.after.snapshot.origin.start_time:%Y-%m-%d %H:%M}" for change in comparison.deleted
    ]
    kept = [
        f"{change.after.snapshot.id} of {change.after.snapshot.origin.start_time:%Y-%m-%d %H:%M}" for change in comparison.kept
    ]
    copies = [f"{copy.snapshot_id} to {copy.region}" for copy in comparison.copies]
    later = [
        f"{verdict.snapshot.id} of {verdict.snapshot.origin.start_time:%Y-%m-%d %H:%M}"
        for verdict in comparison.deleted_after_copies
    ]
    refused = [f"{plan.lineage.volume_id}: {'; '.join(plan.refusals)}" for plan in comparison.refused]
    yield region
    for heading, items in (
        ("volumes under another policy", moved),
        ("volumes no longer under a policy", freed),
        ("more snapshots would be deleted", deleted),
        ("more snapshots would be kept", kept),
        ("more copies would be made", copies),
        *([("more snapshots would be deleted once the copies are made", later)] if later else []),
        *([("more plans would be refused", refused)] if refused else []),
    ):
        yield f"  {len(items):>6,}  {noun_for(len(items), heading)}"
        yield from (f"            {item}" for item in items[:_SHOWN])
        if len(items) > _SHOWN:
            yield f"            and {len(items) - _SHOWN:,} more"


def comparison_as_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values."""
    return {
        "volumes_moved": [
            {"source_region": lineage.region, "volume_id": lineage.volume_id, "before": before or None, "after": after or None}
            for lineage, before, after in comparison.reassigned
        ],
        "deleted_more": [change.after.snapshot.id for change in comparison.deleted],
        "deleted_more_after_copies": [verdict.snapshot.id for verdict in comparison.deleted_after_copies],
        "kept_more": [change.after.snapshot.id for change in comparison.kept],
        "copies_more": [{"snapshot_id": copy.snapshot_id, "region": copy.region} for copy in comparison.copies],
        "copies_dropped": [{"snapshot_id": copy.snapshot_id, "region": copy.region} for copy in comparison.copies_dropped],
        "adopted": [snapshot_id for plan in comparison.adopted for snapshot_id in plan.adopted],
        "plans_refused_more": [
            {"source_region": plan.lineage.region, "volume_id": plan.lineage.volume_id, "refusals": list(plan.refusals)}
            for plan in comparison.refused
        ],
    }


def dropped_line(region: RegionSeen) -> str:
    """Return what becomes of a region to which nothing is copied any more."""
    if region.problem:
        return f"{region.problem}; nothing is copied there any more, and its former document is in force until a push reaches it"
    return f"{region.region}: nothing is copied there any more; the document is pushed there too, and every copy is kept"


def pushed_line(result: PushResult) -> str:
    """Return what a push did in a region."""
    if result.unchanged:
        return f"{result.region}: version {result.version} is this document already"
    if result.overtaken:
        return f"{result.region}: version {result.version} is in force; somebody else pushed at the same time, see the history"
    return f"{result.region}: version {result.version} is in force"


def history_lines(versions: Sequence[ShowResult]) -> Iterator[str]:
    """Yield the versions of a document, a line for each, and what is in force where none is."""
    yield from map(_version_line, versions)
    if all(version.stored.is_empty for version in versions):
        yield "no document is in force: the stacks' parameters are the policy"
    elif not any(version.in_force for version in versions):
        yield "no version can be used: the stacks' parameters are the policy, and nothing is deleted"


def _version_line(version: ShowResult) -> str:
    stored = version.stored
    line = f"{stored.version:>4}  {stored.at:%Y-%m-%d %H:%M}  {_content(version)}  {stored.author}"
    return line + "  (in force)" if version.in_force else line


def _content(version: ShowResult) -> str:
    if version.stored.is_empty:
        return "no document: the stacks' parameters"
    if version.policies is None:
        return f"cannot be used: {counted(len(version.problems), 'error')}, first: {version.problems[0]}"
    return "policies " + ", ".join(policy.name for policy in version.policies.policies)


def version_as_data(version: ShowResult) -> dict[str, Any]:
    """Return a version of a document as JSON values."""
    return {
        "version": version.stored.version,
        "at": format_time(version.stored.at),
        "author": version.stored.author,
        "in_force": version.in_force,
        "removed": version.stored.is_empty,
        "policies": [policy.name for policy in version.policies.policies] if version.policies else None,
        "errors": [problem._asdict() for problem in version.problems],
    }
