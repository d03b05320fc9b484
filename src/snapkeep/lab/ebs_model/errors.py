"""What a caller of the model can be answered instead of a result."""

from __future__ import annotations


class ApiError(Exception):
    """An error answer of the API: code, message and HTTP status, as AWS words them.

    Source of the codes: [EC2 API reference: error codes].
    """

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


class NoAnswer(Exception):
    """No answer came back: the region is out of reach, or the answer was lost on its way.

    ``kind`` is ``unreachable`` (nothing was done) or ``timeout`` (look at the world to know).
    """

    def __init__(self, kind: str, region: str) -> None:
        super().__init__(f"no answer from {region}: {kind}")
        self.kind = kind
        self.region = region


def missing(parameter: str) -> ApiError:
    """Given the name of a required parameter, return the error for its absence."""
    return ApiError("MissingParameter", f"The request must contain the parameter {parameter}")


def snapshot_not_found(snapshot_id: str) -> ApiError:
    """Given a snapshot id, return InvalidSnapshot.NotFound."""
    return ApiError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")


def volume_not_found(volume_id: str) -> ApiError:
    """Given a volume id, return InvalidVolume.NotFound."""
    return ApiError("InvalidVolume.NotFound", f"The volume '{volume_id}' does not exist.")


def dry_run() -> ApiError:
    """Return the error that stands for the success of a dry run (botocore: DryRun)."""
    return ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
