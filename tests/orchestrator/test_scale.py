"""At MMAD's real size: 8,366 images, 39,672 questions."""

import json
import subprocess
import sys

import pytest

from orchestrator.dataset import sample

LIMIT_BYTES = 300e6

# Stands between the test and the orchestrator: a child begins its count of the largest resident size with
# its parent's size, and the process that runs all the tests is large.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(done.returncode)
"""


@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_data_set(tmp_path):
    """The whole run, scoring and the service included: the largest resident size that the kernel has seen."""
    sample.draw_like_mmad(tmp_path / "mmad")
    command = [sys.executable, "-m", "orchestrator", "run", "--data", tmp_path / "mmad", "--local", "chance"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command, "--out", tmp_path / "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < LIMIT_BYTES
    counts = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["models"]["chance"][
        "counts"
    ]
    assert counts["answered"] == 39_672
    assert len(json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())) == 39_672
