"""boto3 behind the ports, and nothing else."""
