"""Policies and the changes that they make, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from snapkeep.cli.output import titled
from snapkeep.cli.views.locks import listed, lock_lines, locks_as_data
from snapkeep.cli.views.plan import allowance_as_data
from snapkeep.domain.durations import format_duration
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.model import Lineage, Verdict
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.completion import COMPLETION_STEP_MINUTES
from snapkeep.domain.policy.drill_rules import DrillRule
from snapkeep.domain.policy.frequency import between_copies, copies_all
from snapkeep.domain.policy.model import (
    AWS_MANAGED,
    CONSISTENT_INSTANCE,
    CopyRule,
    LockRule,
    Policy,
    PolicySet,
    RecoveryGroup,
    Retention,
    Selector,
    SnapshotRule,
    Vault,
)
from snapkeep.domain.policy.periods import PERIODS
from snapkeep.domain.prices import completion_price_usd_per_gib
from snapkeep.domain.retention.comparison import Comparison
from snapkeep.domain.retention.key_changes import FullCopies
from snapkeep.domain.tags import format_time

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import RegionReading
    from snapkeep.usecases.policies import PushResult, ShowResult

_VALUES_SHOWN = 5


def summary_lines(policies: PolicySet, limits_set: Collection[str]) -> Iterator[str]:
    """Yield checked policies in a few lines, with the limits that their document sets."""
    for policy in policies.policies:
        yield f"{policy.name}: {selector_text(policy.selector)}"
        yield f"    rpo {format_duration(policy.rpo)}, keep {retention_text(policy.retention)}"
        if policy.snapshots is not None:
            yield f"    make snapshots {_snapshots_text(policy.snapshots)}{_scripts_text(policy)}"
            if policy.consistent != CONSISTENT_INSTANCE:
                yield "        of each volume by itself"
        if policy.lock is not None:
            yield f"    {_lock_text(policy.lock)}"
        for rule in policy.copies:
            yield from _rule_lines(rule)
        if policy.vault:
            yield f"    copies are shared with vault {policy.vault}"
        if policy.gone is not None:
            yield f"    of deleted volumes keep {retention_text(policy.gone)}"
        yield from _tag_lines(policy)
    for drill in policies.drills:
        yield f"drill {drill.name} in {drill.region}: {drill_text(drill)}"
    yield from map(_group_line, policies.groups)
    yield from map(vault_line, policies.vaults)
    limits = [f"{name} {value}" for name, value in asdict(policies.limits).items() if name in limits_set]
    inherited = "those of the stacks' parameters"
    if not limits:
        yield f"limits: {inherited}"
    else:
        complete = len(limits) == len(fields(policies.limits))
        yield f"limits: {', '.join(limits)}" + ("" if complete else f"; the others are {inherited}")


def _tag_lines(policy: Policy) -> Iterator[str]:
    for effect, tags in (("never delete", policy.leave_alone.tags), ("hold", policy.hold_tags)):
        if tags:
            yield f"    {effect} snapshots with tag " + " or ".join(_tag_texts(tags))
    if policy.carry_tags.excluded:
        yield f"    of the volume's tags, snapshots and copies do not get {', '.join(policy.carry_tags.excluded)}"


def _tag_texts(tags: Mapping[str, Collection[str]]) -> list[str]:
    return [f"{key}={' or '.join(patterns)}" for key, patterns in tags.items()]


def _rule_lines(rule: CopyRule) -> Iterator[str]:
    yield f"    copy to {rule.region} within {format_duration(rule.copy_within)}, keep {retention_text(rule.retention)}"
    if not copies_all(rule):
        yield f"        of the snapshots of {format_duration(between_copies(rule))} the first is copied"
    if not rule.carry_tags:
        yield "        the copies do not get the volume's tags"
    if rule.lock is not None:
        yield f"        {_lock_text(rule.lock)}"
    if rule.completion_minutes:
        yield f"        {_completion_text(rule)}"
    if rule.completion:
        highest = completion_price_usd_per_gib(COMPLETION_STEP_MINUTES)
        yield f"        each copy in the cheapest way that meets this, at most {highest:.3f} USD more for each GiB copied"
    if rule.copy_budget:
        yield f"        time-based copies for at most {rule.budget_usd:g} USD a month, then ordinary ones"


def drill_text(drill: DrillRule) -> str:
    """Describe a drill: the policies, the schedule, what it picks and what it demands."""
    pick = drill.pick
    point = "a random point" if pick.random else "the newest point"
    point = f"the oldest point within {format_duration(pick.oldest_within)}" if pick.oldest_within else point
    parts = [
        f"policy {', '.join(drill.policies)}",
        f"at {drill.schedule.cron} ({drill.schedule.timezone})",
        f"the instances of group {drill.group} each time"
        if drill.group
        else f"{counted(pick.rotate, str(drill.level))} each time, {point} of each",
    ]
    parts += [f"rto {format_duration(drill.rto)}"] if drill.rto else []
    parts += [f"command {drill.command.document} within {format_duration(drill.command.timeout)}"] if drill.command else []
    parts += [f"each volume within {format_duration(drill.covered_within)}"] if drill.covered_within else []
    parts += [f"at most {drill.budget_usd:g} USD a month"] if drill.budget_usd else []
    parts += [f"instances at {drill.instance_usd_per_hour:g} USD an hour"] if drill.instance_usd_per_hour else []
    parts += [f"{new} in place of {old}" for old, new in drill.map.instance_types.items()]
    return "; ".join(parts)


def _group_line(group: RecoveryGroup) -> str:
    """Describe a recovery group."""
    tags = [f"tag {text}" for text in _tag_texts(group.instances.tags)]
    order = f", in the order {', '.join(group.order)}" if group.order else ""
    waits = "have passed their status checks" if group.waits_for_checks else "run"
    return f"group {group.name}: instances with {', '.join(tags)}{order}; each stage waits until those before it {waits}"


def vault_line(vault: Vault) -> str:
    """Describe a vault: its place, its source, its locks and its retention."""
    key = "the key that AWS manages for EBS there" if vault.kms_key == AWS_MANAGED else vault.kms_key
    return (
        f"vault {vault.name}: account {vault.account}, {vault.region}, from {vault.from_region}, under {key}; "
        f"{_lock_text(vault.lock)}; keep {retention_text(vault.retention)}"
    )


def _lock_text(lock: LockRule | None) -> str:
    if lock is None:
        return "not locked"
    cool_off = f", which can be removed for {format_duration(lock.cool_off)}" if lock.cool_off else ""
    return f"locked in {lock.mode} mode for {format_duration(lock.duration)}{cool_off}"


def _scripts_text(policy: Policy) -> str:
    scripts = (("before", policy.before), ("after", policy.after))
    return "".join(f"; {script.ssm_document} {stage} them, within {script.timeout}" for stage, script in scripts if script)


def _snapshots_text(rule: SnapshotRule) -> str:
    zone = "" if rule.timezone == "UTC" else f" ({rule.timezone})"
    if rule.when:
        return "in time for the rpo, unless others make them"
    return (f"at {rule.cron}" if rule.cron else f"every {format_duration(rule.every)}") + zone + ", unless others make them"


def retention_text(retention: Retention) -> str:
    """Describe a retention: `last 7, daily 14, within 3d`. Without a rule everything is kept."""
    counts = {"last": retention.keep_last} | {word: getattr(retention, f"keep_{word}") for word in PERIODS}
    words = [f"{word} {count}" for word, count in counts.items() if count]
    words += [f"within {format_duration(retention.keep_within)}"] if retention.keep_within else []
    if not words:
        return "everything"
    words += [f"at least {retention.minimum}"] if retention.minimum > 1 else []
    zone = "" if retention.timezone == "UTC" else f" (days of {retention.timezone})"
    return ", ".join(words) + zone


def selector_text(selector: Selector) -> str:
    """Describe a selector."""
    parts = [
        f"{noun} {text}"
        for noun, tags in (("tag", selector.tags), ("not tag", selector.exclude_tags), ("instance tag", selector.instance_tags))
        for text in _tag_texts(tags)
    ]
    parts += [
        f"{noun} {_any_of(values)}"
        for noun, values in (
            ("volume", selector.volume_ids),
            ("not volume", selector.exclude_volume_ids),
            ("instance", selector.instance_ids),
            ("zone", selector.availability_zones),
            ("type", selector.volume_types),
            ("role", selector.roles),
        )
        if values
    ]
    parts += [f"at least {selector.min_size_gib} GiB"] if selector.min_size_gib else []
    parts += [f"at most {selector.max_size_gib} GiB"] if selector.max_size_gib else []
    counted = [f"{key}={' or '.join(patterns)}" for key, patterns in selector.snapshot_tags.items()]
    return (", ".join(parts) or "every volume") + (f"; only snapshots with tag {', '.join(counted)}" if counted else "")


def _any_of(values: Sequence[str]) -> str:
    """List values; of many, the first few and the number of the rest."""
    more = len(values) - _VALUES_SHOWN
    return " or ".join(values if more <= 1 else [*values[:_VALUES_SHOWN], f"one of {more} more"])


def _completion_text(rule: CopyRule) -> str:
    price = completion_price_usd_per_gib(rule.completion_minutes)
    return f"each copy completes within {rule.completion_minutes} minutes, for {price:.3f} USD more for each GiB copied"


def title_in(comparison: Comparison, lineage: Lineage) -> str:
    """Return the name and the id of a volume of a comparison."""
    return titled(comparison.names.get(lineage, ""), lineage.volume_id)


def comparison_lines(region: str, comparison: Comparison) -> Iterator[str]:
    """Yield the changes in a region in lines: counts, and the first few by name."""
    title = partial(title_in, comparison)

    def dated(verdict: Verdict) -> str:
        origin = verdict.snapshot.origin
        return f"{title(origin.lineage)}  {verdict.snapshot.id} of {origin.start_time:%Y-%m-%d %H:%M}"

    moved = [f"{title(lineage)} from {before or 'none'} to {after}" for lineage, before, after in comparison.reassigned if after]
    freed = [f"{title(lineage)} from {before}" for lineage, before, after in comparison.reassigned if not after]
    deleted = [dated(change.after) for change in comparison.deleted]
    kept = [dated(change.after) for change in comparison.kept]
    copies = [f"{title(copy.lineage)}  {copy.snapshot_id} to {copy.region}" for copy in comparison.copies]
    later = [dated(verdict) for verdict in comparison.deleted_after_copies]
    protected = [snapshot_id for plan in comparison.adopted for snapshot_id in plan.adopted]
    refused = [f"{title(plan.lineage)}: {'; '.join(plan.refusals)}" for plan in comparison.refused]
    yield region
    for heading, items in (
        ("volumes under another policy", moved),
        ("volumes no longer under a policy", freed),
        ("more snapshots would be deleted", deleted),
        ("more snapshots would be kept", kept),
        ("more copies would be made", copies),
        *([("more snapshots would be deleted once the copies are made and checked", later)] if later else []),
        *([("snapshots that no run tagged would be protected", protected)] if protected else []),
        *([("more plans would be refused", refused)] if refused else []),
    ):
        yield from listed(heading, items)
    yield from lock_lines(comparison)
    if comparison.allowance.warning:
        yield f"  {comparison.allowance.warning}"


def full_copy_lines(full_copies: Sequence[FullCopies]) -> Iterator[str]:
    """Yield the full copies that other keys cause, in lines, with their size and price."""
    for full in full_copies:
        key = full.kms_key or "the region's default key"
        volumes, copies = counted(len(full.volume_ids), "volume"), counted(full.copies, "copy", "copies")
        yield (
            f"{full.region}: the next copy of {volumes} is full under {key}: at most {full.size_gib:,} GiB, "
            f"{full.transfer_usd:,.2f} USD for the transfer and {full.storage_usd:,.2f} USD a month for the storage; "
            f"so is each further one, until the last of {copies} under other keys has expired"
        )


def full_copies_as_data(full_copies: Sequence[FullCopies]) -> list[dict[str, Any]]:
    """Return the full copies that other keys cause as JSON values."""
    return [to_object(full) | {"transfer_usd": full.transfer_usd, "storage_usd": full.storage_usd} for full in full_copies]


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
        "locks": locks_as_data(comparison),
        "day": allowance_as_data(comparison.allowance),
    }


def dropped_line(region: RegionReading) -> str:
    """Describe a region to which nothing is copied any more."""
    if region.problem:
        return f"{region.problem}; nothing is copied there any more, and its former document is in force until a push reaches it"
    return f"{region.region}: nothing is copied there any more; the document is pushed there too, and every copy is kept"


def pushed_line(result: PushResult) -> str:
    """Describe the result of a push in a region."""
    if result.unchanged:
        return f"{result.region}: version {result.version} is this document already"
    if result.overtaken:
        return f"{result.region}: version {result.version} is in force; a push at the same time made one too, see the history"
    return f"{result.region}: version {result.version} is in force"


def history_lines(versions: Sequence[ShowResult]) -> Iterator[str]:
    """Yield the versions of a document, a line for each, and what is in force if none of them is."""
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
