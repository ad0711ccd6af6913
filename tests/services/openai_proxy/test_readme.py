"""The commands and the options that the README shows are the service's."""

import re
import shlex
from pathlib import Path

import pytest

from mmad_answer.model_options import click_options, make_options
from mmad_answer.serving import serve_command

FOLDER = Path(__file__).parents[3] / "services" / "openai_proxy"
README = (FOLDER / "README.md").read_text()
COMMANDS = re.findall(r"`mmad-answer serve services/openai_proxy (.*?)`", README)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_one_that_starts_the_service(model_class, line):
    command = serve_command(FOLDER)
    values = command.make_context("serve", shlex.split(line)).params
    own = [option.name for option in click_options(model_class, ())]
    assert make_options(model_class, {name: values[name] for name in own}).model


def test_there_is_a_command_for_every_server_that_is_named():
    assert len(COMMANDS) == 9


def test_the_table_names_every_option_of_the_service_with_its_default(model_class):
    rows = [row for row in README.splitlines() if row.startswith("| `--")]
    table = {name: row for row in rows for name in re.findall(r"--([a-z-]+)", row.split("|")[1])}
    options = {option.opts[0].lstrip("-"): option for option in click_options(model_class, ())}
    assert set(table) == set(options)
    for name, row in table.items():
        default = options[name].default
        if isinstance(default, (int, float, str)) and default != "":
            assert (f"{default:g}" if isinstance(default, float) else str(default)) in row, name
