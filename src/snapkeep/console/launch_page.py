"""The page that recovers a whole instance, or a recovery group: its plan, its map, and the form that starts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from snapkeep.cli.errors import WrongUse, one_line
from snapkeep.cli.recovery_system import map_of, rate_of
from snapkeep.cli.views.recover import full_speed_text
from snapkeep.cli.views.recover_instance import group_as_data, launch_facts, map_lines, plan_as_data
from snapkeep.cli.views.recoverable import measured_text
from snapkeep.console.forms import check_confirmed, check_consent, chosen
from snapkeep.console.guard import FormTokens
from snapkeep.console.page import Context, NotThere, Page, Query
from snapkeep.console.reading import Reading
from snapkeep.console.recoveries import LaunchWishes, Recoveries, consent_to
from snapkeep.domain.errors import DocumentNotFound
from snapkeep.domain.policy.model import RecoveryGroup
from snapkeep.domain.recovery.group import GroupPlan
from snapkeep.domain.recovery.instance_map import InstanceMap
from snapkeep.domain.recovery.instance_plan import InstancePlan
from snapkeep.domain.recovery.instance_steps import instance_steps
from snapkeep.domain.recovery.recovery_plan import RecoveryRun, RecoveryStep
from snapkeep.domain.tags import format_time
from snapkeep.usecases.recovery.prepare_instance import begin_instances

OPTIONS = ("id", "group", "in", "at", "rate", "without", "stopped", "root", "map")
"""The fields of the form."""
EXAMPLES = 5
"""Instances that are named where several have the same obstacle."""


@dataclass(frozen=True, slots=True)
class LaunchPage:
    """Plans and begins recoveries of whole instances and of groups."""

    recoveries: Recoveries
    forms: FormTokens

    @property
    def page(self) -> Page:
        """The page."""
        return Page("launch", "Recovery of instances", self._context, {_printed_by("instance"): self._data}, listed=False)

    def start(self, reading: Reading, fields: Query) -> RecoveryRun:
        """Begin the recovery of a form. Raise WrongUse where it is not the plan that was shown, or was not confirmed."""
        check_confirmed(self.forms, fields, fields.get("group", "") or fields.get("id", ""))
        plan, checks = self._planned(reading, fields, map_of(fields.get("map", ""), "the map"))
        if plan.hindered:
            raise WrongUse("the plan has an obstacle now: check it")
        check_consent(fields, _steps(plan, checks=checks))
        region = fields["in"]
        return self.recoveries.begin(region, partial(begin_instances, plan.stages, checks=checks))

    def _context(self, reading: Reading, query: Query) -> Context:
        lineages, moment = chosen(reading, query)
        text, names, notes = query.get("map", ""), InstanceMap(), []
        try:
            names = map_of(text, "the map")
        except WrongUse as error:
            notes = [one_line(error)]
        plan, checks = self._planned(reading, query, names)
        if query.get("propose"):
            text, notes = self._proposed(plan, lineages.region)
            plan, checks = self._planned(reading, query, map_of(text, "the map"))
        drills = reading.drills.get(lineages.region, {})
        steps = () if plan.hindered else _steps(plan, checks=checks)
        return {
            "target": query.get("group", "") or query["id"],
            "printed_by": [_printed_by("group" if query.get("group") else "instance")],
            "region": lineages.region,
            "plan": plan,
            "obstacles": list(_obstacles(plan)),
            "moment": moment,
            "fields": {name: query.get(name, "") for name in OPTIONS} | {"at": format_time(moment), "map": text},
            "map_notes": notes,
            "steps": steps,
            "launch_facts": launch_facts,
            "full_speed": full_speed_text,
            "measured": list(dict.fromkeys(measured_text(drills[each]) for each in _drilled(plan) if each in drills)),
            "consent": consent_to(steps),
            "token": self.forms.issue(),
            "refused": query.get("refused", ""),
            "unusable_map": bool(notes) and not query.get("propose"),
        }

    def _planned(self, reading: Reading, query: Query, names: InstanceMap) -> tuple[GroupPlan, bool]:
        """Return the plan, and whether a stage waits for the status checks of the one before it."""
        lineages, moment = chosen(reading, query)
        without, root = tuple(query.get("without", "").split()), bool(query.get("root"))
        if root and (without or query.get("stopped")):
            raise WrongUse("where the root volume alone is replaced, no volume is left out, and the instance is not stopped")
        rate = rate_of(query.get("rate", "") or "default")
        wishes = LaunchWishes(moment, names, without, bool(query.get("stopped")), rate, root)
        target: RecoveryGroup | str = query.get("id", "")
        if name := query.get("group", ""):
            target = _group(reading, lineages.region, name)
        if not target:
            raise NotThere("nothing is named that could be recovered")
        plan = self.recoveries.plan_instances(lineages, target, wishes)
        return plan, isinstance(target, str) or target.waits_for_checks

    def _proposed(self, plan: GroupPlan, region: str) -> tuple[str, list[str]]:
        instance_ids = [each.instance_id for each in _plans(plan)]
        try:
            proposed, notes = self.recoveries.first_map(region, instance_ids)
        except DocumentNotFound as error:
            return "", [f"no map can be proposed: {one_line(error)}"]
        return "\n".join(map_lines(proposed, region)), notes

    def _data(self, reading: Reading, query: Query) -> Any:
        plan, _ = self._planned(reading, query, map_of(query.get("map", ""), "the map"))
        of_group = group_as_data(plan) if query.get("group") else {}
        return {**of_group, "plans": [plan_as_data(each) for each in _plans(plan)]}


def _printed_by(kind: str) -> str:
    return f"snapkeep recover {kind} --plan --json"


def _group(reading: Reading, region: str, name: str) -> RecoveryGroup:
    """Return a group of the region's document, or else of another's, as `snapkeep recover group` does. Raise NotThere."""
    own = {group.name: group for group in reading.policies[region].groups} if region in reading.policies else {}
    known = reading.groups | own
    if name not in known:
        raise NotThere(f"{name}: no such group in the policy documents that were read: there are {', '.join(known) or 'none'}")
    return known[name]


def _plans(plan: GroupPlan) -> list[InstancePlan]:
    return [each for stage in plan.stages for each in stage]


def _obstacles(plan: GroupPlan) -> Iterator[str]:
    """Yield every obstacle once: of the group, then of its instances, with those that have it."""
    yield from plan.obstacles
    owners: dict[str, list[InstancePlan]] = defaultdict(list)
    for each in _plans(plan):
        for obstacle in each.obstacles:
            owners[obstacle].append(each)
    for obstacle, members in owners.items():
        names = ", ".join(each.name or each.instance_id for each in members[:EXAMPLES])
        more = f" and {len(members) - EXAMPLES} more" if len(members) > EXAMPLES else ""
        yield f"{names}{more}: {obstacle}" if len(_plans(plan)) > 1 else obstacle


def _steps(plan: GroupPlan, *, checks: bool) -> Sequence[RecoveryStep]:
    return instance_steps(plan.stages, wait_for_checks=checks)


def _drilled(plan: GroupPlan) -> Iterator[str]:
    for each in _plans(plan):
        yield each.instance_id
        yield from (volume.point.origin.volume_id for volume in each.volumes)
