"""The model of EBS inside the server: how it is opened and saved, locked, clocked and administered."""
