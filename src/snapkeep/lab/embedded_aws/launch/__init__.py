"""Start, find, use and stop servers from outside their process."""
