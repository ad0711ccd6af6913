"""The commands that the README shows are the service's, and say where they come from."""

import re
import shlex
from pathlib import Path

import pytest

from mmad_answer.model_options import click_options, make_options
from mmad_answer.serving import serve_command

FOLDER = Path(__file__).parents[3] / "services" / "gemini_proxy"
README = (FOLDER / "README.md").read_text()
COMMANDS = re.findall(r"^    mmad-answer serve services/gemini_proxy (.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_one_that_starts_the_service(model_class, line):
    command = serve_command(FOLDER)
    values = command.make_context("serve", shlex.split(line)).params
    own = [option.name for option in click_options(model_class, ())]
    assert make_options(model_class, {name: values[name] for name in own}).model


def test_the_environment_is_made_before_a_command_from_it_is_run():
    made = README.index("    make services/gemini_proxy/.venv/.installed\n")
    assert (
        made < README.index("`services/gemini_proxy/.venv/bin`") < README.index(f"gemini_proxy {COMMANDS[0]}")
    )
