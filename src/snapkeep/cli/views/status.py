"""Status for people: tables for 80 and for 120 columns."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import literal, printable
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.plural import counted, noun_for
from snapkeep.domain.protection import NewestSnapshot, VolumeHealth, VolumeProtection, age_text
from snapkeep.domain.sweep.report import age_known
from snapkeep.usecases.look.status import QueuedCopy, StatusTotal, SystemStatus

MARKS = {
    VolumeHealth.PROTECTED: ("✓", "green"),
    VolumeHealth.FIRST_COPY_PENDING: ("…", "yellow"),
    VolumeHealth.LATE: ("✗", "bold red"),
    VolumeHealth.UNKNOWN: ("?", "yellow"),
    VolumeHealth.NO_SNAPSHOT: ("✗", "bold red"),
    VolumeHealth.NO_POLICY: ("·", "dim"),
}
"""The mark of a volume, and its style."""
WIDE = 110
SHOWN = 40
ALWAYS_SHOWN = frozenset({StatusTotal.VOLUMES, StatusTotal.PROTECTED})
ALARMING = frozenset({StatusTotal.LATE, StatusTotal.NO_SNAPSHOT, StatusTotal.COPIES_FAILED, StatusTotal.COPIES_LATE})


def status_view(status: SystemStatus, *, width: int, everything: bool = False) -> RenderableType:
    """Return a status as tables of a width, what needs attention first."""
    parts: list[RenderableType] = [_headline(status)]
    parts += [Text.assemble(("✗ ", "bold red"), literal(problem)) for problem in status.problems]
    if status.volumes:
        parts += [Text(), _volumes(status, width=width, everything=everything)]
    if len(status.destinations) > 1 or (status.destinations and status.problems):
        parts += [Text(), _destinations(status)]
    if len(status.rules) > len(status.policies):
        parts += [Text(), _rules(status)]
    if status.queue:
        parts += [Text(), _queue(status, width=width, everything=everything)]
    parts += [Text(), _totals(status)]
    return Group(*parts)


def _headline(status: SystemStatus) -> RenderableType:
    verdict = Text("healthy", "bold green") if status.healthy else Text("needs attention", "bold red")
    return Rule(Text.assemble(f"{status.system} in {status.region}: ", verdict, (f"  {status.at:%Y-%m-%d %H:%M} UTC", "dim")))


def _volumes(status: SystemStatus, *, width: int, everything: bool) -> RenderableType:
    wide = width >= WIDE
    table = _table()
    table.add_column("volume", no_wrap=True)
    table.add_column("policy", overflow="fold", max_width=14)
    table.add_column("snapshot", justify="right", no_wrap=True)
    table.add_column("copy", justify="right", overflow="fold")
    if wide:
        table.add_column("RPO age / RPO", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    shown = [volume for volume in status.volumes if everything or volume.needs_attention]
    calm = [volume for volume in status.volumes if not volume.needs_attention]
    if not everything:
        shown += calm[: max(0, SHOWN - len(shown))]
    for volume in shown:
        table.add_row(*_volume_cells(volume, status.at, wide=wide))
    hidden = len(status.volumes) - len(shown)
    return Group(table, Text(f"and {hidden:,} more that need no attention: --all", "dim")) if hidden else table


def _volume_cells(protection: VolumeProtection, now: datetime, *, wide: bool) -> list[RenderableType]:
    mark, style = MARKS[protection.health]
    name = protection.volume.tags.get("Name", "")
    title = Text.assemble((f"{mark} ", style), protection.volume.id)
    if name and wide:
        title.append(f" {printable(name)[:20]}", "dim")
    copies = Text("\n").join(_copy_cell(copy, now, several=len(protection.copies) > 1) for copy in protection.copies)
    cells: list[RenderableType] = [
        title,
        literal(protection.policy) if protection.policy else Text("-", "dim"),
        _age(protection.snapshot, now),
        copies,
    ]
    if wide:
        cells.append(_rpo_cell(protection))
    cells.append(literal(protection.why or protection.health.label, style))
    return cells


def _copy_cell(copy: NewestSnapshot, now: datetime, *, several: bool) -> Text:
    age = _age(copy, now)
    return Text.assemble((f"{copy.region} ", "dim"), age) if several else age


def _age(newest: NewestSnapshot, now: datetime) -> Text:
    if not newest.known:
        return Text("?", "yellow")
    return Text(age_text(newest.age(now))) if newest.there else Text("none", "yellow")


def _rpo_cell(protection: VolumeProtection) -> Text:
    if not protection.policy:
        return Text("-", "dim")
    age = age_text(protection.age) if protection.age is not None else "-"
    missed = protection.age is None or protection.age > protection.rpo
    return Text.assemble((age, "red" if missed and protection.needs_attention else ""), (f" / {age_text(protection.rpo)}", "dim"))


def _destinations(status: SystemStatus) -> RenderableType:
    table = _plain_table("DR region", "copies", "waiting", "running", "failed", "late", "all done")
    for dr in status.destinations:
        if not dr.known:
            table.add_row(Text(dr.region, "bold red"), *[Text("?", "yellow")] * 6)
            continue
        all_done = Text("-", "dim")
        if dr.expected_at is not None:
            all_done = Text(f"in {age_text(max(dr.expected_at - status.at, timedelta(0)))}")
        elif dr.waiting or dr.running:
            all_done = Text("?", "dim")
        running = Text.assemble(f"{dr.running}", (f" of {dr.quota}", "dim"))
        table.add_row(dr.region, f"{dr.copies:,}", f"{dr.waiting:,}", running, _bad(dr.failed), _bad(dr.late), all_done)
    return table


def _rules(status: SystemStatus) -> RenderableType:
    """Return the RPO ages of each policy in each of its regions."""
    table = _plain_table("policy", "volumes", "without copy", "worst", "median", "RPO", "late")
    for rule in status.rules:
        title = Text.assemble(literal(rule.policy), (" to ", "dim"), rule.region)
        rpo = Text(age_text(rule.rpo), "dim")
        if not rule.known:
            unknown = Text("?", "yellow")
            table.add_row(title, f"{rule.volumes:,}", unknown, unknown, unknown, rpo, unknown)
            continue
        worst, median = Text("-", "dim"), Text("-", "dim")
        if rule.without_copy < rule.volumes:
            worst = Text(age_text(rule.worst), "red" if rule.worst > rule.rpo else "")
            median = Text(age_text(rule.median))
        table.add_row(title, f"{rule.volumes:,}", f"{rule.without_copy:,}", worst, median, rpo, _bad(rule.late))
    return table


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")


def _plain_table(first: str, *figures: str) -> Table:
    table = _table()
    table.add_column(first, overflow="fold")
    for title in figures:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _bad(count: int) -> Text:
    return Text(f"{count:,}", "bold red" if count else "")


def _queue(status: SystemStatus, *, width: int, everything: bool) -> RenderableType:
    wide = width >= WIDE
    table = _table()
    table.title, table.title_justify, table.title_style = "copies", "left", "bold"
    table.add_column("snapshot", no_wrap=True)
    if wide:
        table.add_column("volume", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("done by", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    rows = status.queue if everything else status.queue[:SHOWN]
    for row in rows:
        cells: list[RenderableType] = [row.snapshot_id]
        if wide:
            cells.append(row.volume_id)
        cells += [row.region, _state_cell(row), _expected_cell(row, status.at), _remark(row)]
        table.add_row(*cells)
    hidden = len(status.queue) - len(rows)
    return Group(table, Text(f"and {hidden:,} more: --all", "dim")) if hidden else table


def _state_cell(row: QueuedCopy) -> RenderableType:
    if row.state is EntryState.RUNNING:
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(100, row.progress_percent, width=10), f"{row.progress_percent} %")
        return bar
    style = "bold red" if row.state is EntryState.FAILED else ""
    return Text(row.state.label, style)


def _expected_cell(row: QueuedCopy, now: datetime) -> Text:
    if row.state is EntryState.FAILED:
        return Text("-", "dim")
    if row.expected_at is None:
        return Text("?", "dim")
    remaining = max(row.expected_at - now, timedelta(0))
    return Text(f"in {age_text(remaining)}", "red" if row.expected_at > row.deadline else "")


def _remark(row: QueuedCopy) -> Text:
    if row.cause:
        attempts = f"{row.attempts} attempts: " if row.attempts > 1 else ""
        return literal(f"{attempts}{row.cause}", "red" if row.state is EntryState.FAILED else "yellow")
    if row.late:
        return Text(f"was due {row.deadline:%Y-%m-%d %H:%M} UTC", "bold red")
    return Text(f"due {row.deadline:%Y-%m-%d %H:%M} UTC", "dim")


def _totals(status: SystemStatus) -> Text:
    line = Text()
    for total, count in status.totals.items():
        if not count and total not in ALWAYS_SHOWN:
            continue
        if line:
            line.append(", ")
        line.append(f"{count:,} {noun_for(count, total.label)}", "bold red" if total in ALARMING else "")
    for ages in status.policies:
        line.append(f"\npolicy {printable(ages.policy)}: ", "bold")
        known = f"worst {age_text(ages.worst)}, median {age_text(ages.median)}" if age_known(ages) else "not known"
        line.append(f"{counted(ages.volumes, 'volume')}, RPO age {known}, ")
        line.append(f"RPO {age_text(ages.rpo)}")
    return line
