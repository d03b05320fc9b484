"""Plans as lines for people (as wide as the terminal, else 100 columns), as JSON and as CSV."""

from __future__ import annotations

import csv
import json
import textwrap
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO, TypeAlias

from snapkeep.cli.console_links import NO_LINKS, ConsoleLinks
from snapkeep.cli.output import csv_cell, hyperlink, printable, titled
from snapkeep.cli.views.copies import budget_text, way_text
from snapkeep.domain.json_codec import to_json, to_object
from snapkeep.domain.model import Action, Lineage, Verdict
from snapkeep.domain.plural import counted
from snapkeep.domain.retention.deletion_days import DayAllowance
from snapkeep.domain.retention.deletion_forecast import DeletionForecast
from snapkeep.domain.retention.holds import WANTED_LOCK_RULE
from snapkeep.domain.retention.placed_holds import HOLD_RULE
from snapkeep.domain.retention.region_plan import CopyStatus, MissingCopy, RegionPlan, VolumePlan
from snapkeep.domain.tag_names import PROOF
from snapkeep.domain.tags import format_time
from snapkeep.usecases.look.budgets import CopyBudget

COLUMNS, NARROWEST, WIDEST = 100, 80, 140
"""The width of lines without a terminal, and the least and the greatest width with one."""
REASONS_AT = 51
BOLD, RED, YELLOW, DIM, _PLAIN = "\x1b[1m", "\x1b[38;5;160m", "\x1b[38;5;130m", "\x1b[2m", "\x1b[0m"
"""Colours that can be read on a light and on a dark terminal, as in `output.py`."""


Forecast: TypeAlias = Callable[[VolumePlan], Mapping[str, DeletionForecast]]
"""Returns when each snapshot of a volume goes, by its id."""


