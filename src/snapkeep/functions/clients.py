"""AWS clients for the functions: one session, one client for each service and region, made when first asked for."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import botocore.session
from botocore.config import Config

CONNECT_SECONDS, READ_SECONDS = 3, 20

RETRYING = Config(
    connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"mode": "standard", "total_max_attempts": 4}
)
ONCE = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"mode": "standard", "total_max_attempts": 1})
"""For calls that must not be repeated behind our back: CopySnapshot has no client token; deletions are paced by us."""


class Clients:
    """Makes each client once."""

    def __init__(self, *, region: str) -> None:
        self.region = region
        self._make = cache(self._client)

    @cached_property
    def _session(self) -> botocore.session.Session:
        return botocore.session.Session()

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        """Given a service, return its client for a region (the function's own, if none is named)."""
        return self._make(service, region or self.region, once)

    def _client(self, service: str, region: str, once: bool) -> Any:
        return self._session.create_client(service, region_name=region, config=ONCE if once else RETRYING)
