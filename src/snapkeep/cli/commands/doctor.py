"""`snapkeep doctor`: problems of the account and the system that would break a deployment or protection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from snapkeep import __version__
from snapkeep.cli.common import AwsSettings, Json, default_dr_region, with_aws_settings
from snapkeep.cli.errors import exit_unless, known_errors, one_line
from snapkeep.cli.output import make_console, print_json
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.system import StackKind

if TYPE_CHECKING:
    from snapkeep.cli.installed_system import InstalledSystem
    from snapkeep.deploy.doctor.examination import StackSubject, System
    from snapkeep.deploy.doctor.results import CheckResult
    from snapkeep.domain.policy.model import PolicySet

app = typer.Typer(help="Check the account and the deployed system.")


@app.command()
@with_aws_settings
def doctor(settings: AwsSettings, *, json: Json = False) -> None:
    """Check credentials, permissions, quotas, keys, settings of the account, and the deployed system. It changes nothing.

    Exits with status 1 if there is a problem. Facts that cannot be read are not known.
    """
    from snapkeep.deploy.doctor.results import problems  # noqa: PLC0415

    results = examined(replace(settings, read_only=True))
    if json:
        print_json({"system": settings.system, "checks": [to_json(result) for result in results]})
    else:
        from snapkeep.cli.views.doctor import print_results  # noqa: PLC0415 - imports rich

        print_results(make_console(), results)
    exit_unless(not problems(results))


def examined(
    settings: AwsSettings,
    parameters: Mapping[StackKind, Mapping[str, str]] | None = None,
    *,
    deploying: bool = False,
    role_arn: str = "",
) -> Sequence[CheckResult]:
    """Return the results for a system, or the vault of the region; `parameters` are what a deployment gives to its stacks.

    `role_arn` is the role with which CloudFormation acts; empty where it acts with the caller's permissions.
    """
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore
    from snapkeep.cli.installed_vault import is_vault  # noqa: PLC0415
    from snapkeep.deploy.doctor.examination import System  # noqa: PLC0415

    installed = InstalledSystem(settings)
    if not deploying and is_vault(installed):
        return examined_vault(settings)
    parameters_of = parameters or {}
    policies = _policies(installed)
    dr_regions = [installed.dr_region] if deploying else _dr_regions(installed, policies)
    system = System(
        settings.system,
        __version__,
        _subject(installed, StackKind.PRIMARY, settings.region, parameters_of.get(StackKind.PRIMARY, {}), dr_regions[0]),
        [_subject(installed, StackKind.DR, region, parameters_of.get(StackKind.DR, {})) for region in dr_regions],
        {region: _keys_into(region, policies) for region in dr_regions},
        _documents_of(policies),
    )
    return _results(settings, system, deploying=deploying, role_arn=role_arn)


def examined_vault(
    settings: AwsSettings,
    parameters: Mapping[str, str] | None = None,
    *,
    deploying: bool = False,
    role_arn: str = "",
) -> Sequence[CheckResult]:
    """Return the results for a vault in `settings.region`; `parameters` are what a deployment gives to its stack."""
    from snapkeep.cli.installed_system import InstalledSystem  # noqa: PLC0415 - imports botocore
    from snapkeep.deploy.doctor.examination import System  # noqa: PLC0415

    stack = _subject(InstalledSystem(settings), StackKind.VAULT, settings.region, parameters or {})
    return _results(settings, System(settings.system, __version__, None, [stack]), deploying=deploying, role_arn=role_arn)


def _results(settings: AwsSettings, system: System, *, deploying: bool, role_arn: str) -> Sequence[CheckResult]:
    from snapkeep.deploy.doctor.account import AwsAccount  # noqa: PLC0415 - imports botocore
    from snapkeep.deploy.doctor.examination import examine  # noqa: PLC0415
    from snapkeep.deploy.doctor.region import AwsRegion  # noqa: PLC0415

    account = AwsAccount(sts=settings.client("sts", settings.region), iam=settings.client("iam", settings.region))
    return examine(
        system,
        account,
        lambda region: AwsRegion(partial(settings.client, region=region)),
        deploying=deploying,
        role_arn=role_arn,
    )


def _policies(installed: InstalledSystem) -> PolicySet | None:
    """Return the policies in force in the primary region; None where they cannot be read: the checks of the stacks say why."""
    from snapkeep.usecases.policies import in_force  # noqa: PLC0415

    try:
        return in_force(*installed.primary_document())
    except known_errors():
        return None


def _dr_regions(installed: InstalledSystem, policies: PolicySet | None) -> list[str]:
    """Return the DR region and every other region that the policies copy to, as far as they can be read."""
    if policies is None:
        return [installed.settings.dr_region or default_dr_region(installed.settings)]
    return installed.regions(policies)[1:]


def _keys_into(region: str, policies: PolicySet | None) -> list[str]:
    rules = (policy.copy_rule(region) for policy in policies.policies) if policies else ()
    return [rule.kms_key for rule in rules if rule and rule.kms_key]


def _documents_of(policies: PolicySet | None) -> list[str]:
    scripts = (script for policy in (policies.policies if policies else ()) for script in (policy.before, policy.after))
    return list(dict.fromkeys(script.ssm_document for script in scripts if script))


def _subject(
    installed: InstalledSystem, kind: StackKind, region: str, parameters: Mapping[str, str], dr_region: str = ""
) -> StackSubject:
    from snapkeep.deploy.doctor.subjects import stack_subject  # noqa: PLC0415
    from snapkeep.deploy.stack_descriptions import ABSENT, StackDescription  # noqa: PLC0415

    suffix = installed.settings.suffix
    try:
        return stack_subject(kind, region, suffix, installed.stack(kind, region), parameters, dr_region=dr_region)
    except known_errors() as error:
        return stack_subject(kind, region, suffix, StackDescription(ABSENT), parameters, one_line(error), dr_region=dr_region)
