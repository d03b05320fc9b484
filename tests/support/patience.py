"""The limits of tests that wait for threads: looks are counted, not seconds, because looks are late on a busy machine."""

from __future__ import annotations

SECONDS_BETWEEN_LOOKS = 0.005
LOOKS = 6_000
COMMAND_SECONDS = 1_800.0
"""Ends a command that hangs, and none that is slow because the machine has much else to do."""
