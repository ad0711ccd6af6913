"""For all tests."""

import pathlib

import pytest
from hypothesis import settings

# An example that is slow on a busy machine is no failure; a test that hangs meets pytest's own time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

CHECKPOINTS = {path.stem for path in pathlib.Path(__file__).parent.glob("services/*/tiny/*.py")}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadgroup`, all tests of a checkpoint run in one process, which then starts few services.

    The plugin's own groups set a field of test items that pytest has no more since version 9.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByCheckpoint(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            parameters = nodeid.partition("[")[2].rstrip("]").split("-")
            return next((each for each in parameters if each in CHECKPOINTS), nodeid)

    return ByCheckpoint(config, log)
