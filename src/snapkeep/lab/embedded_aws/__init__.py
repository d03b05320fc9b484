"""The embedded AWS: one local process that serves both regions over the real protocols, with our model of EBS inside."""
