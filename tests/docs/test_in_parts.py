"""The commands of docs/running.md, "In parts", word for word: the parts become the whole run."""

import json
import pathlib
import re
import shlex
import sys

from orchestrator import RunOptions, run
from orchestrator.__main__ import main
from orchestrator.dataset import sample

ROOT = pathlib.Path(__file__).parents[2]


def test_the_commands_of_in_parts_make_the_whole_run(tmp_path, monkeypatch, capsys):
    section = (ROOT / "docs" / "running.md").read_text().split("## In parts")[1].split("\n## ")[0]
    (commands,) = re.findall(r"```\n(.*?)```", section, flags=re.S)
    monkeypatch.chdir(tmp_path)
    sample.draw(pathlib.Path("data/mmad"), images=6)
    codes = []
    for command in commands.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        try:
            main()
        except SystemExit as end:
            codes.append(end.code)
    assert codes == [0, 0, 0], capsys.readouterr().err
    scores = json.loads((tmp_path / "runs" / "whole" / "summary.json").read_text())["scores"]
    run(RunOptions(data="data/mmad", local=["chance"], out=tmp_path / "unsharded")).close()
    assert scores == json.loads((tmp_path / "unsharded" / "summary.json").read_text())["scores"]
