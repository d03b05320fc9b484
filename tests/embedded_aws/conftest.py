"""The embedded AWS for the tests of this directory."""

from __future__ import annotations

from support.deployment import installation
from support.embedded import account_id, embedded, embedded_alone

__all__ = ["account_id", "embedded", "embedded_alone", "installation"]
