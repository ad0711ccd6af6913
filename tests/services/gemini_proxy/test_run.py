"""The orchestrator and the service, different processes in different environments, over real pictures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(environment, gemini, key_file, tmp_path):
    """Run the orchestrator with the service, which it starts itself; gives the summary."""
    environment("services/gemini_proxy")
    settings = {
        "MMAD_ANSWER_BASE_URL": gemini.address,
        "MMAD_ANSWER_MODEL": "gemini-plain",
        "MMAD_ANSWER_KEY_FILE": str(key_file),
    }

    def make(*options):
        command = [sys.executable, "-m", "orchestrator", "run", "--data", "sample", "--local", "gemini_proxy"]
        line = [*command, "--out", tmp_path / "run", "--json", *options]
        env = {**os.environ, **settings}
        ended = subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return make


def test_a_run_is_answered_and_the_same_run_again_asks_for_nothing(run, api):
    options = ("--limit", "4", "--shots", "2", "--hints", "ground-truth", "--history", "--domain-knowledge")
    summary = run(*options)
    asked = api.requests
    counts = summary["scores"]["models"]["gemini_proxy"]["counts"]
    assert counts["answered"] == len(asked) == sum(counts.values())
    images = [
        [part for part in sent["body"]["contents"][0]["parts"] if "inlineData" in part] for sent in asked
    ]
    assert {len(each) for each in images} == {4}  # two templates, the query, the hint
    api.play()
    assert run(*options) == summary
    assert api.requests == []
