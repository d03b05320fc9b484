"""The history of one snapshot, for people and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from snapkeep.cli.console_links import NO_LINKS, ConsoleLinks
from snapkeep.cli.output import BAD, QUIET, STRONG, printable
from snapkeep.cli.views.copies import way_text
from snapkeep.cli.views.plan import forecast_as_data
from snapkeep.domain.copies.completion import MIB_OF_GIB
from snapkeep.domain.copies.entry import EntryState, QueueEntry
from snapkeep.domain.durations import format_duration
from snapkeep.domain.json_codec import to_json, to_object
from snapkeep.domain.model import SnapshotState
from snapkeep.domain.policy.frequency import between_copies, copies_all
from snapkeep.domain.retention.deletion_forecast import ForecastKind
from snapkeep.domain.tags import format_time
from snapkeep.usecases.look.explain import Story, execution_name


def summary(story: Story) -> str:
    """Return in one sentence what happens to the snapshot next, or why that is not known."""
    snapshot = story.snapshot
    if snapshot is None:
        return _summary_without_snapshot(story)
    if snapshot.state is not SnapshotState.COMPLETED:
        return f"it is {snapshot.state}" + (f": {snapshot.state_message}" if snapshot.state_message else "")
    if story.verdict is None:
        return "it has no plan"
    reasons = "; ".join(reason.text for reason in story.verdict.reasons)
    refused = " (but its plan is refused)" if story.plan and story.plan.refusals else ""
    return f"the next plan would {story.verdict.action} it{refused}: {reasons}"


def _summary_without_snapshot(story: Story) -> str:
    if story.owner:
        return f"it belongs to account {story.owner}: Snapkeep manages only the snapshots of its own account"
    if story.problems:
        return "it was not found in the regions that could be read"
    if story.events:
        return "it is deleted; its events are below"
    return "no such snapshot is known here: it was deleted, never existed, or belongs to an account that does not share it"


def describe_entry(entry: QueueEntry) -> str:
    """Describe an entry of the queue."""
    state = entry.state.label
    if entry.state is EntryState.DONE:
        late = f", late: {entry.late}" if entry.late else ""
        return f"to {entry.request.region}: done, {entry.copy_id}{_way_of(entry)}{late}"
    cause = f": {entry.cause}" if entry.cause else ""
    due = f"due {format_time(entry.request.deadline)}"
    return f"to {entry.request.region}: {state}{cause}, {due}, attempt {entry.attempts}{_way_of(entry)}"


def _way_of(entry: QueueEntry) -> str:
    """Return how a copy is made, or was; empty for an ordinary one that its rule does not choose."""
    text = way_text(entry.way)
    return f"{text}, {entry.moved_mib / MIB_OF_GIB:.1f} GiB changed" if text and entry.moved_mib else text


def story_as_data(story: Story) -> dict[str, Any]:
    """Return a story as JSON values."""
    snapshot, origin = story.snapshot, story.origin
    return {
        "snapshot_id": story.snapshot_id,
        "exists": snapshot is not None,
        "region": story.region,
        "owner_account": story.owner or None,
        "state": snapshot.state.value if snapshot else None,
        "summary": summary(story),
        "policy": snapshot.policy if snapshot else None,
        "consistency": (snapshot.consistency or None) if snapshot else None,
        "action": story.verdict.action.value if story.verdict else None,
        "reasons": [reason._asdict() for reason in story.verdict.reasons] if story.verdict else [],
        "deletion": forecast_as_data(story.forecast) if story.forecast else None,
        "origin": to_json(origin),
        "copies": [{"id": copy.id, "region": copy.region, "state": copy.state.value} for copy in story.copies],
        "queue": [_entry_as_data(entry) for entry in story.entries],
        "events": [to_json(event) for event in story.events],
        "problems": list(story.problems),
    }


def _entry_as_data(entry: QueueEntry) -> dict[str, Any]:
    return {
        "to": entry.request.region,
        "state": entry.state.value.lower(),
        "copy_id": entry.copy_id or None,
        "deadline": format_time(entry.request.deadline),
        "attempts": entry.attempts,
        "cause": entry.cause,
        "way": to_object(entry.way),
    }


def print_story(console: Console, story: Story, links: ConsoleLinks = NO_LINKS) -> None:
    """Print a story: the snapshot's facts, then its events. Ids are links where the terminal has them."""
    urls = _urls(story, links)
    facts = _grid(STRONG)
    for label, text in facts_of(story):
        facts.add_row(_linked(label, urls), _linked(text, urls))
    for problem in story.problems:
        console.print(Text.assemble(("✗ ", BAD), printable(problem)))
    console.print(facts)
    if story.events:
        console.print()
        events = _grid(QUIET)
        for event in story.events:
            events.add_row(f"{event.at:%Y-%m-%d %H:%M:%S}", _linked(event.text, urls))
        console.print(events)


