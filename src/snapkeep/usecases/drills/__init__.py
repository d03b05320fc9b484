"""Drills: begin the due ones, carry out each of their steps, remove what they made, and store the evidence."""
