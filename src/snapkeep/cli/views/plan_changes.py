"""The changes that another plan makes, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any, TextIO

from snapkeep.cli.views.locks import lock_lines
from snapkeep.cli.views.plan import (
    BOLD,
    DIM,
    REASONS_AT,
    YELLOW,
    LineLayout,
    day_lines,
    missing_lines,
    verdict_as_data,
    verdict_lines,
)
from snapkeep.cli.views.policy import comparison_as_data, title_in
from snapkeep.domain.plural import counted
from snapkeep.domain.retention.comparison import ActionChange, Comparison, compare
from snapkeep.domain.retention.region_plan import RegionPlan


def write_changes(out: TextIO, before: RegionPlan, after: RegionPlan, layout: LineLayout, *, moment: str = "") -> None:
    """Write what changes from the current plan to another of the same facts, and the totals."""
    comparison = compare(before, after)
    about = f"{after.region}  by {after.policies.source.label}{moment}, against {before.policies.source.label} now"
    first, *rest = layout.wrapped(about, 0, 4)
    out.writelines(line + "\n" for line in (layout.paint(BOLD, after.region) + first.removeprefix(after.region), *rest))
    if comparison.empty:
        out.write("  nothing would change\n")
        return
    for heading, lines in _sections(comparison, after, layout):
        if section := list(lines):
            out.write(f"\n{layout.paint(BOLD, heading)}\n")
            out.writelines(line + "\n" for line in section)
    out.write("\n")
    out.writelines(line + "\n" for line in layout.wrapped(_totals_line(after.region, comparison), 0, 4))
    out.writelines(line + "\n" for line in day_lines(after, layout))


def changes_as_data(before: RegionPlan, after: RegionPlan) -> dict[str, Any]:
    """Return what changes from the current plan to another of the same facts, as JSON values."""
    comparison = compare(before, after)
    places = {verdict.snapshot.id: place for place, verdict in enumerate(after.verdicts)}
    changed = sorted((*comparison.deleted, *comparison.kept), key=lambda change: places[change.after.snapshot.id])
    return {
        "region": after.region,
        "changes": [{"before": verdict_as_data(change.before), "after": verdict_as_data(change.after)} for change in changed],
        **comparison_as_data(comparison),
    }


def _sections(comparison: Comparison, after: RegionPlan, layout: LineLayout) -> Iterator[tuple[str, Iterator[str]]]:
    yield "volumes under another policy", _moved_lines(comparison, after, layout)
    yield "plans that would be refused", _refused_lines(comparison, layout)
    yield "snapshots that would be deleted", _change_lines(comparison.deleted, comparison, layout)
    yield "snapshots that would be deleted once the copies are made and checked", _later_lines(comparison, layout)
    yield "snapshots that would be kept", _change_lines(comparison.kept, comparison, layout)
    yield "snapshots that would be adopted", _adopted_lines(comparison, layout)
    yield "copies that would be made", missing_lines(comparison.copies, comparison.names, layout)
    yield "copies that would no longer be made", missing_lines(comparison.copies_dropped, comparison.names, layout)
    yield "locks", chain.from_iterable(layout.wrapped(line.strip(), 2, 4) for line in lock_lines(comparison))


def _moved_lines(comparison: Comparison, after: RegionPlan, layout: LineLayout) -> Iterator[str]:
    why = {plan.lineage: plan.selection.why for plan in after.volumes}
    for lineage, before, now in comparison.reassigned:
        text = f"{title_in(comparison, lineage)}  from {before or 'no policy'} to {now or 'no policy'}: {why[lineage]}"
        yield from layout.wrapped(text, 2, 4, "" if now else YELLOW)


def _refused_lines(comparison: Comparison, layout: LineLayout) -> Iterator[str]:
    for plan in comparison.refused:
        yield from layout.wrapped(f"{title_in(comparison, plan.lineage)}  {'; '.join(plan.refusals)}", 2, 4)


def _change_lines(changed: tuple[ActionChange, ...], comparison: Comparison, layout: LineLayout) -> Iterator[str]:
    for lineage, changes in groupby(changed, key=lambda change: change.after.snapshot.origin.lineage):
        yield from layout.wrapped(f"of {title_in(comparison, lineage)}", 2, 4)
        for change in changes:
            yield from verdict_lines(change.after, layout)
            before = f"now {change.before.action}: {'; '.join(reason.text for reason in change.before.reasons)}"
            yield from layout.wrapped(before, REASONS_AT, REASONS_AT, DIM)


def _later_lines(comparison: Comparison, layout: LineLayout) -> Iterator[str]:
    for lineage, verdicts in groupby(comparison.deleted_after_copies, key=lambda verdict: verdict.snapshot.origin.lineage):
        yield from layout.wrapped(f"of {title_in(comparison, lineage)}", 2, 4)
        for verdict in verdicts:
            yield from verdict_lines(verdict, layout)


def _adopted_lines(comparison: Comparison, layout: LineLayout) -> Iterator[str]:
    for plan in comparison.adopted:
        ids = set(plan.adopted)
        yield from layout.wrapped(f"of {title_in(comparison, plan.lineage)}", 2, 4)
        snapshots = (verdict.snapshot for verdict in plan.verdicts if verdict.snapshot.id in ids)
        yield from (f"  {snapshot.origin.start_time:%Y-%m-%d %H:%M}  {snapshot.id}" for snapshot in snapshots)


def _totals_line(region: str, comparison: Comparison) -> str:
    adopted = sum(len(plan.adopted) for plan in comparison.adopted)
    parts = [
        f"{counted(len(comparison.reassigned), 'volume')} under another policy",
        f"{len(comparison.deleted):,} more would be deleted",
        f"{len(comparison.kept):,} more would be kept",
        f"{counted(len(comparison.copies), 'more copy', 'more copies')}",
    ]
    parts += [f"{counted(len(comparison.copies_dropped), 'copy', 'copies')} fewer"] if comparison.copies_dropped else []
    later = len(comparison.deleted_after_copies)
    parts += [f"{later:,} more would be deleted once the copies are made and checked"] if later else []
    parts += [f"{counted(adopted, 'snapshot')} would be adopted"] if adopted else []
    parts += [f"{counted(len(comparison.refused), 'plan')} more refused"] if comparison.refused else []
    return f"{region}: " + ", ".join(parts)