@dataclass(frozen=True, slots=True)
class LineLayout:
    """The width of the lines, and whether they have colour."""

    columns: int = COLUMNS
    """From `NARROWEST` to `WIDEST`."""
    colour: bool = False
    links: ConsoleLinks = NO_LINKS

    def paint(self, code: str, text: str) -> str:
        """Return a text in a colour."""
        return f"{code}{text}{_PLAIN}" if self.colour else text

    def wrapped(self, text: str, first: int, rest: int, code: str = "") -> Iterator[str]:
        """Return a text, printable, in lines with these indents. No id or name is cut."""
        lines = textwrap.wrap(
            printable(text),
            self.columns,
            initial_indent=" " * first,
            subsequent_indent=" " * rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
        return (self.paint(code, line) if code else line for line in lines)


CSV_HEADER = (
    "region",
    "source_region",
    "volume_id",
    "policy",
    "snapshot_id",
    "origin_start",
    "state",
    "action",
    "rules",
    "reasons",
    "refused",
    "name",
)


def write_plan(
    out: TextIO, plan: RegionPlan, layout: LineLayout, *, moment: str = "", budgets: Iterable[CopyBudget] = ()
) -> None:
    """Write a region's plan volume by volume, then the missing copies, the budgets and the totals.

    `moment` names the time of the plan; `budgets` are those of the copies into the region.
    """
    out.write(f"{layout.paint(BOLD, plan.region)}  by {printable(plan.policies.source.label)}{moment}\n")
    later = {verdict.snapshot.id for verdict in plan.deletions_after_copies}
    for volume in plan.volumes:
        out.write("\n")
        due = _due_of(volume, plan)
        out.writelines(line + "\n" for line in _volume_lines(volume, plan.region, layout, later))
        if due is not None:
            word = "since" if due < plan.made_at else "at"
            out.write(layout.paint(DIM, f"    next snapshot: due {word} {due:%Y-%m-%d %H:%M} UTC") + "\n")
    if plan.missing:
        out.write(f"\n{layout.paint(BOLD, 'copies missing')}\n")
        out.writelines(line + "\n" for line in missing_lines(plan.missing, plan.names, layout))
    out.write("\n")
    out.writelines(line + "\n" for budget in budgets for line in layout.wrapped(budget_text(budget), 0, 4))
    out.writelines(line + "\n" for line in layout.wrapped(totals_line(plan), 0, 4))
    out.writelines(line + "\n" for line in day_lines(plan, layout))


def day_lines(plan: RegionPlan, layout: LineLayout) -> Iterator[str]:
    """Yield why runs would not make all deletions of a plan on one day, in lines; nothing where they may."""
    if plan.allowance.warning:
        yield from layout.wrapped(f"{plan.region}: {plan.allowance.warning}", 0, 4, YELLOW)


def _due_of(volume: VolumePlan, plan: RegionPlan) -> datetime | None:
    """Return when the system makes the next snapshot of a volume; None where it makes none."""
    return plan.next_snapshots.get(volume.lineage.volume_id) if volume.lineage.region == plan.region else None


def totals_line(plan: RegionPlan) -> str:
    """Return the totals of a region's plan in one line."""
    totals = _totals(plan)
    snapshots, deletions, adopted, refused = (totals[name] for name in ("snapshots", "deletions", "adopted", "plans_refused"))
    parts = [
        counted(totals["volumes"], "volume"),
        counted(snapshots, "snapshot"),
        f"{snapshots - deletions:,} would be kept",
        f"{deletions:,} would be deleted",
        f"{counted(totals['copies_missing'], 'copy', 'copies')} missing",
    ]
    later = totals["deletions_after_copies"]
    parts += [f"{later:,} more would be deleted once the copies are made and checked"] if later else []
    held = totals["held"]
    parts += [f"{held:,} held"] if held else []
    locked = totals["locked"]
    parts += [f"{locked:,} locked or to be locked"] if locked else []
    parts += [f"{counted(adopted, 'snapshot')} would be adopted"] if adopted else []
    parts += [f"{counted(refused, 'plan')} refused"] if refused else []
    return f"{plan.region}: " + ", ".join(parts)


def _totals(plan: RegionPlan) -> dict[str, int]:
    return {
        "volumes": len(plan.volumes),
        "snapshots": sum(len(volume.verdicts) for volume in plan.volumes),
        "deletions": len(plan.deletions),
        "deletions_after_copies": len(plan.deletions_after_copies),
        "copies_missing": len(plan.missing),
        "held": sum(any(reason.rule == HOLD_RULE for reason in verdict.reasons) for verdict in plan.verdicts),
        "locked": sum(
            verdict.snapshot.id in plan.lock_facts.locks or any(reason.rule == WANTED_LOCK_RULE for reason in verdict.reasons)
            for verdict in plan.verdicts
        ),
        "adopted": sum(len(volume.adopted) for volume in plan.volumes),
        "plans_refused": sum(1 for volume in plan.volumes if volume.refusals),
    }


def rows(plan: RegionPlan) -> Iterator[tuple[str, ...]]:
    """Yield a region's plan as rows under `CSV_HEADER`."""
    for volume in plan.volumes:
        for verdict in volume.verdicts:
            snapshot = verdict.snapshot
            yield (
                plan.region,
                volume.lineage.region,
                volume.lineage.volume_id,
                volume.policy_name,
                snapshot.id,
                format_time(snapshot.origin.start_time),
                snapshot.state.value,
                verdict.action.value,
                " ".join(reason.rule for reason in verdict.reasons),
                "; ".join(reason.text for reason in verdict.reasons),
                "; ".join(volume.refusals),
                volume.name,
            )


def write_csv(out: TextIO, plans: Iterable[RegionPlan]) -> None:
    """Write plans as one CSV table."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(CSV_HEADER)
    for plan in plans:
        table.writerows([csv_cell(value) for value in row] for row in rows(plan))


def write_json(
    out: TextIO,
    plans: Iterable[RegionPlan],
    problems: Sequence[str] = (),
    budgets: Sequence[CopyBudget] = (),
    forecast: Forecast | None = None,
) -> None:
    """Write plans as one JSON document, a volume on each line, so that only one volume is held as text.

    `problems` are the reasons why regions have no plan; with `forecast`, each snapshot has when it goes.
    """
    encode = json.JSONEncoder(ensure_ascii=False).encode
    out.write('{"regions": [')
    for number, plan in enumerate(plans):
        header = encode(_region_as_data(plan)).removesuffix("}")
        out.write(f'{"," if number else ""}\n{header}, "volumes": [')
        lines = (encode(_volume_as_data(volume, _due_of(volume, plan), forecast)) for volume in plan.volumes)
        out.writelines(f"{',' if position else ''}\n{line}" for position, line in enumerate(lines))
        out.write("\n]}")
    out.write(f'\n], "copy_budgets": {encode(to_json(budgets))}, "problems": {encode(list(problems))}}}\n')


def plan_as_data(plan: RegionPlan, forecast: Forecast | None = None) -> dict[str, Any]:
    """Return a region's plan as JSON values; with `forecast`, each snapshot has when it goes."""
    volumes = [_volume_as_data(volume, _due_of(volume, plan), forecast) for volume in plan.volumes]
    return _region_as_data(plan) | {"volumes": volumes}


def _region_as_data(plan: RegionPlan) -> dict[str, Any]:
    """Return the part of a plan that concerns the whole region, as JSON values."""
    return {
        "region": plan.region,
        "made_at": format_time(plan.made_at),
        "policies": to_object(plan.policies.source) | {"label": plan.policies.source.label},
        "totals": _totals(plan),
        "day": allowance_as_data(plan.allowance),
        "deleted_after_copies": [verdict.snapshot.id for verdict in plan.deletions_after_copies],
    }


def allowance_as_data(allowance: DayAllowance) -> dict[str, Any] | None:
    """Return the deletions that runs may make on one day as JSON values; None where nothing is deleted, or limits them."""
    return to_object(allowance) | {"exceeded": allowance.is_exceeded} if allowance.planned else None


def _volume_as_data(volume: VolumePlan, due: datetime | None, forecast: Forecast | None) -> dict[str, Any]:
    selection, goes = volume.selection, forecast(volume) if forecast else {}
    return {
        "source_region": volume.lineage.region,
        "volume_id": volume.lineage.volume_id,
        "name": volume.name,
        "exists_here": volume.volume is not None,
        "policy": volume.policy_name or None,
        "why": selection.why,
        "passed_over": [{"policy": name, "why": why} for name, why in selection.passed_over],
        "problem": selection.problem,
        "refusals": list(volume.refusals),
        "adopted": list(volume.adopted),
        "next_snapshot": format_time(due) if due is not None else None,
        "snapshots": [
            verdict_as_data(verdict) | ({"goes": forecast_as_data(goes[verdict.snapshot.id])} if forecast else {})
            for verdict in volume.verdicts
        ],
        "copies_missing": [
            {
                "snapshot_id": copy.snapshot_id,
                "region": copy.region,
                "deadline": format_time(copy.deadline),
                "status": copy.status.value,
                "way": to_object(copy.way),
            }
            for copy in volume.missing
        ],
    }


def forecast_as_data(forecast: DeletionForecast) -> dict[str, Any]:
    """Return when a snapshot will be deleted as JSON values."""
    return {
        "kind": forecast.kind.value,
        "at": format_time(forecast.at) if forecast.at else None,
        "reasons": [reason._asdict() for reason in forecast.reasons],
    }


def verdict_as_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON values."""
    snapshot = verdict.snapshot
    return {
        "snapshot_id": snapshot.id,
        "origin_snapshot_id": snapshot.origin.snapshot_id,
        "origin_start": format_time(snapshot.origin.start_time),
        "state": snapshot.state.value,
        "proof": snapshot.tags.get(PROOF, ""),
        "action": verdict.action.value,
        "reasons": [reason._asdict() for reason in verdict.reasons],
    }


def _volume_lines(volume: VolumePlan, region: str, layout: LineLayout, later: Collection[str]) -> Iterator[str]:
    selection = volume.selection
    where = "" if volume.volume else " (deleted)" if volume.lineage.region == region else f" (of {volume.lineage.region})"
    volume_id, title = volume.lineage.volume_id, printable(titled(volume.name, volume.lineage.volume_id))
    head, *rest = layout.wrapped(f"{title}{where}  {volume.policy_name or 'no policy'}: {selection.why}", 0, 4)
    # A title that the first line does not hold whole stays plain: a link across lines is none.
    if head.startswith(title):
        link = hyperlink(volume_id, layout.links.volume(volume.lineage.region, volume_id))
        head = layout.paint(BOLD, title.removesuffix(volume_id) + link) + head.removeprefix(title)
    yield head
    yield from rest
    for passed, why in selection.passed_over:
        yield from layout.wrapped(f"not {passed}: {why}", 4, 6, DIM)
    for text in (*([selection.problem] if selection.problem else []), *volume.refusals):
        yield from layout.wrapped(f"! {text}", 4, 6, RED)
    adopted = set(volume.adopted)
    for verdict in reversed(volume.verdicts):
        snapshot_id = verdict.snapshot.id
        notes = [
            *(["would be adopted"] if snapshot_id in adopted else []),
            *(["would be deleted once the copies are made and checked"] if snapshot_id in later else []),
        ]
        yield from verdict_lines(verdict, layout, notes)


def verdict_lines(verdict: Verdict, layout: LineLayout, notes: Sequence[str] = ()) -> Iterator[str]:
    """Yield a verdict in lines: the snapshot, its time, the action, the notes and every reason."""
    snapshot = verdict.snapshot
    action = layout.paint(YELLOW, "delete") if verdict.action is Action.DELETE else "keep  "
    link = hyperlink(snapshot.id, layout.links.snapshot(snapshot.region, snapshot.id)) + " " * (22 - len(snapshot.id))
    head = f"  {snapshot.origin.start_time:%Y-%m-%d %H:%M}  {link}  "
    reasons = printable("; ".join([*notes, *(reason.text for reason in verdict.reasons)]))
    if REASONS_AT + len(reasons) <= layout.columns:
        yield f"{head}{action} {reasons}"
        return
    first, *rest = layout.wrapped(reasons, REASONS_AT, REASONS_AT)
    yield f"{head}{action} {first.lstrip()}"
    yield from rest


def missing_lines(missing: Sequence[MissingCopy], names: Mapping[Lineage, str], layout: LineLayout) -> Iterator[str]:
    """Yield missing copies in lines, volume by volume."""
    by_volume: dict[Lineage, list[MissingCopy]] = defaultdict(list)
    width = max((len(copy.region) for copy in missing), default=0)
    for copy in missing:
        by_volume[copy.lineage].append(copy)
    for lineage, copies in by_volume.items():
        yield f"  of {printable(titled(names.get(lineage, ''), lineage.volume_id))}"
        for copy in copies:
            label = copy.status.label
            label = layout.paint(RED, label) if copy.status is CopyStatus.FAILED else label
            due = f"due {copy.deadline:%Y-%m-%d %H:%M}"
            yield f"  {copy.snapshot_id:<22}  to {copy.region:<{width}}  {due}  {label}{way_text(copy.way)}"
