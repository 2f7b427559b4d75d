"""Settings every test shares: how hard hypothesis tries.

Choose with HYPOTHESIS_PROFILE: `dev` (the default; new examples each run), `ci` (the same examples each run, chosen
when CI is set) and `deep` (for an evening).
"""

import os

from hypothesis import HealthCheck, settings

# A loaded machine is slow, not wrong: no test fails on the time one example took.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _patient, max_examples=60)
settings.register_profile("ci", _patient, max_examples=120, derandomize=True, database=None, print_blob=True)
settings.register_profile("deep", _patient, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
