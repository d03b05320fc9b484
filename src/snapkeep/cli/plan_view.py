"""Plans for people (lines that read well at 100 columns), for a machine (JSON), and for a spreadsheet (CSV)."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from snapkeep.domain.ledger import format_time
from snapkeep.domain.model import Action, Verdict
from snapkeep.domain.planning import Change, MissingCopy, RegionPlan, VolumePlan
from snapkeep.domain.wording import counted

COLUMNS = 100
_REASONS_AT = 48
_REASONS_WIDTH = COLUMNS - _REASONS_AT - 2
_BOLD, _RED, _YELLOW, _DIM, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"

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
)


def write_plan(out: TextIO, plan: RegionPlan, *, colour: bool = False) -> None:
    """Given a region's plan, write it volume by volume, then what is missing and the totals."""
    paint = _painter(colour)
    out.write(f"{paint(_BOLD, plan.region)}  by {plan.policies.source}\n")
    for volume in plan.volumes:
        out.write("\n")
        out.writelines(line + "\n" for line in _volume_lines(volume, plan.region, paint))
    if plan.missing:
        out.write(f"\n{paint(_BOLD, 'copies missing')}\n")
        out.writelines(line + "\n" for line in _missing_lines(plan.missing, paint))
    out.write(f"\n{totals_line(plan)}\n")


def write_changes(out: TextIO, region: str, changed: Sequence[Change], *, colour: bool = False) -> None:
    """Given what would change in a region, write it."""
    paint = _painter(colour)
    out.write(f"{paint(_BOLD, region)}\n")
    indent = " " * (_REASONS_AT + 2)
    for change in changed:
        out.writelines(line + "\n" for line in _verdict_lines(change.after, paint))
        before = f"now {change.before.action}: {'; '.join(reason.text for reason in change.before.reasons)}"
        wrapped = textwrap.wrap(before, COLUMNS, initial_indent=indent, subsequent_indent=indent)
        out.writelines(paint(_DIM, line) + "\n" for line in wrapped)
    if not changed:
        out.write("  nothing would change\n")


def totals_line(plan: RegionPlan) -> str:
    """Given a region's plan, return it in one line."""
    verdicts = list(plan.verdicts)
    deletions = len(plan.deletions)
    refused = sum(1 for volume in plan.volumes if volume.refusals)
    adopted = sum(len(volume.adopted) for volume in plan.volumes)
    parts = [
        counted(len(plan.volumes), "volume"),
        counted(len(verdicts), "snapshot"),
        f"{len(verdicts) - deletions} stay",
        f"{deletions} would go",
        f"{counted(len(plan.missing), 'copy', 'copies')} missing",
    ]
    parts += [f"{counted(adopted, 'snapshot')} would be adopted"] if adopted else []
    parts += [f"{counted(refused, 'plan')} refused"] if refused else []
    return f"{plan.region}: " + ", ".join(parts)


def rows(plan: RegionPlan) -> Iterator[tuple[str, ...]]:
    """Given a region's plan, return it as rows under `CSV_HEADER`."""
    for volume in plan.volumes:
        policy = volume.selection.policy.name if volume.selection.policy else ""
        for verdict in volume.verdicts:
            snapshot = verdict.snapshot
            yield (
                plan.region,
                volume.lineage.region,
                volume.lineage.volume_id,
                policy,
                snapshot.id,
                format_time(snapshot.origin.start_time),
                snapshot.state.value,
                verdict.action.value,
                " ".join(reason.rule for reason in verdict.reasons),
                "; ".join(reason.text for reason in verdict.reasons),
                "; ".join(volume.refusals),
            )


def write_csv(out: TextIO, plans: Iterable[RegionPlan]) -> None:
    """Given plans, write them as one CSV table."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(CSV_HEADER)
    for plan in plans:
        table.writerows(rows(plan))


def write_json(out: TextIO, plans: Iterable[RegionPlan]) -> None:
    """Given plans, write them as one JSON document with a volume on each line, so that no more than one is held as text."""
    encode = json.JSONEncoder(ensure_ascii=False).encode
    out.write('{"regions": [')
    for number, plan in enumerate(plans):
        about = encode(_region_as_data(plan)).removesuffix("}")
        out.write(f'{"," if number else ""}\n{about}, "volumes": [')
        lines = (encode(_volume_as_data(volume)) for volume in plan.volumes)
        out.writelines(f"{',' if position else ''}\n{line}" for position, line in enumerate(lines))
        out.write("\n]}")
    out.write("\n]}\n")


def _region_as_data(plan: RegionPlan) -> dict[str, Any]:
    """Given a region's plan, return what there is to say of all of it."""
    return {
        "region": plan.region,
        "made_at": format_time(plan.made_at),
        "policies": plan.policies.source,
        "totals": {
            "volumes": len(plan.volumes),
            "snapshots": sum(len(volume.verdicts) for volume in plan.volumes),
            "deletions": len(plan.deletions),
            "copies_missing": len(plan.missing),
            "adopted": sum(len(volume.adopted) for volume in plan.volumes),
            "plans_refused": sum(1 for volume in plan.volumes if volume.refusals),
        },
    }


