"""`snapkeep deploy`, `destroy` and `package`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.common import (
    AwsSettings,
    Json,
    Yes,
    can_ask,
    option,
    pairs_of,
    pasted_options,
    require_consent,
    with_aws_settings,
)
from snapkeep.cli.errors import WrongUse, known_errors, one_line
from snapkeep.cli.output import make_console, print_json, warn, write_command, write_lines
from snapkeep.cli.side_by_side import side_by_side
from snapkeep.domain.errors import SnapkeepError
from snapkeep.domain.plural import counted
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.deploy.changes import Change
    from snapkeep.deploy.deployment import Deployment, DeploymentResult, RemovalResult
    from snapkeep.deploy.doctor.results import CheckResult
    from snapkeep.deploy.progress import Watcher
    from snapkeep.deploy.stacks import StackResult

deploy_app = typer.Typer(help="Deploy the primary and the DR stack.")
destroy_app = typer.Typer(help="Delete both stacks. Snapshots stay.")
package_app = typer.Typer(help="Build the functions for the AWS CLI or SAM.")


_Parameter = partial(option, rich_help_panel="Parameters")
_TagKey = Annotated[str, _Parameter("--tag-key", "Protect only volumes with this tag (Key or Key=Value).", "KEY")]
_Retention = Annotated[int | None, _Parameter("--retention", "Snapshots to keep of each volume. Default: 7.", "COUNT")]
_DrRetention = Annotated[int | None, _Parameter("--dr-retention", "Copies to keep of each volume. Default: 1.", "COUNT")]
_Parameters = Annotated[
    list[str] | None, _Parameter("--parameter", "Parameter of the primary stack, or of a vault's; repeatable.", "NAME=VALUE")
]
_DrParameters = Annotated[list[str] | None, _Parameter("--dr-parameter", "Parameter of the DR stack; repeatable.", "NAME=VALUE")]
_DrillParameters = Annotated[
    list[str] | None,
    _Parameter("--drill-parameter", "Parameter of the network of drills, with --only drill; repeatable.", "NAME=VALUE"),
]
_Only = Annotated[
    StackKind | None,
    option(
        "--only",
        "Only this stack. A further DR region has its own. `drill`: the network of instance drills. `vault`: a vault.",
        show_default=False,
    ),
]
_Tags = Annotated[list[str] | None, option("--tag", "Tag for every resource; repeatable.", "KEY=VALUE")]
_RemoveFailed = Annotated[bool, option("--remove-failed", "Delete a stack whose creation failed.")]
_RoleArn = Annotated[str, option("--role-arn", "Role with which CloudFormation acts. Default: your permissions.", "ARN")]
_MoveDrRegion = Annotated[bool, option("--move-dr-region", "Confirm, with --yes, that new copies go to another DR region.")]


@deploy_app.command()
@with_aws_settings
def deploy(
    settings: AwsSettings,
    *,
    tag_key: _TagKey = "",
    retention: _Retention = None,
    dr_retention: _DrRetention = None,
    parameter: _Parameters = None,
    dr_parameter: _DrParameters = None,
    drill_parameter: _DrillParameters = None,
    tag: _Tags = None,
    remove_failed: _RemoveFailed = False,
    only: _Only = None,
    role_arn: _RoleArn = "",
    move_dr_region: _MoveDrRegion = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Deploy both stacks, the DR stack first, and print their outputs.

    In an existing stack, a parameter that is not given keeps its value, and so does the DR region. `--only drill` deploys the
    isolated network of instance drills in the DR region. `--only vault` deploys a vault, with the credentials of its account,
    into `--region`; its parameter OwnerAccounts names the accounts whose shared snapshots it copies.
    """
    primary = _with_shortcuts(parameter, "--parameter", {"tagKeyValue": tag_key, "Retention": retention})
    dr = _with_shortcuts(dr_parameter, "--dr-parameter", {"Retention": dr_retention})
    drill = pairs_of(drill_parameter, "--drill-parameter")
    if drill and only is not StackKind.DRILL:
        raise WrongUse("--drill-parameter is for the network of drills: add --only drill")
    tags = pairs_of(tag, "--tag")
    from snapkeep.cli.commands.doctor import examined, examined_vault  # noqa: PLC0415
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need

    is_vault = only is StackKind.VAULT
    dr_region = "" if is_vault else settings.dr_region or primary.get("DRRegion") or InstalledSystem(settings).dr_region
    kinds = [only] if only else [StackKind.DR, StackKind.PRIMARY]
    parameters = {StackKind.DR: dr, StackKind.PRIMARY: {"DRRegion": dr_region, **primary}, StackKind.DRILL: drill}
    with make_watcher(json=json) as watcher:

        def may_remove(reason: str) -> bool:
            return remove_failed or (can_ask(json=json) and typer.confirm(f"{reason}. Delete it?"))

        def may_change(changes: Sequence[Change]) -> bool:
            return are_confirmed(changes, watcher, yes=yes, move_dr_region=move_dr_region, json=json)

        def examine() -> None:
            watcher.step("Checking the account")
            if is_vault:
                results = examined_vault(settings, primary, deploying=True, role_arn=role_arn)
            else:
                examined_settings, changed = replace(settings, dr_region=dr_region), {kind: parameters[kind] for kind in kinds}
                results = examined(examined_settings, changed, deploying=True, role_arn=role_arn)
            _refuse_problems(results, watcher)

        searched = [] if is_vault else [(StackKind.PRIMARY, settings.region), (StackKind.DR, dr_region)]
        names = InstalledSystem(settings).other_stack_names(searched)
        deployed = make_deployment(settings, dr_region, watcher, names, role_arn).deploy(
            {} if is_vault else primary,
            dr,
            drill_parameters=drill,
            vault_parameters=primary if is_vault else {},
            tags=tags,
            kinds=kinds,
            may_change=may_change,
            may_remove_leftover=may_remove,
            examine=examine,
        )
    _show_deployed(deployed, json=json)
    if not json and any(_awaits_first_sweep(result) for result in deployed.stacks):
        typer.echo()
        write_lines(["NoSweepAlarm is in ALARM until the first sweep. The schedule makes one, or now:"])
        write_command(f"snapkeep {'vault ' if is_vault else ''}sweep{pasted_options(settings)}")


