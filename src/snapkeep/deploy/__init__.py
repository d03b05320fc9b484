"""Package, change set, progress, outputs: the same code for AWS and for the embedded AWS."""
