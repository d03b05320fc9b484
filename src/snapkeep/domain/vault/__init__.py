"""Copies that a vault in another account pulls: which are shared with it, and what it needs for that."""
