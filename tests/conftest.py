"""For all tests."""

import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest
from hypothesis import settings

# An example that is slow on a busy machine is no failure; a test that hangs meets pytest's own time limit.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = pathlib.Path(__file__).parents[1]
CHECKPOINTS = {path.stem for path in pathlib.Path(__file__).parent.glob("services/*/tiny/*.py")}


def pytest_configure():
    """Heed Ctrl-C and a closed terminal, though what runs the tests may ignore them (nohup, a background).

    A signal that is ignored stays so in every process that the tests start.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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


@pytest.fixture
def checkout_copy(tmp_path):
    """A copy of this checkout, with the environment that is here."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "data", "runs")
    copy = shutil.copytree(ROOT, tmp_path / "checkout", ignore=left_out)
    shutil.copy(ROOT / ".dockerignore", copy)
    (copy / ".venv").symlink_to(pathlib.Path(sys.prefix))
    return copy


@pytest.fixture
def follow():
    """Do what a page says: `follow(text, folder, environment)` gives what each command printed.

    A fenced block that begins with a path in a comment is a file to write; one marked `sh` is for the shell.
    """

    def run(text, folder, environment):
        printed = []
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S):
            first, _, rest = block.partition("\n")
            if path := re.fullmatch(r"# (\S+)", first):
                (folder / path[1]).parent.mkdir(parents=True, exist_ok=True)
                (folder / path[1]).write_text(rest)
            elif language == "sh":
                done = subprocess.run(
                    ["bash", "-euxo", "pipefail", "-c", block],
                    cwd=folder, env=environment, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, f"{block}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
                printed.append(done.stdout)
        return printed

    return run
