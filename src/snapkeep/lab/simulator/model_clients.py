"""Clients of the model of EBS for the system's requests."""

from __future__ import annotations

from typing import Any

from snapkeep.adapters.regional import AwsClients
from snapkeep.lab.ebs_model import World

CALLER = "snapkeep"
"""The caller of the system's requests to the model, by which an observer distinguishes them from a person's."""


class ModelClients(AwsClients):
    """Clients of the model for the system's requests."""

    def __init__(self, world: World, region: str, account_id: str = "") -> None:
        self._world = world
        self._region = region
        self._account_id = account_id

    def get(self, service: str, *, region: str = "", once: bool = False) -> Any:  # noqa: ARG002 - the model's clients never repeat
        """Return the client of a service in a region."""
        return self._world.client(service, region or self._region, self._account_id or None, caller=CALLER)
