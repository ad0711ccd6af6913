"""For all tests."""

from hypothesis import settings

# An example that is slow on a busy machine is no failure; a test that hangs meets pytest's own time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
