"""Retention: verdicts, plans, holds and invariants."""
