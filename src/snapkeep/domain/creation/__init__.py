"""Snapshots that the system makes itself: the volumes for which they are due, and the number started now."""
