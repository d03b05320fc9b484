"""`snapkeep doctor`: problems of an account and a system that would break a deployment or protection, read only."""
