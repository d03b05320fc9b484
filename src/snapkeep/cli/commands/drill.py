"""`snapkeep drill`: begin a drill now, list and show drills, and check the chain of their evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, pasted_options, require_consent, with_aws_settings
from snapkeep.cli.errors import NOT_ALL_RIGHT, WrongUse, exit_unless
from snapkeep.cli.executions import ended_execution
from snapkeep.cli.output import make_console, print_json, show_result, warn, write_lines
from snapkeep.domain.errors import DocumentNotFound, InvalidConfiguration
from snapkeep.domain.json_codec import to_object
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.domain.drills.ledger import DrillEvidence, DrillLedger
    from snapkeep.domain.policy.drill_rules import DrillRule
    from snapkeep.domain.policy.model import PolicySet
    from snapkeep.usecases.drills.begin import BeginDrills
    from snapkeep.usecases.drills.ledger_store import LedgerStore
    from snapkeep.usecases.recovery.record_ports import Documents

app = typer.Typer(help="Drill recoveries: begin, list and show drills, and audit their evidence.", no_args_is_help=True)

In = Annotated[str, option("--in", "The DR region of the drills.", "REGION")]
PATIENCE_HOURS = 26.0
"""A drill ends after 24 hours, and removes its resources."""


@app.command()
@with_aws_settings
def run(
    settings: AwsSettings,
    drill: Annotated[str, argument("DRILL", "The name of a drill in the policy document.")],
    *,
    volume: Annotated[list[str] | None, option("--volume", "Drill this volume.", "VOLUME")] = None,
    instance: Annotated[list[str] | None, option("--instance", "Drill this instance, at the level instance.", "INSTANCE")] = None,
    in_region: In = "",
    estimate: Annotated[bool, option("--estimate", "Print volumes, points and price; begin nothing.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Begin a drill now, wait for its end, and print its evidence.

    Exits with status 1 unless every drill passed.
    """
    from snapkeep.cli.views.drill import choice_as_data, choice_lines, evidence_lines, subject_of  # noqa: PLC0415

    system = _DrillSystem(settings, in_region)
    rule = _rule_of(system.policies(), drill, system.region)
    begin = system.begin()
    named, other = (instance, volume) if subject_of(rule) == "instance" else (volume, instance)
    if other or (named and rule.group):
        only = (
            f"group {rule.group} as a whole: name neither" if rule.group else f"each {rule.level} by itself: use --{rule.level}"
        )
        raise WrongUse(f"{drill} drills {only}")
    choice = begin.choose(rule, tuple(named or ()))
    # Those that the budget leaves out have a point: the choice names them.
    missing = set(named or ()) - {run.volume_id for run in choice.runs} - set(choice.too_expensive)
    if missing:
        raise WrongUse(f"{', '.join(sorted(missing))}: no recovery point in {system.region} under {', '.join(rule.policies)}")
    if not json:
        write_lines(choice_lines(rule, choice))
    if estimate or not choice.runs:
        if json:
            print_json(choice_as_data(rule, choice))
        raise typer.Exit(0 if estimate else NOT_ALL_RIGHT)
    counted_runs = counted(len(choice.runs), subject_of(rule))
    require_consent(f"Drill {counted_runs} in {system.region}?", yes=yes, json=json, otherwise="nothing was begun")
    executions = begin.begin(choice.runs)
    system.wait_for(executions, counted_runs, quiet=json)
    evidences, problems = system.evidences(executions)
    data = {"drills": [to_object(evidence) for evidence in evidences], "problems": problems}
    show_result(data, (line for each in evidences for line in evidence_lines(each)), problems.values(), json=json)
    ledger = system.store().read()
    exit_unless(not problems and all(ledger.is_passed(run_id) for run_id in executions))


@app.command("list")
@with_aws_settings
def list_drills(settings: AwsSettings, *, in_region: In = "", json: Json = False) -> None:
    """List the drills of a DR region, the newest last, and the open ones."""
    from snapkeep.cli.views.drill import ledger_lines  # noqa: PLC0415

    ledger = _DrillSystem(settings, in_region).store().read()
    show_result(to_object(ledger), ledger_lines(ledger), json=json)


@app.command()
@with_aws_settings
def show(
    settings: AwsSettings,
    run_id: Annotated[str, argument("RUN", "The name of a drill's run.")],
    *,
    in_region: In = "",
    json: Json = False,
) -> None:
    """Show the evidence of a drill."""
    from snapkeep.cli.views.drill import evidence_lines  # noqa: PLC0415

    evidence = _DrillSystem(settings, in_region).evidence(run_id)
    show_result(to_object(evidence), evidence_lines(evidence), json=json)


