"""The word and the limits of completion durations in copy rules."""

from __future__ import annotations

COMPLETION_AUTO = "auto"
COMPLETION_STEP_MINUTES, COMPLETION_LONGEST_MINUTES = 15, 2880
"""`CompletionDurationMinutes` of CopySnapshot: 15 minutes to 48 hours, in steps of 15 (ec2 2016-11-15)."""
