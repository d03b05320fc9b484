"""Carry out a recovery step by step, with a journal that another person on another machine can continue or undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace

from snapkeep.domain.errors import DocumentChanged, RecoveryFailed, SnapkeepError
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryState, RecoveryStep, StepState, journal_key
from snapkeep.usecases.ports import Clock
from snapkeep.usecases.recovery.actions import Actions
from snapkeep.usecases.recovery.record_ports import Documents

Reporter = Callable[[RecoveryStep], None]


@dataclass(slots=True, kw_only=True)
class Journal:
    """The journals of recoveries. A write over another session's entry is refused."""

    documents: Documents
    _versions: dict[str, str] = field(default_factory=dict)

    def begin(self, run: RecoveryRun) -> None:
        """Store a new run. Raise DocumentChanged if one with its name exists."""
        self._versions[run.id] = self.documents.put(run.key, to_text(run))

    def read(self, run_id: str) -> RecoveryRun:
        """Return a run. Raise DocumentNotFound, or RecoveryFailed if it cannot be read."""
        document = self.documents.get(journal_key(run_id))
        self._versions[run_id] = document.version
        try:
            return from_text(RecoveryRun, document.text)
        except ValueError as error:
            raise RecoveryFailed(f"the journal of {run_id} cannot be read: {error}") from error

    def write(self, run: RecoveryRun) -> None:
        """Keep a run that was read or begun. Raise RecoveryFailed if another session wrote it since."""
        try:
            self._versions[run.id] = self.documents.put(run.key, to_text(run), self._versions[run.id])
        except DocumentChanged as error:
            raise RecoveryFailed(f"another session works on {run.id}: let it finish, then resume or undo") from error

    def ids(self) -> list[str]:
        """Return the ids of all runs, the newest last."""
        return [key.removeprefix("recoveries/").removesuffix(".json") for key in self.documents.keys("recoveries/")]

    def runs(self, most: int = 0) -> tuple[list[RecoveryRun], dict[str, str]]:
        """Return all runs, or so many of the newest ones, the newest last, and by id why others cannot be read."""
        runs, unreadable = [], {}
        for run_id in self.ids()[-most:]:
            try:
                runs.append(self.read(run_id))
            except SnapkeepError as error:
                unreadable[run_id] = str(error)
        return runs, unreadable


def refuse_undone(run: RecoveryRun) -> None:
    """Raise RecoveryFailed for a run that is undone, or is being undone."""
    if run.state in (RecoveryState.UNDOING, RecoveryState.UNDONE):
        raise RecoveryFailed(f"{run.id} is {run.state}: plan another recovery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """Carries out and undoes recoveries. A repeated call continues either after any interruption."""

    journal: Journal
    actions: Actions
    clock: Clock
    report: Reporter = lambda _: None
    """Called with each step that was taken or undone."""

    def run(self, run: RecoveryRun) -> RecoveryRun:
        """Take all steps that remain, in their order; return the run as it ended. Raise RecoveryFailed, or AWS's refusal."""
        refuse_undone(run)
        if len({step.state for step in run.steps}) > 1:  # it was interrupted
            self.actions.let_listings_follow()
        for step in run.steps:
            if step.state is StepState.DONE:
                continue
            taken = replace(self.actions.do(run, step), state=StepState.DONE, done_at=self.clock.now())
            run = run.with_step(taken)
            self._write(run, taken)
            self.report(taken)
        if run.open:
            run = replace(run, state=RecoveryState.COMPLETED, ended_at=self.clock.now())
            self.journal.write(run)
        return run

    def _write(self, run: RecoveryRun, taken: RecoveryStep) -> None:
        """Keep the run. A step that was taken while another session undoes the run is undone: that session did not see it."""
        try:
            self.journal.write(run)
        except RecoveryFailed as error:
            if self.journal.read(run.id).state not in (RecoveryState.UNDOING, RecoveryState.UNDONE):
                raise
            self.actions.undo(run, taken)
            raise RecoveryFailed(f"{run.id} is being undone by another session: its last step was undone here") from error

    def undo(self, run: RecoveryRun) -> RecoveryRun:
        """Remove the resources of the run, the last step first; a resource that others use stays, and is an error.

        Steps that are undone are looked at again, also those of an undone run: a session that carried it out may have taken one
        more, and may have been ended before it could undo that itself.
        """
        if run.state is not RecoveryState.UNDOING:
            run = replace(run, state=RecoveryState.UNDOING)
            self.journal.write(run)
        for step in reversed(run.steps):
            self.actions.undo(run, step)
            if step.state is StepState.UNDONE:
                continue
            undone = replace(step, state=StepState.UNDONE, done_at=self.clock.now())
            run = run.with_step(undone)
            self.journal.write(run)
            self.report(undone)
        # Once more: a session that carried the run out may have made something after its step was looked at.
        for step in reversed(run.steps):
            self.actions.undo(run, step)
        run = replace(run, state=RecoveryState.UNDONE, ended_at=self.clock.now())
        self.journal.write(run)
        return run
