"""Errors that a person sees: one line that names what is wrong and what would be right, and the exit status."""

from __future__ import annotations

import sys

from snapkeep.domain.errors import AwsUnavailable, InvalidConfiguration, SnapkeepError

NOT_ALL_RIGHT = 1
WRONG_USE = 2


class WrongUse(SnapkeepError):
    """The command was called with something that it cannot work with."""


_WRONG_USE = (WrongUse, InvalidConfiguration)
_NOT_CONFIGURED = frozenset({"NoCredentialsError", "PartialCredentialsError", "NoRegionError", "InvalidRegionError"})
"""What botocore raises where it was not told enough to begin."""

_ADVICE = {
    "NoCredentialsError": "no AWS credentials found: set AWS_PROFILE, run `aws configure`, or give --profile",
    "PartialCredentialsError": "AWS credentials found in part: set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoRegionError": "no region: give --region or set AWS_REGION",
    "TokenRetrievalError": "the SSO session has expired: run `aws sso login`",
    "SSOTokenLoadError": "no SSO session: run `aws sso login`",
    "UnauthorizedSSOTokenError": "the SSO session has expired: run `aws sso login`",
}
_ADVICE_BESIDE = {
    "EndpointConnectionError": "is the region's name right, and the network there?",
    "InvalidRegionError": "a region is written such as us-east-1",
}
_ADVICE_BY_CODE = {
    "ExpiredToken": "renew the credentials, then try again",
    "ExpiredTokenException": "renew the credentials, then try again",
    "InvalidClientTokenId": "AWS does not know this access key: check the profile and the endpoint",
    "UnrecognizedClientException": "AWS does not know this access key: check the profile and the endpoint",
    "AccessDenied": "the credentials in use lack this permission",
    "AccessDeniedException": "the credentials in use lack this permission",
    "UnauthorizedOperation": "the credentials in use lack this permission",
}


def exit_status(error: Exception) -> int | None:
    """Given an error, return the exit status that it means, or None for one that is a defect and deserves a traceback."""
    if isinstance(error, _WRONG_USE) or (_is_botocore(error) and type(error).__name__ in _NOT_CONFIGURED):
        return WRONG_USE
    if isinstance(error, SnapkeepError) or _is_botocore(error) or _is_of_a_file(error):
        return NOT_ALL_RIGHT
    return None


def out_of_reach(error: Exception) -> bool:
    """Given an error, return whether it says that AWS did not answer, and not that it refused or was not asked properly."""
    from snapkeep.adapters.aws_errors import translate  # noqa: PLC0415 - imports botocore

    translated = translate(error, "") if _is_botocore(error) else error
    return isinstance(translated, AwsUnavailable) and exit_status(error) == NOT_ALL_RIGHT


def one_line(error: Exception) -> str:
    """Given a known error, return it as one line."""
    name = type(error).__name__
    text = " ".join(str(error).split()) or name
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
        said = " ".join(str(details.get("Message", "")).split())
        advice = _ADVICE_BY_CODE.get(code)
        return f"{getattr(error, 'operation_name', 'AWS')}: {code}: {said}" + (f" ({advice})" if advice else "")
    return text


def _is_of_a_file(error: Exception) -> bool:
    """Whether the system refused to read or write a file: no permission, no room, no such directory."""
    return isinstance(error, OSError) and error.filename is not None


def _is_botocore(error: Exception) -> bool:
    """Whether botocore raised it, found out without importing botocore: who has not used it pays nothing for it."""
    exceptions = sys.modules.get("botocore.exceptions")
    return exceptions is not None and isinstance(error, exceptions.BotoCoreError | exceptions.ClientError)
