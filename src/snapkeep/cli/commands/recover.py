"""`snapkeep recover`: make volumes or instances from recovery points, with the caller's credentials; resume or undo it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.commands.recover_instance import group, instance, instance_map
from snapkeep.cli.commands.recoverable import At, OfPolicy, OfTags, moment_of
from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, pairs_of, require_consent, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.output import show_result, write_lines
from snapkeep.cli.recovery_system import (
    Bucket,
    ConsentOptions,
    In,
    OnlyPlan,
    Rate,
    RecoverySystem,
    RunId,
    carry_out,
    places_of,
    printing,
    rate_of,
    recover_by_plan,
)
from snapkeep.domain.plural import counted

if TYPE_CHECKING:
    from snapkeep.domain.recovery.recovery_plan import RecoveryRun
    from snapkeep.usecases.recovery.prepare import RecoveryRequest

app = typer.Typer(help="Recover volumes or instances; resume or undo a recovery.", no_args_is_help=True)
app.command()(instance)
app.command()(group)
app.command("map")(instance_map)


@app.command()
@with_aws_settings
def volume(
    settings: AwsSettings,
    targets: Annotated[list[str] | None, argument("VOLUME|INSTANCE|NAME", "Volumes, instances or names to recover.")] = None,
    *,
    policy: OfPolicy = "",
    tag: OfTags = None,
    at: At = "",
    in_region: In = "",
    zone: Annotated[str, option("--zone", "Availability Zone of the volumes.", "AZ")] = "",
    attach: Annotated[
        list[str] | None,
        option("--attach", "Attach to this instance; repeat it to name the device of each volume.", "INSTANCE[:DEVICE]"),
    ] = None,
    rate: Rate = "default",
    without: Annotated[
        list[str] | None, option("--without", "Leave out this volume of an instance. Repeatable.", "VOLUME|DEVICE")
    ] = None,
    newest: Annotated[bool, option("--newest", "Use the newest point of each volume, even if a whole set is older.")] = False,
    with_deleted: Annotated[bool, option("--with-deleted", "With --policy or --tag: include deleted volumes.")] = False,
    bucket: Bucket = "",
    only_plan: OnlyPlan = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make volumes from recovery points: of volumes, of all volumes of an instance, a policy or a tag.

    The plan comes first. The journal in the DR region's bucket has every step, so that the recovery can be resumed or undone.
    """
    from snapkeep.domain.recovery.choice import Target  # noqa: PLC0415 - --help needs none of these
    from snapkeep.usecases.recovery.prepare import RecoveryRequest  # noqa: PLC0415

    if not (targets or policy or tag):
        raise WrongUse("name what to recover: volumes, instances, names, --policy or --tag")
    instance_id, devices = places_of(attach or ())
    now = datetime.now(UTC)
    target = Target(tuple(targets or ()), policy, pairs_of(tag, "--tag"))
    request = RecoveryRequest(
        target,
        moment_of(at, now),
        zone,
        rate_of(rate),
        instance_id,
        devices,
        without=tuple(without or ()),
        newest=newest,
        with_deleted=with_deleted,
    )
    recover_volumes(RecoverySystem(settings, in_region, bucket), request, ConsentOptions(only_plan, yes, json))


def recover_volumes(system: RecoverySystem, request: RecoveryRequest, options: ConsentOptions, unproved: str = "") -> None:
    """Show the plan of a recovery of volumes, ask for consent, and carry it out.

    `unproved` is shown as the proof of copies without one; by default, the command that compares them.
    """
    from snapkeep.cli.views.recover import UNPROVED_COPY, plan_as_data, plan_lines  # noqa: PLC0415
    from snapkeep.cli.views.recoverable import measured_lines  # noqa: PLC0415
    from snapkeep.cli.volume_history import last_drills  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare import begin  # noqa: PLC0415

    now = datetime.now(UTC)
    plan = system.prepare().plan(request)
    if not options.json:
        write_lines(plan_lines(plan, now, unproved=unproved or UNPROVED_COPY))
        volume_ids = [volume.point.origin.volume_id for volume in plan.volumes]
        write_lines(measured_lines(volume_ids, last_drills(system.installed, plan.region)))
    question = f"Make {counted(len(plan.volumes), 'volume')} in {plan.region}?"
    data = {"plan": plan_as_data(plan)}
    recover_by_plan(system, data, question, partial(begin, plan), options, hindered=bool(plan.obstacles))


@app.command("list")
@with_aws_settings
def list_runs(settings: AwsSettings, *, in_region: In = "", bucket: Bucket = "", json: Json = False) -> None:
    """List the recoveries in the DR region's bucket, the newest last. Exits with status 1 if a journal cannot be read."""
    from snapkeep.cli.views.recover import run_as_data, run_lines  # noqa: PLC0415

    runs, unreadable = RecoverySystem(settings, in_region, bucket).journal().runs()
    data = [run_as_data(run) for run in runs] + [{"id": run_id, "problem": why} for run_id, why in unreadable.items()]
    lines = [next(run_lines(run)) for run in runs] if runs or unreadable else ["no recovery was begun here"]
    show_result(data, lines, (f"{run_id}  not known: {why}" for run_id, why in unreadable.items()), json=json)
    exit_unless(not unreadable)


@app.command()
@with_aws_settings
def show(settings: AwsSettings, run_id: RunId, *, in_region: In = "", bucket: Bucket = "", json: Json = False) -> None:
    """Show a recovery with its steps."""
    from snapkeep.cli.views.recover import run_as_data, run_lines  # noqa: PLC0415

    run = RecoverySystem(settings, in_region, bucket).run_of(run_id)
    show_result(run_as_data(run), run_lines(run), json=json)


@app.command()
@with_aws_settings
def resume(settings: AwsSettings, run_id: RunId, *, in_region: In = "", bucket: Bucket = "", json: Json = False) -> None:
    """Continue an interrupted recovery, on any machine."""
    system = RecoverySystem(settings, in_region, bucket)
    _continue(system, system.run_of(run_id), json=json, undo=False)


@app.command()
@with_aws_settings
def undo(
    settings: AwsSettings, run_id: RunId, *, in_region: In = "", bucket: Bucket = "", yes: Yes = False, json: Json = False
) -> None:
    """Remove what a recovery made. Data that was written to its volumes since then is lost."""
    from snapkeep.cli.views.recover import undo_lines  # noqa: PLC0415

    system = RecoverySystem(settings, in_region, bucket)
    run = system.run_of(run_id)
    if not json:
        write_lines(undo_lines(run))
    require_consent(f"Delete what {run_id} made?", yes=yes, json=json, otherwise="nothing was removed")
    _continue(system, run, json=json, undo=True)


def _continue(system: RecoverySystem, run: RecoveryRun, *, json: bool, undo: bool) -> None:
    from snapkeep.cli.views.recover import run_as_data, run_lines  # noqa: PLC0415
    from snapkeep.usecases.recovery.recover import refuse_undone  # noqa: PLC0415

    recover = system.recover(run.region, printing(quiet=json))
    run = recover.journal.read(run.id)
    if not undo:
        refuse_undone(run)
    ended = carry_out(recover.undo if undo else recover.run, run, system.command("undo" if undo else "resume", run.id))
    show_result(run_as_data(ended), [next(run_lines(ended))], json=json)
