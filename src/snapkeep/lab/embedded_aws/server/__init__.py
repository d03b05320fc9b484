"""The server's process: its options, the ASGI application, and the administration pages."""