@app.command()
@with_aws_settings
def audit(settings: AwsSettings, *, in_region: In = "", json: Json = False) -> None:
    """Check the chain of evidence: nothing is missing, nothing was changed, and each verdict follows from its numbers.

    Exits with status 1 where anything is wrong.
    """
    from snapkeep.domain.drills.ledger import problems_of_chain  # noqa: PLC0415

    system = _DrillSystem(settings, in_region)
    ledger = system.store().read()
    problems = list(problems_of_chain(ledger, system.texts()))
    count = f"{counted(len(ledger.ended), 'drill')}, the newest evidence is {ledger.last_hash or 'none'}"
    data = {"drills": len(ledger.ended), "last": ledger.last_hash, "problems": problems}
    show_result(data, [*problems, count], json=json)
    exit_unless(not problems)


def _rule_of(policies: PolicySet, name: str, region: str) -> DrillRule:
    rules = {rule.name: rule for rule in policies.drills}
    if name not in rules:
        raise WrongUse(f"the policy document has no drill {name}: it has {', '.join(rules) or 'none'}")
    if rules[name].region != region:
        raise WrongUse(f"{name} is a drill in {rules[name].region}: give --in {rules[name].region}")
    return rules[name]


class _DrillSystem:
    """The drills of one DR region."""

    def __init__(self, settings: AwsSettings, in_region: str) -> None:
        from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

        self.settings = settings
        self.installed: InstalledSystem = InstalledSystem(settings)
        self.region = in_region or self.installed.dr_region

    def policies(self) -> PolicySet:
        """Return the policies in force in the region. Raise WrongUse if it could not be read."""
        seen = self.installed.dr_region_seen(self.region)
        if seen.problem:
            raise WrongUse(seen.problem)
        return seen.policies

    def documents(self) -> Documents:
        """Return the documents of the region."""
        return self.installed.adapters.documents_of(self.region)

    def store(self) -> LedgerStore:
        """Return the ledger of the region and its evidence."""
        from snapkeep.usecases.drills.ledger_store import LedgerStore  # noqa: PLC0415

        return LedgerStore(self.documents())

    def texts(self) -> dict[str, str]:
        """Return all evidences in the bucket, by drill."""
        from snapkeep.domain.drills.ledger import evidence_key, run_of_key  # noqa: PLC0415

        documents = self.documents()
        runs = filter(None, (run_of_key(key) for key in documents.keys("drills/")))
        return {run_id: documents.get(evidence_key(run_id)).text for run_id in runs}

    def wait_for(self, executions: Mapping[str, str], subject: str, *, quiet: bool) -> None:
        """Wait for the end of drills, which an interrupted wait does not stop; print then how to see them."""
        client = self.settings.client("stepfunctions", self.region)
        try:
            with nullcontext() if quiet else make_console(stderr=True).status(f"Drilling {subject} in {self.region}"):
                for arn in executions.values():
                    ended_execution(client, arn, hours=PATIENCE_HOURS)
        except BaseException:
            to_see = f"snapkeep drill list --in {self.region}{pasted_options(self.settings)}"
            warn([f"{'; '.join(executions)}: not stopped, continues in AWS. To see it:", f"  {to_see}"])
            raise

    def evidence(self, run_id: str) -> DrillEvidence:
        """Return the evidence of a drill. Raise DocumentNotFound, which says why there is none, or InvalidConfiguration."""
        store = self.store()
        try:
            return store.evidence(run_id)
        except DocumentNotFound as error:
            raise DocumentNotFound(self._why_none(run_id, store.read())) from error

    def _why_none(self, run_id: str, ledger: DrillLedger) -> str:
        if run := ledger.run(run_id):
            return f"{run_id} is open; it has evidence once it ends, at {run.ends_at:%Y-%m-%d %H:%M} UTC at the latest"
        if ledger.entry(run_id):
            return f"{run_id}: its evidence is missing in the bucket of reports; `snapkeep drill audit` checks all"
        return f"{run_id}: no drill of this name was begun in {self.region}; `snapkeep drill list` lists them"

    def evidences(self, run_ids: Iterable[str]) -> tuple[list[DrillEvidence], dict[str, str]]:
        """Return the evidence of drills, and why there is none of the others."""
        evidences: list[DrillEvidence] = []
        problems: dict[str, str] = {}
        for run_id in run_ids:
            try:
                evidences.append(self.evidence(run_id))
            except (DocumentNotFound, InvalidConfiguration) as error:
                problems[run_id] = str(error)
        return evidences, problems

    def begin(self) -> BeginDrills:
        """Return the use case that begins drills."""
        from snapkeep.adapters.clock import WallClock  # noqa: PLC0415
        from snapkeep.adapters.stepfunctions_drills import StepFunctionsDrills  # noqa: PLC0415
        from snapkeep.usecases.drills.begin import BeginDrills  # noqa: PLC0415

        outputs = self.installed.stack_outputs(StackKind.DR, self.region)
        client = self.settings.client("stepfunctions", self.region)
        return BeginDrills(
            system=self.settings.system,
            region=self.region,
            policies=self.policies,
            points=self.installed.adapters.points_of(self.region),
            ledger=self.store(),
            runs=StepFunctionsDrills(client=client, state_machine_arn=outputs["DrillStateMachineArn"]),
            clock=WallClock(),
        )
