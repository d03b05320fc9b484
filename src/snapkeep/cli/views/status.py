"""Status for people: one sentence, volumes and copies by cause, the worst first, and the totals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import BAD, GOOD, QUIET, STRONG, WARN, literal, printable
from snapkeep.cli.views.copies import budget_text
from snapkeep.cli.views.status_lines import StatusLayout, copy_blocks, fitting_lines, marked_lines, volume_blocks
from snapkeep.cli.views.vault import vault_status_text
from snapkeep.domain.plural import counted, noun_for
from snapkeep.domain.protection import age_text
from snapkeep.usecases.look.status import StatusTotal, SystemStatus

ALWAYS_SHOWN = frozenset({StatusTotal.VOLUMES, StatusTotal.PROTECTED})
ALARMING = frozenset(map(StatusTotal, ("late", "no_snapshot", "no_recovery_point", "copies_failed", "copies_late")))


def status_view(status: SystemStatus, layout: StatusLayout) -> RenderableType:
    """Return a status for a layout. Where it has a height, lists are cut to it, never the sentence, the regions or the totals."""
    mark, style = _mark(status)
    above: list[RenderableType] = [*marked_lines(mark, Text(recovery_sentence(status), STRONG), style, layout.width)]
    above.append(_headline(status))
    bad = [*status.problems, *(f"{key.fault.key_arn}: {key.text}" for key in status.keys)]
    above += [line for text in bad for line in marked_lines("✗", literal(text), BAD, layout.width)]
    held = [f"{hold.scope}: {hold.text}" for hold in status.holds]
    above += [line for text in held for line in marked_lines("■", literal(text), WARN, layout.width)]
    below: list[RenderableType] = []
    if status.destinations:
        below += [Text(), _destinations(status)]
    if len(status.rules) > len(status.policies):
        below += [Text(), _rules(status)]
    below += [Text(), Text("\n").join(_total_lines(status))]
    blocks = [*volume_blocks(status, layout), *copy_blocks(status, layout)]
    room = layout.height - _height([*above, Text(), *below], layout.width) if layout.height else 0
    lines = list(fitting_lines(blocks, room))
    return Group(*above, *([Text(), *lines] if lines else []), *below)


def _height(parts: list[RenderableType], width: int) -> int:
    """Return how many lines parts take at a width."""
    console = Console(width=width, force_terminal=False, markup=False)
    return len(console.render_lines(Group(*parts), pad=False))


def _mark(status: SystemStatus) -> tuple[str, str]:
    """Return the mark of the first sentence, and its style."""
    if status.healthy and status.recoverability.volumes and not status.recoverability.recoverable:
        return "…", WARN  # first copies are under way
    return ("✓", GOOD) if status.healthy else ("✗", BAD)


def recovery_sentence(status: SystemStatus) -> str:
    """Return in one sentence how many volumes can be recovered, where, to when, and how many cannot."""
    counts = status.recoverability
    unseen = "" if status.primary_known else f"; volumes without a copy are not known while {status.region} is unreachable"
    if not counts.volumes:
        return f"{'No policy governs a volume' if status.primary_known else 'No volume is known'}{unseen}."
    rest = [f"{counts.not_recoverable:,} cannot"] if counts.not_recoverable else []
    rest += [f"{counts.unknown:,} {'is' if counts.unknown == 1 else 'are'} not known"] if counts.unknown else []
    more = "".join(f"; {part}" for part in rest) + unseen
    if counts.oldest is None:
        return f"None of {counted(counts.volumes, 'volume')} can be recovered{more}."
    number = f"{counts.recoverable:,} of {counted(counts.volumes, 'volume')}"
    if counts.recoverable == counts.volumes:
        number = "The volume" if counts.volumes == 1 else f"All {counts.volumes:,} volumes"
    point = f"{counts.oldest:%Y-%m-%d %H:%M} UTC{' or later' if counts.recoverable > 1 else ''}"
    return (
        f"{number} can be recovered in {' and '.join(counts.regions)}, to {point} ({counts.within_rpo:,} within the RPO){more}."
    )


def _headline(status: SystemStatus) -> Text:
    verdict = ("healthy", GOOD) if status.healthy else ("needs attention", BAD)
    return Text.assemble(f"{status.system} in {status.region}: ", verdict, (f"  {status.at:%Y-%m-%d %H:%M} UTC", QUIET))


def _destinations(status: SystemStatus) -> RenderableType:
    table = _plain_table("DR region", "copies", "waiting", "running", "failed", "late", "all done")
    for dr in status.destinations:
        if not dr.known:
            table.add_row(Text(dr.region, BAD), *[Text("?", WARN)] * 6)
            continue
        all_done = Text("-", QUIET)
        if dr.expected_at is not None:
            all_done = Text(f"in {age_text(max(dr.expected_at - status.at, timedelta(0)))}")
        elif dr.waiting or dr.running:
            all_done = Text("?", QUIET)
        running = Text.assemble(f"{dr.running}", (f" of {dr.quota}", QUIET))
        table.add_row(dr.region, f"{dr.copies:,}", f"{dr.waiting:,}", running, _bad(dr.failed), _bad(dr.late), all_done)
    return table


def _rules(status: SystemStatus) -> RenderableType:
    """Return the RPO ages of each policy in each of its regions."""
    table = _plain_table("policy", "volumes", "without copy", "worst", "median", "RPO", "late")
    for rule in status.rules:
        title = Text.assemble(literal(rule.policy), (" to ", QUIET), rule.region)
        rpo = Text(age_text(rule.rpo), QUIET)
        if not rule.known:
            unknown = Text("?", WARN)
            table.add_row(title, f"{rule.volumes:,}", unknown, unknown, unknown, rpo, unknown)
            continue
        worst, median = Text("-", QUIET), Text("-", QUIET)
        if rule.worst is not None and rule.median is not None:
            worst = Text(age_text(rule.worst), BAD if rule.worst > rule.rpo else "")
            median = Text(age_text(rule.median))
        table.add_row(title, f"{rule.volumes:,}", f"{rule.without_copy:,}", worst, median, rpo, _bad(rule.late))
    return table


def _plain_table(first: str, *figures: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=STRONG)
    table.add_column(first, overflow="fold")
    for title in figures:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _bad(count: int) -> Text:
    return Text(f"{count:,}", BAD if count else "")


def _total_lines(status: SystemStatus) -> Iterator[Text]:
    shown = [(total, count) for total, count in status.totals.items() if count or total in ALWAYS_SHOWN]
    parts = [Text(f"{count:,} {noun_for(count, total.label)}", BAD if total in ALARMING else "") for total, count in shown]
    if not status.primary_known:
        parts.append(Text(f"the snapshots in {status.region} are not known", WARN))
    yield Text(", ").join(parts)
    for ages in status.policies:
        known = "not known"
        if ages.worst is not None and ages.median is not None:
            known = f"worst {age_text(ages.worst)}, median {age_text(ages.median)}"
        figures = f"{counted(ages.volumes, 'volume')}, RPO age {known}, RPO {age_text(ages.rpo)}"
        yield Text.assemble((f"policy {printable(ages.policy)}: ", STRONG), figures)
    for standing in status.vaults:
        name = (f"vault {printable(standing.vault.name)}: ", STRONG)
        yield Text.assemble(name, (vault_status_text(standing), BAD if standing.late else ""))
    for budget in status.budgets:
        yield Text(budget_text(budget), WARN if budget.exhausted else "")
