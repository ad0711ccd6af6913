"""The example in the kit's README is a service that runs."""

import re
from pathlib import Path

import pytest

from mmad_answer.loading import find_model_class
from mmad_answer.model import LoadError
from mmad_answer.serving import serve_command

README = Path(__file__).parents[3] / "services" / "kit" / "README.md"


@pytest.fixture
def stubborn(service_folder):
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return service_folder(source)


async def test_the_example_answers(stubborn, serve, ask):
    model = find_model_class(stubborn)
    served = await serve(model(model.Options(letter="C")))
    responses = [response async for response in served.stub.Answer(ask(questions=("q1", "q2")))]
    assert [response.answered.text for response in responses] == ["C", "C"]


def test_the_example_refuses_to_load_with_a_line_for_the_user(stubborn):
    model = find_model_class(stubborn)
    with pytest.raises(LoadError, match="--letter is 'AB'"):
        model(model.Options(letter="AB")).load()


def test_the_table_names_every_option_of_the_command_with_its_default(stubborn):
    table = {
        name: row
        for row in README.read_text().splitlines()
        if row.startswith("| `--")
        for name in re.findall(r"--([a-z-]+)", row.split("|")[1])
    }
    options = {option.opts[0].lstrip("-"): option for option in serve_command(stubborn).params}
    assert set(table) == set(options) - {"letter"}
    for name, row in table.items():
        default = options[name].default
        if isinstance(default, (int, float, str)):
            assert f"{default:g}" if isinstance(default, float) else str(default) in row, name
