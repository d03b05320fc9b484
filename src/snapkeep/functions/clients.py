"""AWS clients for the functions: one session, one client for each service and region, made at its first use."""

from __future__ import annotations

from datetime import datetime
from functools import cache, cached_property
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

CONNECT_SECONDS, READ_SECONDS = 3, 20


def _config(mode: str, attempts: int, read_seconds: int = READ_SECONDS, **more: Any) -> Config:
    retries: Any = {"mode": mode, "total_max_attempts": attempts}
    return Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds, retries=retries, **more)


RETRYING = _config("standard", 4)
PATIENT = _config("adaptive", 4)
"""For sweeps, which ask for hundreds of pages in a row: they slow down as soon as they are throttled (boto3 guide: retries).

No more attempts than others have: an unreachable region answers none of them, and the state machine retries."""
BLOCK_CONNECTIONS = 100
"""With 100 ms a request, the guide's example, these make 1,000 a second (EBS user guide: optimize performance)."""
INVOKING = _config("standard", 1, 330)
"""For the function ReadBlocks, which may run five minutes. A portion of Verify, and a call that gets no answer after it, fit into
Verify's own time: the portion's comparisons are not lost. The state machine retries."""
ONCE = _config("standard", 1, max_pool_connections=BLOCK_CONNECTIONS)
"""For calls that must not be repeated behind our back: CopySnapshot has no client token; deletions and blocks are paced by us."""


class Clients:
    """Makes each client once."""

    def __init__(self, *, region: str, config: Config = RETRYING) -> None:
        self.region = region
        self._config = config
        self._make = cache(self._client)

    @cached_property
    def _session(self) -> botocore.session.Session:
        session = botocore.session.Session()
        # Botocore alone: boto3 would be imported in every cold start, and nothing of it is used.
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment_in)
        return session

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:
        """Return the client of a service for a region; the function's own region if none is named."""
        return self._make(service, region or self.region, once)

    def _client(self, service: str, region: str, once: bool) -> Any:
        config = INVOKING if service == "lambda" else self._config
        return self._session.create_client(service, region_name=region, config=ONCE if once else config)


def moment_in(value: Any) -> datetime:
    """Return the moment of a timestamp as AWS answers it.

    EC2's are ISO 8601, which Python reads itself: with dateutil, botocore's way for whatever comes, they take more than half
    of the time that a page of snapshots takes to be read.
    """
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
    return moment if moment.tzinfo else parse_timestamp(value)
