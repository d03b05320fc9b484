"""The options that commands share, the AWS settings that they make, and questions to the user."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, partial, wraps
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.call_log import log_calls, start_log
from snapkeep.cli.configuration import refuse_mistyped_variables, settings_file, settings_from_file, variable_of
from snapkeep.cli.console_links import ConsoleLinks
from snapkeep.cli.errors import NotConfirmed, WrongUse, out_of_reach
from snapkeep.cli.output import warn
from snapkeep.domain.policy.shapes import REGION_PATTERN
from snapkeep.domain.system import StackKind, SystemNames, stack_name, system_name

if TYPE_CHECKING:
    import boto3

    from snapkeep.domain.retention.region_plan import RegionPlan

DEFAULT_DR_REGION = "us-east-2"


def option(flag: str, text: str, metavar: str | None = None, **settings: Any) -> Any:
    """Return an option and its line of help."""
    return typer.Option(flag, help=text, metavar=metavar, **settings)


def argument(metavar: str, text: str, **settings: Any) -> Any:
    """Return an argument and its line of help."""
    return typer.Argument(metavar=metavar, help=text, **settings)


def _aws_option(setting: str, metavar: str, text: str) -> Any:
    """Return an option that a variable and the settings' file can give too."""
    return typer.Option(_flag(setting), metavar=metavar, help=text, envvar=variable_of(setting), rich_help_panel="AWS")


