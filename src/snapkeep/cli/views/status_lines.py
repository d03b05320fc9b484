"""The lists of `snapkeep status`: volumes and queued copies, one line each, in blocks of one cause, the worst first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate, chain, takewhile

from rich.console import Console
from rich.text import Text

from snapkeep.cli.common import Grouping
from snapkeep.cli.console_links import NO_LINKS, ConsoleLinks
from snapkeep.cli.output import BAD, GOOD, QUIET, STRONG, WARN, literal
from snapkeep.cli.views.copies import way_text
from snapkeep.domain.copies.completion import CopyWay
from snapkeep.domain.copies.entry import EntryState
from snapkeep.domain.model import Lineage
from snapkeep.domain.plural import counted
from snapkeep.domain.protection import NewestSnapshot, VolumeHealth, VolumeProtection, age_text
from snapkeep.usecases.look.queued_copies import QueuedCopy
from snapkeep.usecases.look.status import SystemStatus

MARKS = {
    VolumeHealth.PROTECTED: ("✓", GOOD),
    VolumeHealth.FIRST_COPY_PENDING: ("…", WARN),
    VolumeHealth.LATE: ("✗", BAD),
    VolumeHealth.UNKNOWN: ("?", WARN),
    VolumeHealth.NO_SNAPSHOT: ("✗", BAD),
    VolumeHealth.NO_RECOVERY_POINT: ("✗", BAD),
    VolumeHealth.NO_POLICY: ("·", QUIET),
}
"""The mark of a volume, and its style."""
UNKNOWN_MARK = ("✗", BAD)
CALM = frozenset({VolumeHealth.PROTECTED, VolumeHealth.NO_POLICY})
"""Blocks of these are listed whole or not at all: there is nothing to do about their volumes."""
WIDE = 110
ID, AGE, GAP = 21, 11, 2
"""Columns of an id such as `vol-0123456789abcdef0`, of an age such as `23 h 59 min`, and between two columns."""
END, REMARK, BAR = 14, 19, 8
"""Columns of a copy's expected end, of its remark, and of the bar in it."""
TITLE_LINES, INDENT = 3, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLayout:
    """The form of the output."""

    width: int
    height: int = 0
    """Lines at most; 0: every volume and every queued copy."""
    details: bool = False
    grouping: Grouping = Grouping.CAUSE
    links: ConsoleLinks = NO_LINKS

    @property
    def wide(self) -> bool:
        """Whether the layout has room for all figures."""
        return self.width >= WIDE


@dataclass(frozen=True, slots=True)
class Block:
    """A title that is always shown, and the lines under it, which are cut where they do not fit."""

    title: Sequence[Text]
    members: Sequence[Sequence[Text]] = field(default_factory=list)
    """The lines of each member."""
    calm: bool = False
    """Whether it is listed whole or not at all."""

    @property
    def size(self) -> int:
        """How many lines the members take."""
        return sum(map(len, self.members))

    def lines(self, room: int) -> Iterator[Text]:
        """Yield the title, and under it as many members as `room` lines hold; a cut list says how many are not shown."""
        yield from self.title
        if room >= self.size:
            yield from chain.from_iterable(self.members)
        elif room > 1:
            # The last line of the room says how many members are not shown.
            ends = accumulate(map(len, self.members))
            shown = sum(1 for _ in takewhile(lambda end: end < room, ends))
            yield from chain.from_iterable(self.members[:shown])
            yield Text(f"  and {len(self.members) - shown:,} more: --all", QUIET)


def fitting_lines(blocks: Sequence[Block], room: int) -> Iterator[Text]:
    """Yield blocks in at most `room` lines, the last ones as a count; all of them where it is 0."""
    if not room:
        return chain.from_iterable(block.lines(block.size) for block in blocks)
    ends = list(accumulate(len(block.title) for block in blocks))
    fitting = len(blocks) if not ends or ends[-1] <= room else sum(end < room for end in ends)
    shown = blocks[:fitting]
    shares = _shares(shown, room - (fitting < len(blocks)))
    rest = [Text(f"and {len(blocks) - fitting:,} more groups: --all", QUIET)] if fitting < len(blocks) else []
    return chain(*(block.lines(share) for block, share in zip(shown, shares, strict=True)), rest)


