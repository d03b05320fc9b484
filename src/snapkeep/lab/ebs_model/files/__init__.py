"""A world as a file: one that describes it, and one that keeps it between two runs."""
