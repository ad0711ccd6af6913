"""What the documentation shows works as it is shown."""

import pathlib
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.endpoints.file import read_endpoints

ROOT = pathlib.Path(__file__).parents[2]
DOCS = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("examples/*/README.md"))]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]


def help_of(*verb):
    shown = CliRunner().invoke(app, [*verb, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, verb
    return shown.output


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_option_of_the_command_that_is_named_exists(page):
    """`orchestrator VERB ... --option`: the verb's help knows the option."""
    for verb, rest in re.findall(
        r"orchestrator (run|models|merge|check|hints|score|export|data \w+)([^`\n]*)", page.read_text()
    ):
        known = help_of(*verb.split())
        for option in re.findall(r"--[a-z][a-z-]+", rest.partition(" -- ")[0]):  # what follows is others'
            assert option in known, f"{verb} {option}"


def test_every_option_that_running_md_names_alone_exists():
    known = help_of("run") + help_of("merge") + help_of("hints") + help_of("score") + help_of("export")
    for option in re.findall(r"`(--[a-z][a-z-]+)", (ROOT / "docs" / "running.md").read_text()):
        assert option in known, option


def test_the_python_of_running_md_runs(tmp_path):
    page = (ROOT / "docs" / "running.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    code = code.replace(
        'open_run("runs/...")', 'open_run(next(__import__("pathlib").Path("runs").iterdir()))'
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Average" in done.stdout
    assert done.stdout.endswith("{}\n")


def test_the_endpoints_file_of_running_md_is_valid(tmp_path):
    page = (ROOT / "docs" / "running.md").read_text()
    (yaml,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    (tmp_path / "endpoints.yaml").write_text(yaml)
    assert [e.name for e in read_endpoints(tmp_path / "endpoints.yaml")] == ["qwen2.5-vl-7b"] * 2 + ["chance"]