def _shares(blocks: Sequence[Block], room: int) -> list[int]:
    """Return how many lines each block gets under its title: one after the other in turn, calm ones last and whole."""
    free_lines = room - sum(len(block.title) for block in blocks)
    shares = [0] * len(blocks)
    open_blocks = [number for number, block in enumerate(blocks) if not block.calm and block.size]
    # One line each in turn: a long block leaves room for the first volumes of every other.
    while free_lines > 0 and open_blocks:
        for number in open_blocks[:free_lines]:
            shares[number] += 1
            free_lines -= 1
        open_blocks = [number for number in open_blocks if shares[number] < blocks[number].size]
    for number, block in enumerate(blocks):
        if block.calm and block.size <= free_lines:
            shares[number] = block.size
            free_lines -= block.size
    return shares


def _title(mark: str, text: str, style: str, width: int) -> list[Text]:
    """Return a block's title in lines that fit; at most the last is cut."""
    lines = marked_lines(mark, literal(text, style or STRONG), style, width)
    if len(lines) > TITLE_LINES:
        lines[TITLE_LINES - 1].append("…")
    return [_cut(line, width) for line in lines[:TITLE_LINES]]


def marked_lines(mark: str, text: Text, style: str, width: int) -> list[Text]:
    """Return a text after its mark in lines that fit, the further ones under the first one's text."""
    lines = text.wrap(Console(width=width), width - 2)
    return [Text(mark if not number else " ", style) + " " + line for number, line in enumerate(lines)]


def _cut(line: Text, width: int) -> Text:
    """Return a line that fits, with the sign that something was cut."""
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _row(*cells: tuple[Text, int]) -> Text:
    """Return cells beside each other, each cut or filled to its width; a negative width aligns to the right."""
    row = Text("  ")
    for number, (text, columns) in enumerate(cells):
        text.truncate(abs(columns), overflow="ellipsis")
        if columns < 0:
            text.pad_left(-columns - text.cell_len)
        elif number < len(cells) - 1:
            text.pad_right(columns - text.cell_len)
        row.append_text(text)
        if number < len(cells) - 1:
            row.append(" " * GAP)
    return row


def volume_blocks(status: SystemStatus, layout: StatusLayout) -> list[Block]:
    """Return the volumes in blocks, the block with the worst volume first, and before them the names of the columns."""
    if not status.volumes:
        return []
    lines = _VolumeLines(status, layout)
    groups: dict[tuple[str, str], list[VolumeProtection]] = defaultdict(list)
    for volume in status.volumes:
        if layout.grouping is Grouping.CAUSE:
            groups[volume.health, volume.cause].append(volume)
        else:
            for instance in volume.volume.instance_ids or ("",):
                groups["", instance].append(volume)
    head = _row(*((Text(title, STRONG), columns) for title, columns in lines.columns))
    blocks = []
    for (health, text), volumes in groups.items():
        title = _title_of_cause(volumes, text) if health else _title_of_instance(text, volumes)
        mark, style = MARKS.get(volumes[0].health, UNKNOWN_MARK)
        calm = all(volume.health in CALM for volume in volumes)
        members = [[_cut(line, layout.width) for line in lines.of(volume)] for volume in volumes]
        blocks.append(Block(_title(mark, title, style, layout.width), members, calm))
    return [Block([head]), *blocks]


def _title_of_cause(volumes: Sequence[VolumeProtection], cause: str) -> str:
    ages = [volume.age for volume in volumes if volume.age is not None]
    known = f", RPO age at most {age_text(max(ages))}" if ages else ""
    return f"{counted(len(volumes), 'volume')}, {volumes[0].health.label}{': ' if cause else ''}{cause}{known}"


