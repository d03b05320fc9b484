"""The views of the demonstration: a live table of snapshots and their steps, then the fate of each with the reasons."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from snapkeep.cli.output import BAD, GOOD, QUIET, WARN
from snapkeep.cli.views.deploy import LineWatcher, LiveWatcher
from snapkeep.domain.plural import counted
from snapkeep.lab.demo.checks import DemoCheck
from snapkeep.lab.demo.executions import COPY_STEP, PROTECT, RECEIVE, TAG_STEP, FollowedExecution, StepStatus
from snapkeep.lab.demo.facts import DemoFacts, Ending, Fate, ShotFacts, VolumeFacts
from snapkeep.lab.demo.stage import DemoResult
from snapkeep.lab.demo.story import CAST, DR_REGION, PRIMARY_REGION, DemoHistory, Shot

_WIDE = 100
"""The width from which the tables have more columns."""
_PROTECT_STEPS = (
    ("tag", TAG_STEP),
    ("copy", COPY_STEP),
    ("expire", "DeleteOldSnapshots"),
)
_RECEIVE_STEPS = (("check", "TagSnapshotCopy"), ("expire", "DeleteOldSnapshots"))
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ALARM_WORDS = ("OK: ", "ALARM: ", "INSUFFICIENT_DATA: ")
_GLYPHS = {StepStatus.WAITING: ("·", "dim"), StepStatus.DONE: ("✓", GOOD), StepStatus.FAILED: ("✗", BAD)}
_FATES = {
    Fate.KEPT: ("✓", GOOD),
    Fate.DELETED: ("-", WARN),
    Fate.UNTOUCHED: ("○", "blue"),
    Fate.FAILED: ("✗", BAD),
    Fate.ABSENT: (" ", "dim"),
}


class LiveAudience(LiveWatcher):
    """A live view of the story in a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._story: DemoHistory | None = None
        self._runs: Sequence[FollowedExecution] = ()
        self._messages = 0
        self._began = time.monotonic()

    def begin_story(self, story: DemoHistory) -> None:
        """Draw the table from now on."""
        self._finish_step(failed=False)
        self._story, self._began = story, time.monotonic()

    def show(self, story: DemoHistory, runs: Sequence[FollowedExecution], messages: int) -> None:
        """Store the state of the story, from which the table is drawn."""
        self._story, self._runs, self._messages = story, runs, messages

    def end_story(self) -> None:
        """Leave the table in its last state."""
        if self._story is not None:
            self._console.print(self._story_view())
        self._story = None

    def _render(self) -> RenderableType:
        if getattr(self, "_story", None) is not None:
            return self._story_view()
        return super()._render()

    def _story_view(self) -> RenderableType:
        seconds = time.monotonic() - self._began
        story = self._story or DemoHistory()
        ended = sum(run.ended for run in self._runs)
        runs = f"{ended} of {counted(len(self._runs), 'run')} ended"
        snapshots, messages = counted(len(story.shots), "snapshot"), counted(self._messages, "message")
        totals = f"{snapshots} · {runs} · {messages} · {seconds:.0f} s"
        frame = _FRAMES[int(time.monotonic() * 12) % len(_FRAMES)]
        table = steps_table(story, self._runs, frame, wide=self._console.width >= _WIDE)
        return Group("", table, Text(totals, style="dim", justify="left"), "")


class LineAudience(LineWatcher):
    """A view without a terminal, which prints a line for each change."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._said: set[str] = set()

    def begin_story(self, story: DemoHistory) -> None:
        """Name the volumes."""
        for member in CAST:
            self._console.print(f"{story.volume_ids[member.name]} {member.name}: {member.about}", markup=False, soft_wrap=True)

    def show(self, story: DemoHistory, runs: Sequence[FollowedExecution], messages: int) -> None:
        """Print the changes."""
        for shot in story.shots:
            self._say(f"snapshot {shot.label} ({shot.snapshot_id}): {shot.state}")
        for run in runs:
            labels = [shot.label for shot in map(story.by_snapshot, run.snapshot_ids) if shot]
            for name, step in run.steps.items():
                self._say(f"{run.machine} {', '.join(labels)}: {name}: {step.value}")
            if run.ended:
                self._say(f"{run.machine} {', '.join(labels)}: {run.status} {run.error}".rstrip())
        if messages:
            self._say(f"SNS: {messages} published")

    def end_story(self) -> None:
        """Print that nothing is in progress."""
        self._say("everything has come to rest")

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._console.print(text, markup=False, soft_wrap=True)


def make_audience(console: Console) -> LineAudience | LiveAudience:
    """Return the live view of the demonstration on a console."""
    return LiveAudience(console) if console.is_terminal else LineAudience(console)


def steps_table(story: DemoHistory, runs: Sequence[FollowedExecution], frame: str, *, wide: bool) -> Table:
    """Return the table of snapshots and steps; `frame` is the spinner of steps in progress."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("volume", no_wrap=True)
    table.add_column("snapshot" if wide else "", no_wrap=True)
    table.add_column("made", justify="center")
    for title, _ in _PROTECT_STEPS:
        table.add_column(title, justify="center", min_width=len(title))
    table.add_column("│", style="dim")
    for title, _ in _RECEIVE_STEPS:
        table.add_column(title, justify="center", min_width=len(title))
    table.add_column("", no_wrap=True, overflow="ellipsis")
    for member in CAST:
        for position, shot in enumerate(story.shots_of(member)):
            name = Text(member.name, style="bold") if position == 0 else Text("")
            table.add_row(name, _shot_name(shot, wide=wide), *_shot_cells(shot, runs, frame, wide=wide))
    return table


