"""The same examples on every machine, however busy it is: no deadline, no dice that differ from run to run."""

from hypothesis import HealthCheck, settings

settings.register_profile("snapkeep", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("snapkeep")
