"""`make demo` shows what the README promises, on the sample as it is drawn by default."""

import json
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def demo_arguments():
    """The arguments of the very command that `make demo` runs."""
    makefile = (ROOT / "Makefile").read_text()
    (line,) = re.findall(r"\$\(BIN\)/orchestrator (run .*)", makefile)
    return shlex.split(line)


def readme_output():
    """What the README says that the demo prints."""
    text = (ROOT / "README.md").read_text()
    return re.findall(r"`make demo` ends like this:\n\n```\n(.*?)```", text, flags=re.S)[0]


def labels(text):
    """The tables' rows by name, and the models' names: what does not depend on the machine."""
    lines = [line.rstrip() for line in text.splitlines()]
    table = lines[: next(n for n, line in enumerate(lines) if line.startswith("Questions"))]
    return [table[0].split(), *(line[:22].strip() for line in table[1:])]


def test_the_demo_shows_a_detector_that_works_and_chance_that_is_chance(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *demo_arguments(), "--out", tmp_path / "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert labels(done.stdout) == labels(readme_output())
    models = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["models"]
    assert models["template_diff"]["average"]["Anomaly Detection"]["value"] >= 80
    for figure, expected in {
        "Anomaly Detection": 50,
        "Defect Classification": 25,
        "Defect Localization": 25,
        "Defect Description": 25,
        "Defect Analysis": 25,
        "Object Classification": 25,
        "Object Analysis": 25,
    }.items():
        of_chance = models["chance"]["average"][figure]
        assert of_chance["low"] <= expected <= of_chance["high"], figure
