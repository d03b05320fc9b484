"""Retention: plan and delete."""
