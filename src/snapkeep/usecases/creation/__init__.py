"""Make the snapshots that policies request."""
