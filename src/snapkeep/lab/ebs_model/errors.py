"""The errors of requests."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer of the API: code, message and HTTP status in AWS's words.

    Source of the codes: [EC2 API reference: error codes].
    """

    def __init__(self, code: str, message: str, http_status: int = 400, reason: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.reason = reason
        """The Reason of an exception of the EBS direct APIs; empty if the service has none."""


class NoAnswer(Exception):
    """There is no answer: the region is unreachable, or the answer was lost.

    ``kind`` is ``unreachable`` (nothing was done) or ``timeout`` (the request may have been carried out).
    """

    def __init__(self, kind: str, region: str) -> None:
        super().__init__(f"no answer from {region}: {kind}")
        self.kind = kind
        self.region = region


def missing(parameter: str) -> ApiError:
    """Return the error for the absence of a required parameter."""
    return ApiError("MissingParameter", f"The request must contain the parameter {parameter}")


def snapshot_not_found(snapshot_id: str) -> ApiError:
    """Return InvalidSnapshot.NotFound."""
    return ApiError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


def volume_not_found(volume_id: str) -> ApiError:
    """Return InvalidVolume.NotFound."""
    return ApiError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")


def dry_run() -> ApiError:
    """Return the error of a successful dry run (botocore: DryRun)."""
    return ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def invalid_value(value: object, parameter: str, expected: str = "") -> ApiError:
    """Return InvalidParameterValue in EC2's words, with the valid values."""
    return ApiError("InvalidParameterValue", f"Value ({value}) for parameter {parameter} is invalid. {expected}".rstrip())


def not_modelled(feature: str) -> ApiError:
    """Return the error for a feature of AWS that the model lacks.

    It names the feature: the model never returns a wrong answer.
    """
    return ApiError("InvalidAction", f"The model of EBS does not have {feature}: it is not modelled.")
