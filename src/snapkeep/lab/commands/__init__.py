"""The commands that run the laboratory."""
