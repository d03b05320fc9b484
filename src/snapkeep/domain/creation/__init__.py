"""Snapshots that the system makes itself: of which volumes they are due, and how many are started now."""
