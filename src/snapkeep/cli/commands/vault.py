"""`snapkeep vault`: the vault in another account."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snapkeep.cli.commands.recover import recover_volumes
from snapkeep.cli.commands.recoverable import At, moment_of
from snapkeep.cli.commands.sweep import print_reports, swept
from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, require_consent, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.installed_system import InstalledSystem
from snapkeep.cli.installed_vault import policies_of_vault
from snapkeep.cli.output import print_json, show_result, write_lines
from snapkeep.cli.policy_files import read_policies
from snapkeep.cli.recovery_system import Bucket, ConsentOptions, OnlyPlan, Rate, RecoverySystem, rate_of, recover_by_plan
from snapkeep.cli.regions import known_partitions
from snapkeep.cli.vault_stack import account_of, vault_stack
from snapkeep.domain.plural import counted
from snapkeep.domain.policy.model import PolicySet
from snapkeep.domain.system import StackKind, stack_name
from snapkeep.usecases.copies.pull import NO_VAULT

if TYPE_CHECKING:
    from snapkeep.domain.recovery.choice import Target
    from snapkeep.usecases.look.vault import VaultPoint

app = typer.Typer(help="Prepare and use the vault in another account.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Prepare and use the vault in another account."""


@app.command("key-policy")
def key_policy(
    file: Annotated[Path, argument("FILE", "Policy document in YAML or JSON.")],
    name: Annotated[str, argument("VAULT", "Name of a vault; by default all of them.", show_default=False)] = "",
) -> None:
    """Print, as JSON, the policy statements that the key of each copy rule for a vault needs. Does not call AWS.

    Add the statements to the policies of these keys in the production account.
    """
    from snapkeep.domain.policy.document import STANDARD_LIMITS  # noqa: PLC0415 - --help needs none of these
    from snapkeep.domain.vault.key_policy import key_policy_statements  # noqa: PLC0415

    policies = read_policies(file, region="", limits=STANDARD_LIMITS).policies
    vaults = [vault for vault in policies.vaults if name in ("", vault.name)]
    if not vaults:
        names = ", ".join(vault.name for vault in policies.vaults) or "there is none"
        raise WrongUse(f"{file} has no vault {name}: {names}" if name else f"{file} has no vaults")
    partitions = known_partitions()
    keys = []
    for vault in vaults:
        rules = [policy.copy_rule(vault.from_region) for policy in policies.policies if policy.vault == vault.name]
        keys.append(
            {
                "vault": vault.name,
                "region": vault.from_region,
                "keys": sorted({rule.kms_key for rule in rules if rule is not None}),
                "statements": key_policy_statements(vault, partitions.get(vault.from_region, "aws")),
            }
        )
    print_json({"vaults": keys})


