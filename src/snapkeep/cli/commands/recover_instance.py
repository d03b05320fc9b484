"""`snapkeep recover instance`, `group` and `map`: recreate instances with all their volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from snapkeep.cli.commands.recoverable import At, moment_of
from snapkeep.cli.common import AwsSettings, Json, Yes, argument, option, with_aws_settings
from snapkeep.cli.errors import WrongUse, exit_unless
from snapkeep.cli.output import show_result, warn, write_lines
from snapkeep.cli.recovery_system import (
    Bucket,
    ConsentOptions,
    In,
    OnlyPlan,
    Rate,
    RecoverySystem,
    map_of,
    rate_of,
    recover_by_plan,
)

if TYPE_CHECKING:
    from snapkeep.domain.recovery.instance_map import InstanceMap
    from snapkeep.domain.recovery.instance_plan import InstancePlan

NOTHING: Mapping[str, Any] = MappingProxyType({})
InstanceName = Annotated[str, argument("INSTANCE", "An instance id, or the tag Name of its volumes.")]
MapFile = Annotated[Path | None, option("--map", "Replacements of subnets, security groups and the like, in YAML.", "FILE")]


@with_aws_settings
def instance(
    settings: AwsSettings,
    target: InstanceName,
    *,
    at: At = "",
    in_region: In = "",
    map_file: MapFile = None,
    rate: Rate = "default",
    stopped: Annotated[bool, option("--stopped", "Stop the instance as soon as it runs.")] = False,
    without: Annotated[list[str] | None, option("--without", "Leave out the volume of a device. Repeatable.", "DEVICE")] = None,
    replace_root: Annotated[
        bool, option("--replace-root", "Replace only the root volume of the instance, which still runs there.")
    ] = False,
    bucket: Bucket = "",
    only_plan: OnlyPlan = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Recreate an instance with all its volumes from its recovery record.

    The plan comes first, with everything that cannot be carried over. Outside its own region, `--map` names the replacements of
    its subnet, security groups, instance profile and key pair. Either the instance is whole, or the recovery fails.
    """
    from snapkeep.domain.recovery.instance_fit import InstanceOptions  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare_instance import InstanceRequest  # noqa: PLC0415

    if replace_root and (map_file or without or stopped):
        raise WrongUse("--replace-root takes neither --map nor --without nor --stopped: the instance stays as it is")
    now = datetime.now(UTC)
    options = InstanceOptions(read_map(map_file), tuple(dict.fromkeys(without or ())), stopped, rate_of(rate))
    request = InstanceRequest(target, moment_of(at, now), options, replace_root)
    system = RecoverySystem(settings, in_region, bucket)
    plan = system.prepare_instance().plan(request)
    question = f"Replace the root volume of {plan.instance_id}?" if replace_root else f"Launch {plan.instance_id} again?"
    recover_stages(system, [[plan]], question, now, ConsentOptions(only_plan, yes, json))


@with_aws_settings
def group(
    settings: AwsSettings,
    group_name: Annotated[str, argument("GROUP", "The name of a group in the policy document.")],
    *,
    at: At = "",
    in_region: In = "",
    map_file: MapFile = None,
    rate: Rate = "default",
    without: Annotated[list[str] | None, option("--without", "Leave out an instance. Repeatable.", "INSTANCE")] = None,
    bucket: Bucket = "",
    only_plan: OnlyPlan = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Recover the instances of a group to one moment, in the group's order, in one run.

    Its members are the instances whose recovery records have the group's tags. The moment is the newest one to which all of
    them can be brought.
    """
    from snapkeep.cli.views.recover_instance import group_as_data, group_lines  # noqa: PLC0415
    from snapkeep.domain.recovery.instance_fit import InstanceOptions  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare_group import PrepareGroup  # noqa: PLC0415

    now = datetime.now(UTC)
    system = RecoverySystem(settings, in_region, bucket)
    chosen = system.group(group_name)
    options = InstanceOptions(read_map(map_file), rate_mibps=rate_of(rate))
    plan = PrepareGroup(prepare=system.prepare_instance()).plan(chosen, moment_of(at, now), options, without or ())
    if not json:
        write_lines(group_lines(plan))
    recover_stages(
        system,
        plan.stages,
        f"Launch the instances of {group_name} again?",
        now,
        ConsentOptions(only_plan, yes, json),
        checks=chosen.waits_for_checks,
        hindered=plan.hindered,
        data=group_as_data(plan),
    )


def recover_stages(
    system: RecoverySystem,
    stages: Sequence[Sequence[InstancePlan]],
    question: str,
    now: datetime,
    consent: ConsentOptions,
    *,
    checks: bool = True,
    hindered: bool = False,
    data: Mapping[str, Any] = NOTHING,
) -> None:
    """Show the plans of instances, ask, and recover them stage by stage in one run."""
    from snapkeep.cli.views.recover_instance import plan_as_data, plan_lines  # noqa: PLC0415
    from snapkeep.cli.views.recoverable import measured_lines  # noqa: PLC0415
    from snapkeep.cli.volume_history import last_drills  # noqa: PLC0415
    from snapkeep.usecases.recovery.prepare_instance import begin_instances  # noqa: PLC0415

    plans = [plan for stage in stages for plan in stage]
    data = {**data, "plans": [plan_as_data(plan) for plan in plans]}
    if not consent.json:
        write_lines(line for plan in plans for line in plan_lines(plan, now))
        write_lines(measured_lines([plan.instance_id for plan in plans], last_drills(system.installed, system.region)))
    hindered = hindered or any(plan.obstacles for plan in plans)
    begin = partial(begin_instances, stages, checks=checks)
    recover_by_plan(system, data, question, begin, consent, hindered=hindered)


@with_aws_settings
def instance_map(
    settings: AwsSettings,
    instances: Annotated[list[str], argument("INSTANCE", "Instance ids.")],
    *,
    in_region: In = "",
    bucket: Bucket = "",
    json: Json = False,
) -> None:
    """Write a first map for `recover instance --map`, by names and CIDRs, and list what has no match.

    Check it before you use it: a security group of the same name can have other rules.
    """
    from snapkeep.cli.views.recover_instance import map_as_data, map_lines  # noqa: PLC0415

    system = RecoverySystem(settings, in_region, bucket)
    proposed, notes = system.first_map(instances)
    warn(notes)
    show_result(map_as_data(proposed), map_lines(proposed, system.region), json=json)
    exit_unless(not proposed.unmatched)


def read_map(path: Path | None) -> InstanceMap:
    """Return the map of a file; an empty one without a file. Raise WrongUse, which names the key."""
    from snapkeep.policyfile.load import read_file  # noqa: PLC0415 - imports yaml

    return map_of(read_file(path).text if path else "", f"--map {path}")