@destroy_app.command()
@with_aws_settings
def destroy(settings: AwsSettings, *, yes: Yes = False, only: _Only = None, role_arn: _RoleArn = "", json: Json = False) -> None:
    """Delete the stacks of every region, with the networks of drills, and their artifact buckets. No snapshot is deleted."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports what --help does not need
    from snapkeep.deploy.deployment import KEY_OF_RECORDS  # noqa: PLC0415 - imports boto3

    installed = InstalledSystem(settings)
    if only is StackKind.VAULT:
        _destroy_vault(settings, yes=yes, role_arn=role_arn, json=json)
        return
    regions = [settings.region] if only in (None, StackKind.PRIMARY) else []
    further: list[str] = []
    if only in (None, StackKind.DR):
        further = [region for region in installed.dr_stack_regions() if region != installed.dr_region]
        if not settings.dr_region:
            former, unread = _former_dr_regions(installed, [installed.dr_region, *further])
            further += former
            warn(unread)
    if only is not StackKind.PRIMARY:
        regions += [installed.dr_region, *further]
    question = f"Delete the stacks of {settings.system} in {' and '.join(regions)}? Snapshots stay. {KEY_OF_RECORDS}."
    if only is StackKind.DRILL:
        question = f"Delete the network of instance drills of {settings.system} in {installed.dr_region}?"
    require_consent(question, yes=yes, json=json, otherwise="nothing was deleted")
    with make_watcher(json=json) as watcher:
        kinds = [only] if only else (StackKind.PRIMARY, StackKind.DR)
        names = installed.other_stack_names(
            [(StackKind.PRIMARY, settings.region), *((StackKind.DR, region) for region in (installed.dr_region, *further))]
        )
        destroyed = make_deployment(settings, installed.dr_region, watcher, names, role_arn).destroy(kinds, further)
    _show_destroyed(destroyed, json=json)


def _former_dr_regions(installed: InstalledSystem, known: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the account's other regions with a DR stack of this primary region, and what of them could not be searched.

    After a move to another DR region, nothing but the tag of the former region's stack names the system.
    """
    from snapkeep.deploy.deployment import PRIMARY_REGION_TAG  # noqa: PLC0415 - imports boto3

    primary, problems = installed.settings.region, list[str]()

    def belongs(region: str) -> bool:
        try:
            return installed.stack(StackKind.DR, region).tags.get(PRIMARY_REGION_TAG) == primary
        except known_errors() as error:
            problems.append(f"{region}: it is not known whether it has a DR stack: {one_line(error)}")
            return False

    try:
        enabled = {region["RegionName"] for region in installed.settings.client("ec2", primary).describe_regions()["Regions"]}
    except known_errors() as error:
        return [], [f"other regions with DR stacks are not known: {one_line(error)}"]
    candidates = sorted(enabled.difference(known, {primary}))
    belonging = side_by_side({region: partial(belongs, region) for region in candidates})
    return [region for region in candidates if belonging[region]], problems


def _destroy_vault(settings: AwsSettings, *, yes: bool, role_arn: str, json: bool) -> None:
    """Delete a vault's stack in its account. Its snapshots stay, and nothing expires or locks them any more."""
    from snapkeep.deploy.deployment import KEY_OF_RECORDS  # noqa: PLC0415 - imports boto3

    question = (
        f"Delete the vault's stack of {settings.system} in {settings.region}? Its snapshots stay, and nothing expires them any "
        f"more. {KEY_OF_RECORDS}."
    )
    require_consent(question, yes=yes, json=json, otherwise="nothing was deleted")
    with make_watcher(json=json) as watcher:
        destroyed = make_deployment(settings, "", watcher, {}, role_arn).destroy([StackKind.VAULT])
    _show_destroyed(destroyed, json=json)