@app.command()
@with_aws_settings
def push(
    settings: AwsSettings,
    file: Annotated[Path, argument("FILE", "Policy document in YAML or JSON, as in production.")],
    *,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put a document in force in a vault, after showing what its next sweep would delete. With the credentials of its account.

    Only the entry of `vaults` with this account and `--region` applies there.
    """
    from snapkeep.cli.stack_limits import allowance_reader, check_locks_of_vault  # noqa: PLC0415 - --help needs none of these
    from snapkeep.cli.views.plan import allowance_as_data  # noqa: PLC0415
    from snapkeep.cli.views.policy import pushed_line  # noqa: PLC0415
    from snapkeep.cli.views.policy_fields import field_changes, field_lines  # noqa: PLC0415
    from snapkeep.cli.views.vault import changes_lines, points_as_data  # noqa: PLC0415
    from snapkeep.domain.policy.document import STANDARD_LIMITS  # noqa: PLC0415
    from snapkeep.domain.policy.vaults import vault_policies  # noqa: PLC0415
    from snapkeep.domain.retention.deletion_days import NOT_READ  # noqa: PLC0415
    from snapkeep.usecases.look.vault import deleted_points, newly_deleted  # noqa: PLC0415
    from snapkeep.usecases.policies import push as push_to  # noqa: PLC0415
    from snapkeep.usecases.policies import stored_text  # noqa: PLC0415

    # The vault has no primary region: production's may be the vault's own.
    _, document, policies = read_policies(file, region="", limits=STANDARD_LIMITS)
    account = account_of(settings)
    proposed = vault_policies(policies, account, settings.region)
    if not proposed.vaults:
        raise WrongUse(
            f"{file} has no vault with account {account} and region {settings.region}: nothing would be copied or deleted"
        )
    if not (parameters := vault_stack(settings).parameters):
        raise WrongUse(f"{_absent(settings)}: deploy it with `snapkeep deploy --only vault` before it needs a document")
    (vault,) = proposed.vaults
    check_locks_of_vault(parameters, vault, policies.vaults.index(vault))
    current = policies_of_vault(settings)
    before, after = _points(settings, current, proposed)
    deleted = newly_deleted(before, after)
    installed, to_delete = InstalledSystem(settings), [point.copy.id for point in deleted_points(after)]
    read_allowance = allowance_reader(installed, settings.region, StackKind.VAULT)
    allowance = read_allowance(datetime.now(UTC).date(), to_delete) if to_delete else NOT_READ
    if not json:
        fields = field_changes(replace(current, policies=()), replace(proposed, policies=()))
        write_lines(field_lines(fields))
        write_lines(changes_lines(after, deleted, allowance))
    require_consent(f"Put {file.name} in force in {settings.region}?", yes=yes, json=json, otherwise="nothing was changed")
    (pushed,) = push_to([installed.adapters.policy_store_of(settings.region)], stored_text(document))
    data = {"version": pushed.version, "region": pushed.region, "deleted": points_as_data(deleted)}
    data["day"] = allowance_as_data(allowance)
    show_result(data, [pushed_line(pushed)], json=json)
    exit_unless(not pushed.overtaken)


_Volumes = Annotated[list[str] | None, argument("VOLUME", "Source volumes; by default all.")]


@app.command("list")
@with_aws_settings
def list_points(settings: AwsSettings, volumes: _Volumes = None, *, json: Json = False) -> None:
    """List the points of a vault: source, lock, and verdict of its policy. With the credentials of its account.

    The vault is the one in `--region`. Exits with status 1 if its policies are not known, or a point cannot be restored.
    """
    from snapkeep.cli.views.vault import points_as_data, points_lines  # noqa: PLC0415 - --help needs none of these
    from snapkeep.usecases.look.vault import of_volumes  # noqa: PLC0415

    settings, now = replace(settings, read_only=True), datetime.now(UTC)
    policies = policies_of_vault(settings)
    (all_points,) = _points(settings, policies)
    points = of_volumes(all_points, volumes or ())
    problem = policies.problem or ("" if policies.vaults else NO_VAULT)
    if not vault_stack(settings).parameters:
        problem = f"{_absent(settings)}: nothing is copied, and nothing is deleted"
    data = {"region": settings.region, "problem": problem, "points": points_as_data(points)}
    show_result(data, points_lines(points, settings.region, now), [problem], json=json)
    exit_unless(not problem and not any(point.copy.completed and point.copy.unusable for point in points))


@app.command()
@with_aws_settings
def sweep(settings: AwsSettings, *, json: Json = False) -> None:
    """Sweep a vault, wait for the report, and print it. With the credentials of its account.

    The vault is the one in `--region`. Exits with status 1 unless the report says OK.
    """
    from snapkeep.usecases.sweep.shared import SweepInput, SweepOptions  # noqa: PLC0415 - --help needs none of these

    outputs = vault_stack(settings).outputs
    if not outputs:
        raise WrongUse(f"{_absent(settings)}: deploy it with `snapkeep deploy --only vault`")
    print_reports([swept(settings, settings.region, outputs, SweepInput(SweepOptions()), quiet=json)], json=json)


def _absent(settings: AwsSettings) -> str:
    name = stack_name(settings.system, StackKind.VAULT)
    return f"there is no stack {name} of account {account_of(settings)} in {settings.region}"


def _points(settings: AwsSettings, *policies: PolicySet) -> list[list[VaultPoint]]:
    """Return the vault's points, from one listing, with the verdicts of each of the policies."""
    from snapkeep.usecases.look.vault import list_vault  # noqa: PLC0415

    adapters, region = InstalledSystem(settings).adapters, settings.region
    reader, placed = adapters.points_of(region), adapters.placed_holds([region])
    return list_vault(reader, policies, placed, datetime.now(UTC), system=settings.system)


@app.command()
@with_aws_settings
def restore(
    settings: AwsSettings,
    volumes: Annotated[list[str], argument("VOLUME", "Source volumes to restore.")],
    *,
    at: At = "",
    zone: Annotated[str, option("--zone", "Availability Zone of the volumes.", "AZ")] = "",
    rate: Rate = "default",
    key: Annotated[str, option("--copy-to-key", "Make no volumes, but copies under this key, to be shared.", "KEY")] = "",
    account: Annotated[str, option("--share-with", "With --copy-to-key: the account that gets the copies.", "ACCOUNT")] = "",
    bucket: Bucket = "",
    only_plan: OnlyPlan = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Make volumes of a vault's points in its account, or copies that a clean account can use.

    With the credentials of the vault's account; the vault is the one in `--region`. The plan comes first. The journal in the
    stack's bucket has every step: `snapkeep recover resume` and `undo` work on it.
    """
    from snapkeep.cli.views.vault import NOT_COMPARED  # noqa: PLC0415 - --help needs none of these
    from snapkeep.domain.recovery.choice import Target  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare import RecoveryRequest  # noqa: PLC0415

    if bool(key) != bool(account):
        raise WrongUse("--copy-to-key and --share-with belong together: give the copies' key and their account")
    if account and not re.fullmatch(r"[0-9]{12}", account):
        raise WrongUse(f"--share-with {account}: write an account number of 12 digits")
    if key and (zone or rate != "default"):
        raise WrongUse("--zone and --rate apply to volumes, and --copy-to-key makes none")
    system, moment = RecoverySystem(settings, settings.region, bucket), moment_of(at, datetime.now(UTC))
    target, options = Target(tuple(volumes)), ConsentOptions(only_plan, yes, json)
    if key:
        _copy(system, target, moment, key, account, options)
    else:
        # The source volumes are in another account: whether they exist is not known here.
        request = RecoveryRequest(target, moment, zone, rate_of(rate), with_deleted=True, from_vault=True)
        recover_volumes(system, request, options, NOT_COMPARED)


def _copy(system: RecoverySystem, target: Target, at: datetime, key: str, account: str, options: ConsentOptions) -> None:
    from snapkeep.cli.views.vault import copies_as_data, copies_lines  # noqa: PLC0415
    from snapkeep.domain.recovery.copy_steps import copy_steps  # noqa: PLC0415
    from snapkeep.usecases.recovery.begin import new_run  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare_copies import prepare_copies  # noqa: PLC0415

    now = datetime.now(UTC)
    keys = system.installed.adapters.keys_of(system.region)
    plan = prepare_copies(system.points, system.ec2(system.region), target, at, key, account, keys)
    if not options.json:
        write_lines(copies_lines(plan, now))
    points = tuple(point.id for point in plan.points)
    recover_by_plan(
        system,
        {"plan": copies_as_data(plan)},
        f"Copy {counted(len(plan.points), 'point')} and share the copies with account {account}?",
        lambda caller, _: new_run(plan.region, points, copy_steps(plan), plan.obstacles, caller, now),
        options,
        hindered=bool(plan.obstacles),
        otherwise="nothing was copied",
    )