def _shot_name(shot: Shot, *, wide: bool) -> Text:
    return Text(shot.snapshot_id if wide else f"…{shot.snapshot_id[-4:]}", style="dim")


def _shot_cells(shot: Shot, runs: Sequence[FollowedExecution], frame: str, *, wide: bool) -> list[RenderableType]:
    own_runs = [run for run in runs if shot.snapshot_id in run.snapshot_ids]
    protect = next((run for run in own_runs if run.machine == PROTECT), None)
    receive = next((run for run in reversed(own_runs) if run.machine == RECEIVE), None)
    made = {"pending": StepStatus.RUNNING, "completed": StepStatus.DONE}.get(shot.state, StepStatus.FAILED)
    cells: list[RenderableType] = [_glyph(made, frame)]
    cells += [_glyph(protect.step(state) if protect else StepStatus.WAITING, frame) for _, state in _PROTECT_STEPS]
    if protect is not None and protect.left_alone:
        cells[1] = _fate_glyph(Fate.UNTOUCHED)
    cells.append("│")
    cells += [_glyph(receive.step(state) if receive else StepStatus.WAITING, frame) for _, state in _RECEIVE_STEPS]
    return [*cells, _result(protect, wide=wide)]


def _result(run: FollowedExecution | None, *, wide: bool) -> Text:
    if run is None or not run.ended:
        return Text("")
    if run.left_alone:
        return Text("left alone", style="blue")
    if run.status == "SUCCEEDED":
        return Text(run.status, style=GOOD)
    return Text(f"{run.status} {run.error}" if wide else run.status, style=BAD)


def _glyph(step: StepStatus, frame: str) -> Text:
    if step is StepStatus.RUNNING:
        return Text(frame, style=QUIET)
    glyph, style = _GLYPHS[step]
    return Text(glyph, style=style)


def _fate_glyph(fate: Fate) -> Text:
    return Text(*_FATES[fate])


def show_ended(console: Console, ended: DemoResult) -> None:
    """Print the fate of each snapshot, the notices, and the checks."""
    console.print()
    console.print(Rule("Kept and deleted, with the reasons", style="dim", align="left"))
    for volume in ended.facts.volumes:
        console.print(_volume_view(volume))
    console.print(Rule("Published to SNS", style="dim", align="left"))
    console.print(_messages_view(ended.facts))
    console.print(Rule("Checks", style="dim", align="left"))
    for check in ended.checks:
        console.print(_check_view(check))
    console.print()
    holding = sum(check.holds for check in ended.checks)
    verdict = Text("Everything holds", GOOD) if ended.all_hold else Text("Not everything holds", BAD)
    console.print(Text.assemble(verdict, f": {holding} of {len(ended.checks)} checks, {ended.seconds:.0f} seconds."))


def _volume_view(volume: VolumeFacts) -> RenderableType:
    title = Text.assemble((volume.member.name, "bold"), (f"  {volume.volume_id}", "dim"), f"  {volume.member.about}")
    table = Table.grid(padding=(0, 1))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for shot in volume.shots:
        for region, ending in ((PRIMARY_REGION, shot.source), (DR_REGION, shot.copy)):
            if ending.fate is not Fate.ABSENT:
                table.add_row(*_ending_cells(shot, region, ending))
    return Padding(Group(title, Padding(table, (0, 0, 0, 2))), (0, 0, 1, 0))


def _ending_cells(shot: ShotFacts, region: str, ending: Ending) -> tuple[RenderableType, ...]:
    glyph, style = _FATES[ending.fate]
    label = Text.assemble((f"{glyph} ", style), ("copy of " if region == DR_REGION else "", "dim"), shot.label)
    why = "; ".join(ending.reasons) or ("a failed copy, removed" if region == DR_REGION else "")
    if ending.fate is Fate.FAILED and ending.snapshot is not None:
        why = ending.snapshot.state_message or why
    return (
        label,
        Text(region, style="dim"),
        Text(ending.fate.value, style=style),
        Text.assemble(why, (_origin(region, ending), "dim")),
    )


def _origin(region: str, ending: Ending) -> str:
    """Return the origin of a copy from its tags."""
    if region != DR_REGION or ending.snapshot is None:
        return ""
    origin = ending.snapshot.origin
    return f"  of {origin.snapshot_id} in {origin.region}, {origin.start_time:%H:%M:%S} UTC"


def _messages_view(facts: DemoFacts) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    alarms = [message for message in facts.messages if str(message["subject"]).startswith(_ALARM_WORDS)]
    if alarms:
        words = Counter(str(message["subject"]).partition(":")[0] for message in alarms)
        states = ", ".join(f"{count} {word}" for word, count in sorted(words.items()))
        table.add_row(
            Text("✉", style="dim"), Text(f"{len(alarms)} from alarms that found their first state ({states})", style="dim")
        )
    for message in (message for message in facts.messages if message not in alarms):
        lines = [line for line in str(message["body"]).splitlines() if line.strip()]
        table.add_row(Text("✉", style=QUIET), Text(str(message["subject"]), style="bold"))
        for line in lines[1:]:
            table.add_row("", Text(line, style="dim"))
    return Padding(table, (0, 0, 1, 0))


def _check_view(check: DemoCheck) -> RenderableType:
    mark = ("✓ ", GOOD) if check.holds else ("✗ ", BAD)
    table = Table.grid()
    table.add_column(width=2)
    table.add_column(overflow="fold")
    table.add_row(Text.assemble(mark), Text(check.text))
    if check.found:
        table.add_row("", Text(check.found, style=BAD))
    return table
