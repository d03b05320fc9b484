"""Copies: from the queue to the checked copy in the DR region."""
