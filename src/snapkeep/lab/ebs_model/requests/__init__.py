"""A request as an action sees it: its parameters, its filters, its page."""
