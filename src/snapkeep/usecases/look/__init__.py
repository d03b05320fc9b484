"""Reading use cases: status and explain."""
