"""Snapkeep keeps EBS snapshots: tagged, copied to the DR region, expired only when that is safe."""

__version__ = "0.2.0"
