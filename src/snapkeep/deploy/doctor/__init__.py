"""`snapkeep doctor`: what of an account and of a system would break a deployment or protection, read only."""
