"""What a world is tried under: its clock, latency, quotas, throttling, faults, and how its events look."""
