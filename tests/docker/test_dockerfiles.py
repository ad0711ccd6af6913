"""What can be said of the Dockerfiles without building them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmad_answer.version import __version__

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/service.py"))
ON_TRANSFORMERS = {
    name
    for name in SERVICES
    if "transformers==" in (ROOT / "services" / name / "requirements.txt").read_text()
}


def text(name):
    return (ROOT / "docker" / f"{name}.Dockerfile").read_text()


def test_hadolint_finds_nothing():
    done = subprocess.run(
        [Path(sys.executable).parent / "hadolint", *DOCKERFILES], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_dockerfile_that_is_like_the_others_up_to_its_name(service):
    pattern = "qwen_vl" if service in ON_TRANSFORMERS else "chance"
    assert text(service) == text(pattern).replace(pattern, service)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda path: path.stem)
def test_every_image_says_the_kits_version_and_takes_its_base_as_an_argument(file):
    content = file.read_text()
    assert re.findall(r"^ARG VERSION=(.*)$", content, flags=re.M) == [__version__]
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", content, flags=re.M))
    assert set(re.findall(r"^FROM (\S+)", content, flags=re.M)) <= stages | {"${BASE_IMAGE}"}
    before = [line for line in content.partition("\nFROM")[0].splitlines() if line and line[0] != "#"]
    assert before == ["ARG BASE_IMAGE=python:3.11-slim-bookworm"]
