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


def needs(files, extras=""):
    listed = subprocess.run(
        [sys.executable, ROOT / "docker/needed.py", *(ROOT / file for file in files), extras],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(listed.stdout.split())


def lines(requirements):
    return {line for line in (ROOT / requirements).read_text().splitlines() if line and line[0] != "#"}


def test_airgap_md_fetches_every_wheel_that_a_build_asks_for():
    page = (ROOT / "docs/airgap.md").read_text()
    fetched = set(re.findall(r"(?<= )[\w-]+==[\w.]+", page))
    for files in re.findall(r'^python\S+ docker/needed.py (.*) "" > needed.txt$', page, flags=re.M):
        fetched |= needs(files.split())
    for requirements in re.findall(r"-r (services/\S+)", page):
        fetched |= lines(requirements)
    asked = set()
    for file in DOCKERFILES:
        asked |= set(re.findall(r"[\w-]+==[\w.]+", file.read_text()))
        for requirements in re.findall(r"services/\w+/requirements.txt", file.read_text()):
            asked |= lines(requirements)
    asked |= needs(["services/kit/pyproject.toml", "pyproject.toml"])
    assert asked - fetched == set()


def test_airgap_md_carries_every_image_that_its_commands_need():
    page = (ROOT / "docs/airgap.md").read_text()
    [saved] = re.findall(r"^docker save (.*) \|", page, flags=re.M)
    baselines = {"mmad-answer/chance", "mmad-answer/template_diff"}  # of `up` without a profile
    run = {f"mmad-{name}" for name in re.findall(r"docker compose run --rm (\w+)", page)}
    run |= set(re.findall(r"^docker run .*(mmad-\S+)", page, flags=re.M))
    assert set(saved.split()) >= baselines | run
