"""The model of EBS inside the server: its opening and saving, its lock, its clock and its administration."""
