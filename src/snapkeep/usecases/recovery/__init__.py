"""Recovery: copies are compared with their sources, records are written, volumes are made from points."""