def _urls(story: Story, links: ConsoleLinks) -> dict[str, str]:
    """Return the console's page of each snapshot, volume and execution of a story, by its id as the text has it."""
    urls = {copy.id: links.snapshot(copy.region, copy.id) for copy in story.copies}
    if story.snapshot:
        urls[story.snapshot_id] = links.snapshot(story.region, story.snapshot_id)
    if story.origin:
        urls.setdefault(story.origin.snapshot_id, links.snapshot(story.origin.region, story.origin.snapshot_id))
        urls[story.origin.volume_id] = links.volume(story.origin.region, story.origin.volume_id)
    for arn in filter(None, (event.execution_arn for event in story.events)):
        urls[execution_name(arn)] = links.execution(arn.split(":")[3], arn)
    return {identifier: url for identifier, url in urls.items() if url}


def _linked(text: str, urls: Mapping[str, str]) -> Text:
    linked = Text(printable(text))
    for identifier, url in urls.items():
        # Links are laid over the text, so that it is the same where a terminal has none.
        at = linked.plain.find(identifier)
        if at >= 0:
            linked.stylize(Style(link=url), at, at + len(identifier))
    return linked


def _grid(first_style: str) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=first_style, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def facts_of(story: Story) -> Iterator[tuple[str, str]]:
    """Yield what is known of a snapshot, each fact with its label."""
    snapshot, origin = story.snapshot, story.origin
    yield story.snapshot_id, summary(story)
    if snapshot is not None:
        kind = "copy" if snapshot.is_copy else "snapshot"
        yield "resource", f"{kind} of {snapshot.size_gib} GiB in {snapshot.region}, {snapshot.state}"
        managed = f"policy {snapshot.policy}" if snapshot.policy else "not managed"
        yield "policy", managed + (f" ({story.plan.selection.why})" if story.plan else "")
        if snapshot.consistency:
            yield "consistency", f"{snapshot.consistency}-consistent"
    if story.forecast is not None and story.forecast.kind is not ForecastKind.NEXT_RUN:
        yield "deletion", f"{story.forecast.text}: {story.forecast.why}"
    if origin is not None:
        source = f", {origin.snapshot_id}" if origin.snapshot_id != story.snapshot_id else ""
        yield "data", f"{origin.volume_id} in {origin.region} as of {origin.start_time:%Y-%m-%d %H:%M:%S} UTC{source}"
    for copy in story.copies:
        if copy.id != story.snapshot_id:
            yield "copy", f"{copy.id} in {copy.region}, {copy.state}"
    for text in _left_out(story):
        yield "copy", text
    for entry in story.entries:
        yield "queue", describe_entry(entry)


def _left_out(story: Story) -> Iterator[str]:
    """Yield the regions without a copy of a source snapshot whose copy rule does not copy every snapshot."""
    snapshot, plan = story.snapshot, story.plan
    policy = plan.selection.policy if plan else None
    if snapshot is None or snapshot.is_copy or plan is None or policy is None or story.problems:
        return
    # No rule has decided anything of other snapshots.
    if not snapshot.completed or not snapshot.policy or snapshot.not_copyable:
        return
    known = {copy.region for copy in story.copies} | {entry.request.region for entry in story.entries}
    known |= {copy.region for copy in plan.missing if copy.snapshot_id == snapshot.id}
    for rule in policy.copies:
        if rule.region not in known and not copies_all(rule):
            yield f"none in {rule.region}: of the snapshots of {format_duration(between_copies(rule))} one is copied"
