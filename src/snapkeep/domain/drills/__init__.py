"""Drills: the volumes that are due, every step of a drill, its verdict, and the evidence of all drills."""
