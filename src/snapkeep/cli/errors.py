"""Errors as users see them: one line that names the error and the remedy, and the exit status."""

from __future__ import annotations

import sys

import typer

from snapkeep.cli.output import printable
from snapkeep.domain.errors import AwsUnavailable, InvalidConfiguration, SnapkeepError

NOT_ALL_RIGHT = 1
WRONG_USE = 2


class WrongUse(SnapkeepError):
    """The command was called with arguments that it cannot use."""


class NotConfirmed(SnapkeepError):
    """The user answered a question with no. The message names what was not done."""


_WRONG_USE = (WrongUse, InvalidConfiguration)
_NOT_CONFIGURED = frozenset({"NoCredentialsError", "PartialCredentialsError", "NoRegionError", "InvalidRegionError"})
"""Errors that botocore raises where its configuration is incomplete."""

_ADVICE = {
    "NoCredentialsError": "no AWS credentials found: set AWS_PROFILE, run `aws configure`, or give --profile",
    "PartialCredentialsError": "AWS credentials found in part: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoRegionError": "no region: give --region or set AWS_REGION",
    "TokenRetrievalError": "the SSO session has expired: run `aws sso login`",
    "SSOTokenLoadError": "no SSO session: run `aws sso login`",
    "UnauthorizedSSOTokenError": "the SSO session has expired: run `aws sso login`",
}
_ADVICE_BESIDE = {
    "EndpointConnectionError": "check the region's name and the network",
    "InvalidRegionError": "a region has a name such as us-east-1",
}
_ADVICE_BY_CODE = {
    "ExpiredToken": "renew the credentials and try again",
    "ExpiredTokenException": "renew the credentials and try again",
    "InvalidClientTokenId": "AWS does not know this access key: check the profile and the endpoint",
    "UnrecognizedClientException": "AWS does not know this access key: check the profile and the endpoint",
    "AccessDenied": "the credentials in use lack this permission",
    "AccessDeniedException": "the credentials in use lack this permission",
    "UnauthorizedOperation": "the credentials in use lack this permission",
}


def exit_unless(right: object) -> None:
    """End the command with status 1 unless all is right."""
    if not right:
        raise typer.Exit(NOT_ALL_RIGHT)


def exit_status(error: Exception) -> int | None:
    """Return the exit status of an error, or None for a defect, which keeps its traceback."""
    if isinstance(error, _WRONG_USE) or (_is_botocore(error) and type(error).__name__ in _NOT_CONFIGURED):
        return WRONG_USE
    if isinstance(error, SnapkeepError) or _is_botocore(error) or _is_of_a_file(error):
        return NOT_ALL_RIGHT
    return None


def known_errors() -> tuple[type[Exception], ...]:
    """Return the errors for an `except` of ours and botocore's, which is imported only once there is an error."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - imports botocore

    return SnapkeepError, BotoCoreError, ClientError


def out_of_reach(error: Exception) -> bool:
    """Whether AWS did not answer; not whether it refused, or a request was wrong."""
    from snapkeep.adapters.aws_errors import translate  # noqa: PLC0415 - imports botocore

    translated = translate(error, "") if _is_botocore(error) else error
    return isinstance(translated, AwsUnavailable) and exit_status(error) == NOT_ALL_RIGHT


def one_line(error: Exception) -> str:
    """Return a known error as one line for a terminal."""
    return printable(_line_of(error))


def _line_of(error: Exception) -> str:
    name = type(error).__name__
    # The error of an answer that is no XML has the whole answer in its further lines.
    shown = str(error).partition("\n")[0] if _is_of_an_unreadable_answer(error) else str(error)
    text = " ".join(shown.split()) or name
    if isinstance(error, OSError) and _is_of_a_file(error):
        return f"{error.filename}: {error.strerror}"
    if not _is_botocore(error):
        return text
    if name in _ADVICE:
        return _ADVICE[name]
    if name in _ADVICE_BESIDE:
        return f"{text} ({_ADVICE_BESIDE[name]})"
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        details = response.get("Error", {})
        code = details.get("Code", "")
        message = " ".join(str(details.get("Message", "")).split())
        advice = _ADVICE_BY_CODE.get(code)
        return f"{getattr(error, 'operation_name', 'AWS')}: {code}: {message}" + (f" ({advice})" if advice else "")
    return text


def _is_of_a_file(error: Exception) -> bool:
    """Whether the operating system refused to read or write a file."""
    return isinstance(error, OSError) and error.filename is not None


def _is_botocore(error: Exception) -> bool:
    """Whether botocore raised it. Does not import botocore, which takes half a second."""
    exceptions = sys.modules.get("botocore.exceptions")
    known = exceptions is not None and isinstance(error, exceptions.BotoCoreError | exceptions.ClientError)
    return known or _is_of_an_unreadable_answer(error)


def _is_of_an_unreadable_answer(error: Exception) -> bool:
    parsers = sys.modules.get("botocore.parsers")
    return parsers is not None and isinstance(error, parsers.ResponseParserError)
