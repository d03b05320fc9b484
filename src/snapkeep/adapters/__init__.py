"""The ports over boto3, and nothing else."""
