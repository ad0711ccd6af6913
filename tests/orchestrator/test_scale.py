"""At MMAD's real size: 8,366 images, 39,672 questions."""

import json
import os
import subprocess
import sys

import pytest

from orchestrator.dataset import sample

LIMIT_BYTES = 300e6


@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_data_set(tmp_path):
    """The whole run, scoring included: the largest resident size that the kernel has seen."""
    sample.draw_like_mmad(tmp_path / "mmad")
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", "--data", tmp_path / "mmad", "--local", "chance",
         "--out", tmp_path / "run"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    assert usage.ru_maxrss * 1024 < LIMIT_BYTES
    counts = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["models"]["chance"][
        "counts"
    ]
    assert counts["answered"] == 39_672
    assert len(json.loads((tmp_path / "run" / "answers_1_shot_chance.json").read_text())) == 39_672
