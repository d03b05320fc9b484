"""Drills: begin those that are due, carry out each of their steps, remove what they made, and keep the evidence."""
