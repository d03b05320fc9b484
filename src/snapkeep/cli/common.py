"""What the commands share: their options, the settings that those for AWS make, and how a person is asked."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snapkeep.cli.errors import WrongUse

if TYPE_CHECKING:
    import boto3

SYSTEM = "snapkeep"
DEFAULT_DR_REGION = "us-east-2"

_PANEL = "AWS"
Profile = Annotated[
    str, typer.Option("--profile", metavar="NAME", help="Profile of the AWS configuration.", rich_help_panel=_PANEL)
]
Region = Annotated[
    str, typer.Option("--region", metavar="REGION", help="Primary region. Default: the AWS CLI's.", rich_help_panel=_PANEL)
]
DrRegion = Annotated[str, typer.Option("--dr-region", metavar="REGION", help="Disaster-recovery region.", rich_help_panel=_PANEL)]
EndpointUrl = Annotated[
    str,
    typer.Option("--endpoint-url", metavar="URL", help="Another AWS, such as the embedded one.", rich_help_panel=_PANEL),
]
Name = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="SUFFIX",
        help="FunctionNameSuffix of the system, where there are several in one account.",
        rich_help_panel=_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Scope(StrEnum):
    """Which regions a command is about: the primary's, those that copies go to, or all."""

    BOTH = "both"
    PRIMARY = "primary"
    DR = "dr"


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """Which AWS, which two regions, which system."""

    region: str
    dr_region: str
    profile: str = ""
    endpoint_url: str = ""
    suffix: str = ""
    read_only: bool = False
    """Whether its clients refuse every request that could change anything."""

    @property
    def system(self) -> str:
        """The system's name, the value of the tag `snapkeep:managed`."""
        return f"{SYSTEM}{self.suffix}"

    @property
    def queue_table(self) -> str:
        """The table of the copy queue in each DR region."""
        return f"{self.system}-queue"

    @property
    def policy_parameter(self) -> str:
        """The SSM parameter of the policy document in each region."""
        return f"/{self.system}/policy"

    def session(self) -> boto3.Session:
        """Return a session for the profile. Raise WrongUse if there is no such profile."""
        return _session(self.profile)

    def client(self, service: Any, region: str) -> Any:
        """Given a service and a region, return a client for it. Raise WrongUse for an endpoint that is no URL."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - imports botocore

        try:
            made = self.session().client(service, region_name=region, endpoint_url=self.endpoint_url or None, config=_patience())
        except BotoCoreError:
            raise
        except ValueError as error:  # what botocore says of an endpoint that is no URL
            raise WrongUse(f"{error}: --endpoint-url (or AWS_ENDPOINT_URL) is a URL such as http://127.0.0.1:4566") from error
        if self.read_only:
            made.meta.events.register("before-parameter-build", _refuse_to_write)
        return made


_READING = ("Describe", "Get", "List", "Query")


def _refuse_to_write(model: Any, **_: Any) -> None:
    """Given an operation that is about to be asked for, raise PermissionError unless its name says that it only reads."""
    if not model.name.startswith(_READING):
        raise PermissionError(f"{model.name} would write, and this command only reads: that is a fault of the program")


CONNECT_SECONDS = 5
"""A region that does not answer is said to be out of reach soon: somebody looks at the screen."""


@cache
def _patience() -> Any:
    """How long clients wait: botocore's own patience with a region that is away is five minutes a call."""
    from botocore.config import Config  # noqa: PLC0415 - imports botocore

    return Config(connect_timeout=CONNECT_SECONDS, retries={"mode": "standard"})


@cache
def _session(profile: str) -> boto3.Session:
    """One session for all clients: each session would read the service models anew."""
    import boto3  # noqa: PLC0415 - half a second that `--help` need not pay
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    try:
        return boto3.Session(profile_name=profile or None)
    except ProfileNotFound as error:
        raise WrongUse(f"--profile {profile}: there is no such profile in the AWS configuration") from error


def aws_settings(
    *, profile: str = "", region: str = "", dr_region: str = "", endpoint_url: str = "", name: str = ""
) -> AwsSettings:
    """Given the options, return settings, with what the AWS CLI would take where an option is empty.

    Raise WrongUse where no region is known, or both are one.
    """
    chosen = region or os.environ.get("AWS_REGION", "") or _configured_region(profile)
    if not chosen:
        raise WrongUse("no region: give --region or set AWS_REGION")
    other = dr_region or DEFAULT_DR_REGION
    if chosen == other:
        raise WrongUse(f"--dr-region {other} is the primary region too; name another region")
    return AwsSettings(chosen, other, profile, endpoint_url, name)


def with_aws_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Given a command with a parameter `settings`, return it with the options for AWS in place of that parameter."""
    options_for_aws = inspect.signature(_aws_options, eval_str=True).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: given.pop(name) for name in options_for_aws}
        command(settings=aws_settings(**options), **given)

    own = inspect.signature(command, eval_str=True)
    others = [one for name, one in own.parameters.items() if name != "settings"]
    parameters = [*others, *options_for_aws.values()]
    parameters.sort(key=lambda one: one.kind)  # arguments before options, each in their order
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _aws_options(
    *,
    profile: Profile = "",
    region: Region = "",
    dr_region: DrRegion = DEFAULT_DR_REGION,
    endpoint_url: EndpointUrl = "",
    name: Name = "",
) -> None:
    """Carry the options' names and defaults for `with_aws_settings`."""


def pairs_of(texts: Iterable[str] | None, option: str, form: str = "KEY=VALUE") -> dict[str, str]:
    """Given texts such as `KEY=VALUE`, return them as a mapping. Raise WrongUse naming the option for any other form."""
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise WrongUse(f"{option} {text}: write {form}")
        pairs[key] = value
    return pairs


def require_consent(question: str, *, yes: bool, json: bool, otherwise: str) -> None:
    """Given a question, return if `--yes` was given or a person says yes. Raise WrongUse, saying what was not done, if not."""
    if not yes and not consents(question, json=json):
        raise WrongUse(f"{otherwise}: confirm, or give --yes")


def consents(question: str, *, json: bool) -> bool:
    """Given a question, ask it where a person sits and return the answer; elsewhere the answer is no."""
    if json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    return typer.confirm(question)


def _configured_region(profile: str) -> str:
    session = AwsSettings("", "", profile).session()
    return session.region_name or ""
