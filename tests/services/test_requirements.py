"""Each service's environment is what its requirements.txt says, all of it and nothing else."""

import re
import subprocess
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"
PINNED = sorted(path.parent.name for path in SERVICES.glob("*/requirements.txt") if "==" in path.read_text())
# torch pins these itself, where it is a build for CUDA.
OF_TORCH = re.compile(r"nvidia-|cuda-|triton$")


def normal(line):
    name, version = line.split("==")
    return re.sub(r"[-_.]+", "-", name).lower(), version.partition("+")[
        0
    ]  # "2.13.0+cpu" is a build of 2.13.0


@pytest.mark.parametrize("name", PINNED)
def test_the_environment_of_a_service_is_exactly_what_its_requirements_pin(environment, name):
    freeze = [environment(f"services/{name}"), "-m", "pip", "freeze", "--all", "--exclude-editable"]
    frozen = subprocess.run([*freeze, "--exclude", "pip"], capture_output=True, text=True, check=True)
    installed = dict(normal(line) for line in frozen.stdout.splitlines())
    lines = (SERVICES / name / "requirements.txt").read_text().splitlines()
    pinned = dict(normal(line) for line in lines if line and not line.startswith("#"))
    if "setuptools" not in pinned:  # `python -m venv` brings it, and nothing uses it
        installed.pop("setuptools", None)
    assert {each: installed[each] for each in installed if not OF_TORCH.match(each)} == pinned
