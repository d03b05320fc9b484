"""Copies: what is requested, and the order in which copies start."""