def _flag(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


Profile = Annotated[str | None, _aws_option("profile", "NAME", "AWS profile.")]
Region = Annotated[str | None, _aws_option("region", "REGION", "Primary region; by default the AWS CLI's.")]
_DR_REGION_HELP = f"DR region. Default: the deployed system's; for a first deployment {DEFAULT_DR_REGION}."
DrRegion = Annotated[str | None, _aws_option("dr_region", "REGION", _DR_REGION_HELP)]
EndpointUrl = Annotated[str | None, _aws_option("endpoint_url", "URL", "Endpoint of another AWS, such as the embedded one.")]
Name = Annotated[str | None, _aws_option("name", "SUFFIX", "FunctionNameSuffix of the system.")]
PrimaryStack = Annotated[str | None, _aws_option("primary_stack", "NAME", "Primary stack. Default: found by the system's name.")]
DrStack = Annotated[str | None, _aws_option("dr_stack", "NAME", "DR stack. Default: found by the system's name.")]
Verbose = Annotated[bool, option("--verbose", "Print each call to AWS on stderr.", rich_help_panel="AWS")]
LogFile = Annotated[Path | None, option("--log-file", "Append each call to AWS to a file.", "FILE", rich_help_panel="AWS")]
Json = Annotated[bool, option("--json", "Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


class Grouping(StrEnum):
    """How `status` groups volumes."""

    CAUSE = "cause"
    INSTANCE = "instance"


class RegionScope(StrEnum):
    """The regions of a command: the primary region, the DR regions, or both."""

    BOTH = "both"
    PRIMARY = StackKind.PRIMARY.value
    DR = StackKind.DR.value

    def has(self, region: str, primary: str) -> bool:
        """Whether a region is one of them."""
        return self is RegionScope.BOTH or (self is RegionScope.PRIMARY) == (region == primary)

    def of(self, plans: Iterable[RegionPlan], primary: str) -> list[RegionPlan]:
        """Return the plans of its regions."""
        return [plan for plan in plans if self.has(plan.region, primary)]


@dataclass(frozen=True, slots=True)
class AwsSettings(SystemNames):
    """The AWS account, the two regions and the system."""

    region: str
    dr_region: str
    """The region of `--dr-region`; empty without the option. `InstalledSystem.dr_region` is the region in use."""
    profile: str = ""
    endpoint_url: str = ""
    suffix: str = ""
    primary_stack: str = ""
    dr_stack: str = ""
    """The names of the stacks; empty without the options."""
    read_only: bool = False
    """Whether the clients refuse every request that could write."""

    @property
    def system(self) -> str:
        """The system's name, the value of the tag `snapkeep:managed`."""
        return system_name(self.suffix)

    def kind_of(self, region: str) -> StackKind:
        """Return the kind of the system's stack in a region."""
        return StackKind.PRIMARY if region == self.region else StackKind.DR

    def stack_name(self, kind: StackKind) -> str:
        """Return the name of the stack `primary` or `dr`, as the options or `deploy` name it."""
        named = {StackKind.PRIMARY: self.primary_stack, StackKind.DR: self.dr_stack}
        return named.get(kind) or stack_name(self.system, kind)

    @property
    def console_links(self) -> ConsoleLinks:
        """Makes links to AWS's console; none where the endpoint is not AWS's."""
        return ConsoleLinks(enabled=not (self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")))

    def session(self) -> boto3.Session:
        """Return a session for the profile. Raise WrongUse if there is no such profile."""
        return _session(self.profile)

    def client(self, service: Any, region: str) -> Any:
        """Return a client of a service in a region. Raise WrongUse for an endpoint that is not a URL."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - imports botocore

        try:
            with _MAKING_CLIENTS:
                made = self.session().client(
                    service, region_name=region, endpoint_url=self.endpoint_url or None, config=self._patience(service)
                )
        except BotoCoreError:
            raise
        except ValueError as error:  # botocore's, for an endpoint that is not a URL
            raise WrongUse(f"{error}: --endpoint-url (or AWS_ENDPOINT_URL) is a URL such as http://127.0.0.1:4566") from error
        if self.read_only:
            made.meta.events.register("before-parameter-build", _refuse_to_write)
            made.meta.events.register_first("needs-retry", partial(_give_up_after, ATTEMPTS_WITHOUT_ANSWER))
        # The one call of a command that has no client token (botocore: ec2 2016-11-15): a second one makes a second copy.
        made.meta.events.register_first("needs-retry.ec2.CopySnapshot", partial(_give_up_after, 1))
        log_calls(made)
        return made

    def _patience(self, service: str) -> Any:
        """Return how long a client waits: with botocore's defaults an unreachable region takes five minutes a call."""
        from botocore.config import Config  # noqa: PLC0415 - imports botocore

        if not self.read_only:
            return Config(connect_timeout=CONNECT_SECONDS, retries={"mode": "standard"})
        seconds = FIRST_READ_SECONDS if service == "cloudformation" else READ_SECONDS
        attempts = {"mode": "standard", "total_max_attempts": READ_ATTEMPTS}
        return Config(connect_timeout=FIRST_READ_SECONDS, read_timeout=seconds, retries=attempts)  # type: ignore[arg-type]


CONNECT_SECONDS = 5
FIRST_READ_SECONDS, READ_SECONDS = 3, 10
"""How long a command that only reads waits for a region: in the first call, which asks for a stack, and in later ones.

A user waits at the screen, so an unreachable region is reported soon."""
READ_ATTEMPTS, ATTEMPTS_WITHOUT_ANSWER = 8, 2
"""How often it tries: throttled requests of a long listing often, a region that is out of order no more than twice."""
_MAKING_CLIENTS = Lock()
"""Sessions are not safe to use in several threads at once, clients are (boto3 guide: multithreading)."""


def _give_up_after(
    most: int, attempts: int, caught_exception: Exception | None, response: tuple[Any, Any] | None, operation: Any, **_: Any
) -> None:
    """Raise the error of the last attempt that got no answer, or a fault of AWS's own, instead of trying once more."""
    if attempts < most:
        return
    if caught_exception is not None:
        raise caught_exception
    if response is None or "Error" not in response[1]:
        return
    from botocore.exceptions import ClientError  # noqa: PLC0415 - imports botocore

    error = ClientError(response[1], operation.name)
    if out_of_reach(error):
        raise error


_READING = ("Describe", "Filter", "Get", "List", "Query", "Simulate")


def _refuse_to_write(model: Any, **_: Any) -> None:
    """Raise PermissionError before a request whose operation does not only read."""
    if not model.name.startswith(_READING):
        raise PermissionError(f"{model.name} would write, but this command only reads: this is a bug in Snapkeep")


@cache
def _session(profile: str) -> boto3.Session:
    """Return one session for all clients: each session reads the service models again."""
    import boto3  # noqa: PLC0415 - half a second that `--help` need not pay
    import botocore.session  # noqa: PLC0415
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    from snapkeep.adapters.ec2_lean_listing import read_lean  # noqa: PLC0415

    made = botocore.session.get_session()
    read_lean(made)
    try:
        return boto3.Session(profile_name=profile or None, botocore_session=made)
    except ProfileNotFound as error:
        raise WrongUse(f"--profile {profile}: there is no such profile in the AWS configuration") from error


def forget_sessions() -> None:
    """Let the next client look up the credentials again: they may have been renewed."""
    _session.cache_clear()


def aws_settings(
    *,
    profile: str = "",
    region: str = "",
    dr_region: str = "",
    endpoint_url: str = "",
    name: str = "",
    primary_stack: str = "",
    dr_stack: str = "",
) -> AwsSettings:
    """Return the settings that the options make; for an empty option, what the AWS CLI would use.

    Raise WrongUse where no region is known, one cannot exist, or both regions are the same.
    """
    primary_region = region or os.environ.get("AWS_REGION", "") or _session(profile).region_name
    if not primary_region:
        raise WrongUse("no region: give --region or set AWS_REGION")
    for option, value in (("--region", primary_region), ("--dr-region", dr_region or primary_region)):
        if not re.fullmatch(REGION_PATTERN, value):
            raise WrongUse(f"{option} {value} is not a region; a region has a name such as us-east-1")
    if primary_region == dr_region:
        raise WrongUse(f"--dr-region {dr_region} is the primary region too; name another region")
    return AwsSettings(primary_region, dr_region, profile, endpoint_url, name, primary_stack, dr_stack)


def default_dr_region(settings: AwsSettings) -> str:
    """Return the DR region of a first deployment. Raise WrongUse where the default would be the primary region, or elsewhere.

    Snapshots cannot be copied from one partition to another (EBS user guide: copy a snapshot).
    """
    from botocore.exceptions import UnknownRegionError  # noqa: PLC0415 - imports botocore

    try:
        partition = settings.session().get_partition_for_region(settings.region)
    except UnknownRegionError:
        partition = ""
    if settings.region == DEFAULT_DR_REGION or partition != "aws":
        raise WrongUse(f"--dr-region: there is no default for the primary region {settings.region}; name the DR region")
    return DEFAULT_DR_REGION


def completed_by_file(options: Mapping[str, str | None]) -> dict[str, str]:
    """Return the options; those that neither an option nor a variable gave, from the settings' file, else empty.

    Raise WrongUse for a mistake in the file or in a variable's name.
    """
    refuse_mistyped_variables(os.environ, AWS_SETTINGS)
    from_file = settings_from_file(AWS_SETTINGS) if None in options.values() else {}
    completed = {name: from_file.get(name, "") if value is None else value for name, value in options.items()}
    if completed.get("endpoint_url") and options["endpoint_url"] is None:
        # The file's author would see every request.
        warn([f"endpoint_url is {completed['endpoint_url']}, from {settings_file()}"])
    return completed


def pasted_options(settings: AwsSettings) -> str:
    """Return the AWS options that a printed command needs: those that a plain call in this environment would take otherwise.

    Empty, or one text for a shell with a space before it.
    """
    from_file = settings_from_file(AWS_SETTINGS)
    variables = {name: os.environ.get(variable_of(name)) for name in AWS_SETTINGS}
    try:
        plain = aws_settings(**{name: value or from_file.get(name, "") for name, value in variables.items()})
    except WrongUse:  # it would know no region
        plain = AwsSettings("", "")
    field_of = {name: "suffix" if name == "name" else name for name in AWS_SETTINGS}
    values = {name: (getattr(settings, field), getattr(plain, field)) for name, field in field_of.items()}
    named = [(_flag(name), value) for name, (value, taken) in values.items() if value and value != taken]
    return "".join(f" {shlex.join(pair)}" for pair in named)


def with_aws_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's parameter `settings`, or `make_settings` which makes them when called, by the AWS options."""
    options_for_aws = inspect.signature(_aws_options, eval_str=True).parameters

    @wraps(command)
    def run(**arguments: Any) -> None:
        start_log(verbose=arguments.pop("verbose"), file=arguments.pop("log_file"))
        options = completed_by_file({name: arguments.pop(name) for name in AWS_SETTINGS})
        made = {"make_settings": partial(aws_settings, **options)} if lazy else {"settings": aws_settings(**options)}
        command(**made, **arguments)

    own = inspect.signature(command, eval_str=True)
    lazy = "make_settings" in own.parameters
    own_parameters = [parameter for name, parameter in own.parameters.items() if name not in ("settings", "make_settings")]
    parameters = [*own_parameters, *options_for_aws.values()]
    parameters.sort(key=lambda parameter: parameter.kind)  # arguments before options, each in their order
    # Typer makes the options of the signature and its annotations, and not of the function that is called.
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _aws_options(
    *,
    profile: Profile = None,
    region: Region = None,
    dr_region: DrRegion = None,
    endpoint_url: EndpointUrl = None,
    name: Name = None,
    primary_stack: PrimaryStack = None,
    dr_stack: DrStack = None,
    verbose: Verbose = False,
    log_file: LogFile = None,
) -> None:
    """Hold the names and defaults of the AWS options for `with_aws_settings`."""


AWS_SETTINGS = tuple(name for name in inspect.signature(_aws_options).parameters if name not in ("verbose", "log_file"))
"""The settings that options, variables and the file give, in this order."""


EARLIEST, TOO_LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)


def time_of(text: str) -> datetime:
    """Return the time of the option `--at`. Raise WrongUse for a text that is not a time, or has no time zone."""
    from snapkeep.domain.tags import parse_time  # noqa: PLC0415

    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo and not EARLIEST <= time < TOO_LATE:
            raise WrongUse(f"--at {text}: give a time from {EARLIEST:%Y-%m-%dT%H:%MZ} to before {TOO_LATE:%Y-%m-%dT%H:%MZ}")
        return parse_time(text)
    except ValueError as error:
        raise WrongUse(f"--at {text}: write a time with its time zone, such as 2026-12-24T03:00Z") from error


def pairs_of(texts: Iterable[str] | None, option: str, form: str = "KEY=VALUE") -> dict[str, str]:
    """Return texts such as `KEY=VALUE` as a mapping. Raise WrongUse, naming the option, for any other form."""
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise WrongUse(f"{option} {text}: write {form}")
        pairs[key] = value
    return pairs


def require_consent(question: str, *, yes: bool, json: bool, otherwise: str) -> None:
    """Return if `--yes` was given or the user says yes; `otherwise` names what is not done.

    Raise NotConfirmed on a no, WrongUse where no terminal can ask, KeyboardInterrupt on Ctrl-C.
    """
    if yes:
        return
    if not can_ask(json=json):
        raise WrongUse(f"{otherwise}: give --yes to confirm")
    try:
        confirmed = typer.confirm(question)
    except typer.Abort:
        raise KeyboardInterrupt(otherwise) from None
    if not confirmed:
        raise NotConfirmed(otherwise)


def can_ask(*, json: bool) -> bool:
    """Whether a user sits at a terminal who can answer a question."""
    return not json and sys.stdin.isatty() and sys.stdout.isatty()
