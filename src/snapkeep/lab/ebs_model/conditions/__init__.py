"""The conditions of a world: its clock, latency, quotas, throttling, faults, and the form of its events."""
