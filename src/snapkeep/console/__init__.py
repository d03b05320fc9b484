"""The console: the system's state in a browser, over the use cases of the commands. A server on 127.0.0.1 that writes nothing."""
