"""Sweeps: findings, repairs and reports."""
