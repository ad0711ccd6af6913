"""docs/add-a-model.md, followed word for word as far as no container is needed; tests/docker has the rest."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs/add-a-model.md").read_text()
BEFORE_CONTAINERS = PAGE.split("### Put it into an image")[0]
BIN = pathlib.Path(sys.executable).parent


@pytest.mark.slow
def test_without_containers_it_leads_from_nothing_to_a_scored_run(checkout_copy, follow):
    first, second = follow(BEFORE_CONTAINERS, checkout_copy, os.environ)
    for printed, service in ((first, "my_model"), (second, "my_model")):
        assert service in printed
        assert "Anomaly Detection" in printed
        assert "Results: runs/" in printed
    assert (checkout_copy / "services/my_model/.venv").is_dir()
    assert len(list((checkout_copy / "runs").iterdir())) == 2


def test_the_model_of_the_page_is_as_clean_as_the_rest(checkout_copy, follow):
    files_only = BEFORE_CONTAINERS.replace("```sh", "```text")
    follow(files_only, checkout_copy, os.environ)
    folder = checkout_copy / "services/my_model"
    for command in (["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]):
        done = subprocess.run(
            [BIN / command[0], *command[1:], folder / "service.py"],
            cwd=checkout_copy, env={**os.environ, "MYPYPATH": str(folder)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fragment", ["docs/add-a-model.md", "docs/examples/node/compose.yaml"])
def test_services_of_others_run_as_those_of_compose_yaml(fragment):
    text = (ROOT / fragment).read_text()
    if fragment.endswith(".md"):
        (text,) = re.findall(r"^```yaml\n(.*?)^```$", text, flags=re.M | re.S)
    (theirs,) = yaml.safe_load(text)["services"].values()
    ours = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["chance"]
    of_their_own = {"image", "build", "pull_policy", "mem_limit", "pids_limit"}
    assert {key: theirs[key] for key in theirs.keys() - of_their_own} == {
        key: ours[key] for key in ours.keys() - of_their_own
    }
