"""How long a test waits for threads: looks are counted, not seconds, for a busy machine makes each look later."""

from __future__ import annotations

SECONDS_BETWEEN_LOOKS = 0.005
LOOKS = 6_000
