"""The pages of recoveries: the plan of one, with the form that starts it, and a recovery with its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from snapkeep.cli.errors import WrongUse
from snapkeep.cli.recovery_system import places_of, rate_of
from snapkeep.cli.views.recover import USABLE, full_speed_text, plan_as_data, price_texts, run_as_data, undo_lines
from snapkeep.cli.views.recoverable import measured_text
from snapkeep.console.forms import check_confirmed, check_consent, chosen
from snapkeep.console.guard import FormTokens
from snapkeep.console.launch_page import LaunchPage
from snapkeep.console.page import Context, NotThere, Page, Query, moment_of
from snapkeep.console.reading import Reading
from snapkeep.console.recoveries import Recoveries, consent_to
from snapkeep.domain.recovery.choice import Target
from snapkeep.domain.recovery.recovery_plan import RecoveryPlan, RecoveryRun, RecoveryState, StepState, steps_of
from snapkeep.domain.tags import format_time
from snapkeep.usecases.recovery.prepare import RecoveryRequest, begin

FormAction: TypeAlias = Callable[[Reading, Query], RecoveryRun]
"""Carries out a form, and returns the recovery that it is about."""
OPTIONS = ("id", "in", "at", "zone", "rate", "attach")
"""The fields of a plan's form."""


@dataclass(frozen=True, slots=True)
class RecoveryPages:
    """Pages over the recoveries of a console, and what their forms do."""

    recoveries: Recoveries
    allow_actions: bool
    forms: FormTokens = field(default_factory=FormTokens)

    @property
    def pages(self) -> Sequence[Page]:
        """Every page; a plan tries requests of EC2 as dry runs, which a console that only reads does not send."""
        recovery = Page("recovery", "Recovery", self._recovery, {"snapkeep recover show --json": self._run_data}, listed=False)
        data = {"snapkeep recover volume --plan --json": self._plan_data}
        plan = Page("plan", "Plan of a recovery", self._plan, data, listed=False)
        return (plan, self.launch.page, recovery) if self.allow_actions else (recovery,)

    @property
    def launch(self) -> LaunchPage:
        """The page of instances and groups."""
        return LaunchPage(self.recoveries, self.forms)

    @property
    def actions(self) -> Sequence[tuple[Page, FormAction]]:
        """Actions of the pages' forms; none where the console only reads."""
        if not self.allow_actions:
            return ()
        plan, launch, recovery = self.pages
        return (plan, self.start), (launch, self.launch.start), (recovery, self.go_on)

    def _plan(self, reading: Reading, query: Query) -> Context:
        plan, zones = self._planned(reading, query)
        drills, volume_ids = reading.drills.get(plan.region, {}), [volume.point.origin.volume_id for volume in plan.volumes]
        moment, _ = moment_of(query, reading.at)
        steps = steps_of(plan) if plan.volumes else ()
        return {
            "id": query["id"],
            "plan": plan,
            "zones": zones,
            "fields": {name: query.get(name, "") for name in OPTIONS} | {"at": format_time(moment), "zone": plan.zone},
            "moment": moment,
            "steps": steps,
            "usable": USABLE,
            "full_speed": full_speed_text(plan),
            "prices": list(price_texts(plan)),
            "measured": {each: measured_text(drills[each]) for each in volume_ids if each in drills},
            "consent": consent_to(steps),
            "token": self.forms.issue(),
            "refused": query.get("refused", ""),
        }

    def _planned(self, reading: Reading, query: Query) -> tuple[RecoveryPlan, list[str]]:
        lineages, moment = chosen(reading, query)
        target = query.get("id", "")
        if not target:
            raise NotThere("nothing is named that could be recovered")
        instance, devices = places_of(filter(None, query.get("attach", "").split()))
        rate = rate_of(query.get("rate", "") or "default")
        request = RecoveryRequest(Target((target,)), moment, query.get("zone", ""), rate, instance, devices)
        return self.recoveries.plan(lineages, request)

    def _plan_data(self, reading: Reading, query: Query) -> Any:
        return {"plan": plan_as_data(self._planned(reading, query)[0])}

    def start(self, reading: Reading, fields: Query) -> RecoveryRun:
        """Begin the recovery of a form. Raise WrongUse where it is not the plan that was shown, or was not confirmed."""
        check_confirmed(self.forms, fields, fields.get("id", ""))
        plan, _ = self._planned(reading, fields)
        check_consent(fields, steps_of(plan) if plan.volumes else ())
        return self.recoveries.begin(plan.region, partial(begin, plan))

    def go_on(self, _: Reading, fields: Query) -> RecoveryRun:
        """Resume or undo the recovery of a form. Raise WrongUse where it was not confirmed, and RecoveryFailed."""
        region, run_id = fields.get("in", ""), fields.get("id", "")
        undo = fields.get("verb") == "undo"
        check_confirmed(self.forms, fields, run_id if undo else "")
        if undo:
            return self.recoveries.undo(region, run_id)
        if fields.get("verb") == "resume":
            return self.recoveries.resume(region, run_id)
        raise WrongUse("a recovery can be resumed or undone")

    def _recovery(self, _: Reading, query: Query) -> Context:
        view = self._view(query)
        run = view.run
        return {
            "run": run,
            "view": view,
            "next": next((step.id for step in run.steps if view.working and step.state is StepState.PLANNED), ""),
            "undone": list(undo_lines(run)),
            "commands": {verb: self.recoveries.command(verb, run) for verb in ("resume", "undo")},
            "can_resume": run.state is RecoveryState.RUNNING and not view.working,
            "can_undo": run.state is not RecoveryState.UNDONE and not (view.working and run.state is RecoveryState.UNDOING),
            "allow_actions": self.allow_actions,
            "token": self.forms.issue(),
            "refused": query.get("refused", ""),
            "news": f"/recovery/news?in={run.region}&id={run.id}",
            "version": view.version,
        }

    def _view(self, query: Query) -> Any:
        region, run_id = query.get("in", ""), query.get("id", "")
        if not (region.replace("-", "").isalnum() and run_id.replace("-", "").isalnum()):
            raise NotThere("a recovery has a region and a name such as recovery-20261130-031500-0a1b2c")
        return self.recoveries.view(region, run_id)

    def version(self, query: Query) -> str:
        """Return the version of a recovery's page. An error is one too: it changes the page."""
        try:
            return str(self._view(query).version)
        except Exception as error:  # noqa: BLE001 - the page says it
            return type(error).__name__

    def _run_data(self, _: Reading, query: Query) -> Any:
        return run_as_data(self._view(query).run)
