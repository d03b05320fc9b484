"""Gather, decide, check, act, report: the flows, over ports."""