@package_app.command()
def package(
    *,
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Folder to write. Default: build/functions.")
    ] = None,
    json: Json = False,
) -> None:
    """Build the functions for `aws cloudformation package` or `sam deploy`."""
    from snapkeep.deploy.package import build_package  # noqa: PLC0415 - imports boto3

    console = make_console(stderr=True)
    built = build_package(folder, report=lambda text: console.print(f"note: {text}", markup=False))
    if json:
        print_json(built.as_data())
    else:
        make_console().print(f"{built.folder}: {built.bytes_unzipped:,} bytes, zipped {built.bytes_zipped:,}", soft_wrap=True)


def make_deployment(
    settings: AwsSettings, dr_region: str, watcher: Watcher, names: Mapping[tuple[StackKind, str], str], role_arn: str = ""
) -> Deployment:
    """Return the deployment of a system; `names` are those of stacks that have other names than a deployment gives them."""
    from snapkeep.deploy.deployment import Deployment, DeploymentTarget  # noqa: PLC0415 - imports boto3

    target = DeploymentTarget(settings.client, settings.region, dr_region, settings.suffix, names, role_arn)
    return Deployment(target, watcher)


class AccountNotReady(SnapkeepError):
    """The doctor found a problem. Nothing was changed."""


def _refuse_problems(results: Sequence[CheckResult], watcher: Watcher) -> None:
    """Show warnings and what is not known. Raise AccountNotReady, which names each problem."""
    from snapkeep.cli.views.doctor import result_line  # noqa: PLC0415 - imports rich
    from snapkeep.deploy.doctor.results import CheckState, problems  # noqa: PLC0415

    for result in results:
        if result.state is CheckState.WARNING:
            watcher.note(result_line(result))
    unknown = [f"{result.check.label} in {result.region}" for result in results if result.state is CheckState.NOT_KNOWN]
    if unknown:
        watcher.note(f"not known: {', '.join(unknown)}; `snapkeep doctor` says why")
    if refused := problems(results):
        raise AccountNotReady("nothing was changed. " + "; ".join(result_line(result) for result in refused))


def are_confirmed(changes: Sequence[Change], watcher: Any, *, yes: bool, move_dr_region: bool, json: bool) -> bool:
    """Return whether changes that can lose or move protection are confirmed. `--yes` alone never moves the DR region.

    They are shown once: in the question, with `--yes` as notes, or in the caller's error if no user can answer. Raise
    NotConfirmed on a no.
    """
    from snapkeep.cli.views.deploy import changes_question, risky_lines  # noqa: PLC0415 - imports rich
    from snapkeep.deploy.changes import Risk  # noqa: PLC0415

    moves = any(change.risk is Risk.MOVES_COPIES for change in changes)
    if yes and moves and not move_dr_region:
        raise WrongUse("nothing was changed: --yes does not move the DR region; give --move-dr-region too")
    if yes:
        for line in risky_lines(changes):
            watcher.note(line)
        return True
    if not can_ask(json=json):
        return False
    with watcher.asking():
        require_consent(changes_question(changes), yes=False, json=json, otherwise="nothing was changed")
    return True


def make_watcher(*, json: bool) -> Any:
    """Return the watcher that shows the progress: on stderr where stdout has JSON."""
    from snapkeep.cli.views.deploy import watcher_on  # noqa: PLC0415 - imports rich

    return watcher_on(make_console(stderr=json))


def _with_shortcuts(pairs: Sequence[str] | None, option: str, shortcuts: dict[str, object]) -> dict[str, str]:
    values = {name: str(value) for name, value in shortcuts.items() if value not in ("", None)}
    return values | pairs_of(pairs, option, "NAME=VALUE")


def _awaits_first_sweep(result: StackResult) -> bool:
    from snapkeep.deploy.stacks import StackOutcome  # noqa: PLC0415 - imports boto3

    return result.outcome is StackOutcome.CREATED and "SweepStateMachineArn" in result.outputs


def _show_deployed(deployed: DeploymentResult, *, json: bool) -> None:
    if json:
        facts = {"system": deployed.system, "account_id": deployed.account_id, "buckets": deployed.buckets}
        stacks = [asdict(result) for result in deployed.stacks]
        print_json({**facts, "stacks": stacks, "package": deployed.package.as_data()})
        return
    from snapkeep.cli.views.deploy import print_outputs  # noqa: PLC0415 - imports rich

    console = make_console()
    for result in deployed.stacks:
        console.print()
        print_outputs(console, f"{result.stack} in {result.region}: {result.outcome.label}", result.outputs)


def _show_destroyed(destroyed: RemovalResult, *, json: bool) -> None:
    if json:
        print_json(asdict(destroyed))
        return
    console = make_console()
    for result in destroyed.stacks:
        console.print(f"{result.stack} in {result.region}: {result.outcome.label}", soft_wrap=True)
    for bucket, count in destroyed.objects_removed.items():
        console.print(
            f"bucket {bucket}: " + (f"removed with {counted(count, 'object')}" if count else "already deleted"), soft_wrap=True
        )
    if destroyed.stays:
        console.print("Kept:")
    for text in destroyed.stays:
        console.print(f"  {text}", soft_wrap=True)
