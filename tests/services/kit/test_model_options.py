import dataclasses
import enum
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from mmad_answer.loading import ServiceError
from mmad_answer.model import Card, Model
from mmad_answer.model_options import click_options, make_options


class Dtype(enum.Enum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclasses.dataclass(frozen=True)
class Options:
    checkpoint: str
    """Where the weights are,
    a hub id or a folder."""
    scale: float = 0.5
    tiles: int | None = None
    trust_remote_code: bool = False
    cache: Path = Path("/tmp")
    dtype: Dtype = Dtype.BFLOAT16
    attention: Literal["sdpa", "eager"] = "sdpa"

    def __post_init__(self):
        if self.scale <= 0:
            raise ValueError("--scale must be above 0")


def model_with(options):
    class WithOptions(Model):
        Options = options

        def describe(self):
            return Card("options", "test")

        def answer(self, batch):
            yield from ()

    return WithOptions


def parse(*arguments, env=None):
    """(exit code, output, the options that came out)."""
    made = []
    model = model_with(Options)

    def callback(**values):
        made.append(make_options(model, values))

    command = click.Command("x", params=click_options(model, taken=()), callback=callback)
    result = CliRunner().invoke(command, arguments, env=env)
    return result.exit_code, result.output, made[0] if made else None


def test_fields_become_options_with_their_defaults_and_types():
    assert parse("--checkpoint", "here")[2] == Options("here")
    arguments = "--checkpoint x --scale 2 --tiles 4 --trust-remote-code --cache /data --dtype float32"
    assert parse(*arguments.split(), "--attention", "eager")[2] == Options(
        "x", 2.0, 4, True, Path("/data"), Dtype.FLOAT32, "eager"
    )


def test_each_field_can_come_from_the_environment():
    env = {
        "MMAD_ANSWER_CHECKPOINT": "y",
        "MMAD_ANSWER_TRUST_REMOTE_CODE": "1",
        "MMAD_ANSWER_DTYPE": "float32",
    }
    assert parse(env=env)[2] == Options("y", trust_remote_code=True, dtype=Dtype.FLOAT32)


def test_the_command_line_goes_before_the_environment():
    assert parse("--checkpoint", "x", env={"MMAD_ANSWER_CHECKPOINT": "y"})[2] == Options("x")


def test_help_shows_the_strings_under_the_fields():
    _, output, _ = parse("--help")
    assert "Where the weights are, a hub id or a folder." in output
    assert "[float32|bfloat16]" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scale", "much", "--checkpoint", "x"], "--scale"),
        (["--dtype", "int3", "--checkpoint", "x"], "float32"),
        ([], "--checkpoint"),
        (["--scale", "0", "--checkpoint", "x"], "--scale must be above 0"),
    ],
)
def test_wrong_values_are_refused_by_name(arguments, said):
    code, output, made = parse(*arguments)
    assert (code, made) == (2, None)
    assert said in output


def test_a_name_that_the_command_has_already_is_refused():
    with pytest.raises(ServiceError, match=r"WithOptions\.Options\.scale: .*choose another"):
        click_options(model_with(Options), taken={"scale"})


def test_a_type_without_a_form_on_the_command_line_is_refused():
    strange = dataclasses.make_dataclass("Strange", [("sizes", "dict[str, int]", None)], frozen=True)
    with pytest.raises(ServiceError, match=r"Strange|sizes.*has no form on the command line"):
        click_options(model_with(strange), taken=())


def test_inherited_fields_are_options_too_with_their_help():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class More(Options):
        model: str
        """Whose answers."""

    helps = {option.name: option.help for option in click_options(model_with(More), taken=())}
    assert helps["checkpoint"] == "Where the weights are, a hub id or a folder."
    assert helps["model"] == "Whose answers."