def _title_of_instance(instance_id: str, volumes: Sequence[VolumeProtection]) -> str:
    bad = sum(volume.needs_attention for volume in volumes)
    needs = f", {bad:,} {'needs' if bad == 1 else 'need'} attention" if bad else ""
    return f"{instance_id or 'without an instance'}: {counted(len(volumes), 'volume')}{needs}"


class _VolumeLines:
    """Makes the lines of volumes."""

    def __init__(self, status: SystemStatus, layout: StatusLayout) -> None:
        self.now = status.at
        self.layout = layout
        self.queue: dict[Lineage, list[QueuedCopy]] = defaultdict(list)
        for row in status.queue if layout.details else ():
            self.queue[row.lineage].append(row)
        named = any(volume.volume.tags.get("Name") for volume in status.volumes)
        policy = max([6, *(len(volume.policy) for volume in status.volumes)])
        figures = [("policy", min(policy, 20 if layout.wide else 8)), ("snapshot", -AGE), ("copy", -AGE)]
        figures += [("RPO", -AGE)] if layout.wide else []
        room = layout.width - 2 - 2 - ID - sum(abs(columns) + GAP for _, columns in figures) - GAP
        self.columns = [*([("  name", 2 + room)] if named else []), ("volume" if named else "  volume", ID + 2 * (not named))]
        self.columns += figures
        self.named = named

    def of(self, protection: VolumeProtection) -> Iterator[Text]:
        """Yield the line of a volume, and its details where they are requested."""
        volume, (mark, style) = protection.volume, MARKS.get(protection.health, UNKNOWN_MARK)
        link = self.layout.links.volume(volume.region, volume.id)
        marked = Text.assemble((f"{mark} ", style))
        names = [marked + literal(volume.tags.get("Name", ""))] if self.named else []
        number = literal(volume.id, link=link)
        cells = [*names, number if self.named else marked + number]
        cells += [literal(protection.policy or "-", "" if protection.policy else QUIET), self._age(protection.snapshot)]
        cells.append(self._age(_furthest_behind(protection.copies)) if protection.copies else Text("-", QUIET))
        if self.layout.wide:
            cells.append(Text(age_text(protection.rpo) if protection.policy else "-", QUIET))
        yield _row(*((cell, columns) for cell, (_, columns) in zip(cells, self.columns, strict=True)))
        if self.layout.details:
            for line in self._details(protection):
                for part in line.wrap(Console(width=self.layout.width), self.layout.width - INDENT):
                    part.rstrip()
                    yield Text(" " * INDENT) + part

    def _details(self, protection: VolumeProtection) -> Iterator[Text]:
        volume, links = protection.volume, self.layout.links
        if protection.why:
            yield literal(protection.why, MARKS.get(protection.health, UNKNOWN_MARK)[1])
        if protection.policy:
            age = age_text(protection.age) if protection.age is not None else "not known"
            yield literal(f"policy {protection.policy} ({protection.why_policy}), RPO age {age}, RPO {age_text(protection.rpo)}")
        else:
            yield literal(f"no policy: {protection.why_policy}")
        for kind, newest in (("newest snapshot", protection.snapshot), *(("newest copy", copy) for copy in protection.copies)):
            point = literal(newest.id, link=links.snapshot(newest.region, newest.id)) if newest.there else Text()
            since = f", of {newest.start_time:%Y-%m-%d %H:%M} UTC, " if newest.there else ""
            old = " old" if newest.there else ""
            yield Text.assemble(f"{kind} in {newest.region}: ", point, since, self._age(newest), old)
        counts = (
            f"{counted(protection.snapshots, 'managed snapshot')}, {protection.pending:,} pending, {protection.failed:,} failed"
        )
        if maker := protection.snapshot.maker:
            yield literal(f"snapshots made by: {maker.label}" + (f" ({maker.remark})" if maker.remark else ""))
        on = f", on {', '.join(volume.instance_ids)}" if volume.instance_ids else ""
        yield literal(f"{volume.size_gib:,} GiB{on}; {counts}")
        for row in self.queue[protection.lineage]:
            due = f", due {row.deadline:%m-%d %H:%M}" if row.state is EntryState.RUNNING else ""
            where = f" to {row.region}, {row.state.label}, "
            yield Text.assemble("queue: ", literal(row.snapshot_id), where, _remark(row), due, way_text(row.way))

    def _age(self, newest: NewestSnapshot) -> Text:
        if not newest.known:
            return Text("not known", WARN)
        return Text(age_text(newest.age(self.now))) if newest.there else Text("none", WARN)