def change_as_data(change: Change) -> dict[str, Any]:
    """Given a change, return it as plain data."""
    return {"before": _verdict_as_data(change.before), "after": _verdict_as_data(change.after)}


def _volume_as_data(volume: VolumePlan) -> dict[str, Any]:
    selection = volume.selection
    return {
        "source_region": volume.lineage.region,
        "volume_id": volume.lineage.volume_id,
        "exists_here": volume.volume is not None,
        "policy": selection.policy.name if selection.policy else None,
        "why": selection.why,
        "passed_over": [{"policy": name, "why": why} for name, why in selection.passed_over],
        "problem": selection.problem,
        "refusals": list(volume.refusals),
        "adopted": list(volume.adopted),
        "snapshots": [_verdict_as_data(verdict) for verdict in volume.verdicts],
        "copies_missing": [
            {
                "snapshot_id": copy.snapshot_id,
                "region": copy.region,
                "deadline": format_time(copy.deadline),
                "standing": copy.standing.value,
            }
            for copy in volume.missing
        ],
    }


def _verdict_as_data(verdict: Verdict) -> dict[str, Any]:
    snapshot = verdict.snapshot
    return {
        "snapshot_id": snapshot.id,
        "origin_snapshot_id": snapshot.origin.snapshot_id,
        "origin_start": format_time(snapshot.origin.start_time),
        "state": snapshot.state.value,
        "action": verdict.action.value,
        "reasons": [{"rule": reason.rule, "text": reason.text} for reason in verdict.reasons],
    }


def _volume_lines(volume: VolumePlan, region: str, paint: Any) -> Iterator[str]:
    selection = volume.selection
    name = selection.policy.name if selection.policy else "no policy"
    where = "" if volume.volume else " (gone)" if volume.lineage.region == region else f" (of {volume.lineage.region})"
    yield from _wrapped(f"{paint(_BOLD, volume.lineage.volume_id)}{where}  {name}: {selection.why}", 4)
    for passed, why in selection.passed_over:
        yield from _wrapped(paint(_DIM, f"    not {passed}: {why}"), 6)
    for text in (*([selection.problem] if selection.problem else []), *volume.refusals):
        yield from _wrapped(paint(_RED, f"    ! {text}"), 6)
    adopted = set(volume.adopted)
    for verdict in reversed(volume.verdicts):
        yield from _verdict_lines(verdict, paint, adopted=verdict.snapshot.id in adopted)


def _verdict_lines(verdict: Verdict, paint: Any, *, adopted: bool = False) -> Iterator[str]:
    snapshot = verdict.snapshot
    action = paint(_YELLOW, "delete") if verdict.action is Action.DELETE else "keep  "
    head = f"  {snapshot.origin.start_time:%Y-%m-%d %H:%M}  {snapshot.id:<22}  "
    reasons = "; ".join([*(["would be adopted"] if adopted else []), *(reason.text for reason in verdict.reasons)])
    fits = len(reasons) <= _REASONS_WIDTH
    first, *others = [reasons] if fits else textwrap.wrap(reasons, _REASONS_WIDTH)
    yield f"{head}{action} {first}"
    for line in others:
        yield " " * (_REASONS_AT + 2) + line


def _missing_lines(missing: Iterable[MissingCopy], paint: Any) -> Iterator[str]:
    for copy in missing:
        standing = paint(_RED, copy.standing.value) if copy.standing.value == "failed" else copy.standing.value
        yield f"  {copy.snapshot_id:<22}  to {copy.region:<14}  due {copy.deadline:%Y-%m-%d %H:%M}  {standing}"


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, COLUMNS, subsequent_indent=" " * indent, drop_whitespace=True, replace_whitespace=False)


def _painter(colour: bool) -> Any:
    return (lambda code, text: f"{code}{text}{_PLAIN}") if colour else (lambda _, text: text)
