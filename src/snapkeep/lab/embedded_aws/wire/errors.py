"""The error of a request that the wire protocol itself refuses."""

from __future__ import annotations


class WireError(Exception):
    """A request that cannot be read, with AWS's error code for it and the HTTP status."""

    def __init__(self, code: str, message: str, http_status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