def _furthest_behind(copies: Sequence[NewestSnapshot]) -> NewestSnapshot:
    """Return the copy that the RPO age is counted from: an unknown or a missing one, else the oldest."""
    return min(copies, key=lambda copy: (copy.known, copy.there, copy.start_time))


def copy_blocks(status: SystemStatus, layout: StatusLayout) -> list[Block]:
    """Return the queued copies in blocks of one state, region and cause, those that need attention first."""
    names = {volume.lineage: volume.volume.tags.get("Name", "") for volume in status.volumes}
    groups: dict[tuple[bool, EntryState, str, str, CopyWay], list[QueuedCopy]] = defaultdict(list)
    for row in status.queue:
        # The price differs with the size of each copy; the title adds the prices up.
        groups[row.needs_attention, row.state, row.region, row.cause, replace(row.way, usd=0.0)].append(row)
    blocks = []
    for rows in groups.values():
        mark, style = ("✗", BAD) if rows[0].needs_attention else ("…", "")
        members = [[_copy_line(row, names.get(row.lineage, ""), status.at, layout)] for row in rows]
        blocks.append(Block(_title(mark, _title_of_copies(rows), style, layout.width), members))
    return blocks


def _title_of_copies(rows: Sequence[QueuedCopy]) -> str:
    first = rows[0]
    late, cause = ", late" if first.late else "", f": {first.cause}" if first.cause else ""
    way = way_text(replace(first.way, usd=sum(row.way.usd for row in rows)))
    return f"{counted(len(rows), 'copy', 'copies')} to {first.region}, {first.state.label}{late}{way}{cause}"


def _copy_line(row: QueuedCopy, name: str, now: datetime, layout: StatusLayout) -> Text:
    room = layout.width - 2 - 2 - (ID + 1) - END - REMARK - 3 * GAP
    snapshot = literal(row.snapshot_id, link=layout.links.snapshot(row.source_region, row.snapshot_id))
    title = literal(f"  {name or row.volume_id}")
    return _row((title, 2 + room), (snapshot, ID + 1), (_expected(row, now), -END), (_remark(row), REMARK))


def _expected(row: QueuedCopy, now: datetime) -> Text:
    if row.state is EntryState.FAILED:
        return Text("-", QUIET)
    if row.expected_at is None:
        return Text("?", QUIET)
    return Text(f"in {age_text(max(row.expected_at - now, timedelta(0)))}", BAD if row.expected_at > row.deadline else "")


def _remark(row: QueuedCopy) -> Text:
    due = f"{row.deadline:%m-%d %H:%M}"
    if row.state is EntryState.RUNNING:
        filled = round(row.progress_percent * BAR / 100)
        bar = Text.assemble(("━" * filled, STRONG), ("━" * (BAR - filled), QUIET))
        return Text.assemble(bar, f" {row.progress_percent} %", (" late" if row.late else "", BAD))
    if row.state is EntryState.FAILED:
        return Text(counted(row.attempts, "attempt"))
    return Text(f"was due {due}", BAD) if row.late else Text(f"due {due}", QUIET)
