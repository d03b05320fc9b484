"""Commands on instances before and after snapshots of their volumes.

Each instance on which a command before snapshots may have run is owed the command after them. The owed command is written with
the intentions, before anything is sent, and a later tick sends it if the first one was interrupted. SendCommand has no client
token, so a command is looked for by its comment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from snapkeep.domain.creation.batch import Creation
from snapkeep.domain.errors import AwsRefused, SnapkeepError
from snapkeep.domain.policy.model import Policy
from snapkeep.domain.policy.scripts import Script
from snapkeep.domain.records import dataclass
from snapkeep.domain.tags import format_time
from snapkeep.usecases.ports import Commands, Notice, Notices, PacingClock, ProblemKind

BETWEEN_LOOKS = 2.0
"""Seconds."""
SIDE_BY_SIDE = 10
BEGUN_WITHIN = timedelta(seconds=100)
"""With this limit, the longest time-out of a command and the last calls, a tick ends within its function's time-out."""
DEAD_AFTER = timedelta(seconds=285)
"""The time after which the tick that intended commands has certainly ended: the function's time-out is 280 seconds."""


class Stage(StrEnum):
    """The stage of a command."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class OwedScript:
    """A command that an instance still has to run after snapshots."""

    instance_id: str
    script: Script
    since: datetime
    """The time of the intention of the snapshots."""

    @property
    def comment(self) -> str:
        """The comment of the command."""
        return comment_of(Stage.AFTER, self.since)


class ScriptedGroup(NamedTuple):
    """The snapshots of one instance under one policy, between its commands."""

    instance_id: str
    policy: Policy
    creations: list[Creation]
    since: datetime

    @property
    def owed(self) -> OwedScript | None:
        """The command that the instance has to run afterwards."""
        return OwedScript(self.instance_id, self.policy.after, self.since) if self.policy.after else None


class _End(NamedTuple):
    """The end of a command, as far as the tick waited for it."""

    succeeded: bool
    cause: str = ""
    """AWS's cause of the failure."""


class _Begun(NamedTuple):
    group: ScriptedGroup
    sent_at: datetime
    end: _End | None = None
    """Known at once if there is nothing to wait for."""


def comment_of(stage: Stage, since: datetime) -> str:
    """Return the comment by which a command of a tick is found."""
    return f"snapkeep {stage} {format_time(since)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunScripts:
    """Runs the commands of one tick."""

    commands: Commands
    notices: Notices
    clock: PacingClock
    region: str

    def settle(self, owed: Iterable[OwedScript]) -> list[OwedScript]:
        """Send the commands that interrupted ticks left, and read the results. Return the commands that are still owed or run."""
        now = self.clock.now()
        return [item for item in owed if now - item.since < DEAD_AFTER or not self._settled(item, now)]

    def _settled(self, owed: OwedScript, now: datetime) -> bool:
        try:
            command = self.commands.find(owed.instance_id, owed.comment, owed.since)
            if command is None:
                self._send(owed.instance_id, owed.script, owed.comment)
                return False
        except AwsRefused as error:
            self._failed(Stage.AFTER, owed.instance_id, owed.script, str(error))
            return True
        except SnapkeepError:
            return False
        if not command.ended and now - owed.since < DEAD_AFTER * 2:
            return False
        if not command.succeeded:
            self._failed(Stage.AFTER, owed.instance_id, owed.script, command.text if command.ended else "it still runs")
        return True

    def _send(self, instance_id: str, script: Script, comment: str) -> None:
        self.commands.send(instance_id, script.ssm_document, comment, within=timedelta(seconds=script.seconds))

    def around(self, groups: Iterable[ScriptedGroup], create: Callable[[ScriptedGroup, bool], bool]) -> list[ScriptedGroup]:
        """Run each group's commands around `create`, which gets whether the command before it succeeded.

        It raises nothing. Several groups run in parallel, so that none waits long between its commands. Return the groups that
        were not begun, because no time was left, or because `create` returned that no more snapshots can be made.
        """
        unbegun, waiting, stop_at = list(groups), list[_Begun](), self.clock.now() + BEGUN_WITHIN
        while waiting or (unbegun and self.clock.now() < stop_at):
            if self.clock.now() < stop_at:
                begun_now, unbegun = unbegun[: SIDE_BY_SIDE - len(waiting)], unbegun[SIDE_BY_SIDE - len(waiting) :]
                waiting += [self._begin(group) for group in begun_now]
            running = []
            for begun in waiting:
                group, end = begun.group, begun.end or self._end_of(begun)
                if end is None:
                    running.append(begun)
                    continue
                if group.policy.before and not end.succeeded:
                    self._failed(Stage.BEFORE, group.instance_id, group.policy.before, end.cause)
                if not create(group, end.succeeded):
                    # No other group begins; those that have begun get their command after.
                    stop_at = self.clock.now()
                if group.policy.after:
                    self._send_after(group, group.policy.after)
            waiting = running
            if waiting:
                self.clock.pause(BETWEEN_LOOKS)
        return unbegun

    def _begin(self, group: ScriptedGroup) -> _Begun:
        """Send the command before the snapshots, if there is one."""
        script, now = group.policy.before, self.clock.now()
        if script is None:
            return _Begun(group, now, _End(succeeded=True))
        try:
            self._send(group.instance_id, script, comment_of(Stage.BEFORE, group.since))
        except SnapkeepError as error:
            return _Begun(group, now, _End(succeeded=False, cause=str(error)))
        return _Begun(group, now)

    def _end_of(self, begun: _Begun) -> _End | None:
        """Return the end of the command before the snapshots, or its time-out; None while it may run."""
        group, command = begun.group, None
        with suppress(SnapkeepError):  # it is read again
            command = self.commands.find(group.instance_id, comment_of(Stage.BEFORE, group.since), group.since)
        if command is not None and command.ended:
            return _End(command.succeeded, command.text)
        script = group.policy.before
        late = script is not None and (self.clock.now() - begun.sent_at).total_seconds() > script.seconds
        return _End(succeeded=False, cause=f"it took longer than {script.timeout}") if script and late else None

    def _send_after(self, group: ScriptedGroup, script: Script) -> None:
        """Send the command after the snapshots. If the result is not known, the next tick looks for it and sends it."""
        with suppress(SnapkeepError):
            self._send(group.instance_id, script, comment_of(Stage.AFTER, group.since))

    def _failed(self, stage: Stage, instance_id: str, script: Script, cause: str) -> None:
        consequence = (
            "snapshots are made without it, and are not application-consistent"
            if stage is Stage.BEFORE
            else "look at the instance"
        )
        text = f"{script.ssm_document} {stage} snapshots failed: {consequence}"
        self.notices.add(Notice(ProblemKind.SCRIPT_FAILED, text, instance_id, cause, self.region, self.clock.now()))
