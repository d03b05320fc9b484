"""Files of worlds: one that describes a world, and one that stores it between two runs."""
