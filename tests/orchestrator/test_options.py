"""The settings of a run: what is allowed, and what is said about what is not."""

import pytest
from typer.testing import CliRunner

from orchestrator.cli_options import with_run_options
from orchestrator.errors import UserError
from orchestrator.options import RunOptions, parse
from orchestrator.settings_file import read_settings


def refuse(**values):
    with pytest.raises(UserError) as caught:
        parse(values)
    return str(caught.value)


def test_what_excludes_each_other_is_refused():
    assert "--history and --options circular" in refuse(history=True, options="circular")
    assert "--cot and option scores" in refuse(cot="question", option_scores=True)
    assert "--cot and option scores" in refuse(cot="inspection", answer_by="scores")
    assert "--text-only" in refuse(text_only=True, defect_examples=1)
    assert "--text-only" in refuse(text_only=True, hints="ground-truth")
    assert "there are none" in refuse(hint_style="box")
    assert "there are none" in refuse(hint_threshold=0.5)
    assert "ground truth has none" in refuse(hints="ground-truth", hint_style="box", hint_threshold=0.5)
    assert "heat map" in refuse(hints="maps", hint_threshold=0.5)
    assert "heat map" in refuse(hints="maps", hint_style="heatmap", hint_threshold=0.5)


def test_a_wrong_value_is_named_with_its_setting():
    message = refuse(shots=-1, templates="rnd")
    assert "--shots" in message
    assert "-1" in message
    assert "'random' or 'similar'" in message


def test_an_unknown_type_and_an_unknown_setting_get_their_near_matches():
    assert "'Anomaly Detection'" in refuse(type=["Anomaly Detektion"])
    assert "'domain-knowledge'" in refuse(domain_knowlege=True)


def test_a_list_of_types_that_is_none_is_refused():
    assert "--type" in refuse(type=5)


def test_a_setting_without_a_value_is_not_given(tmp_path):
    (tmp_path / "c.yaml").write_text("type:\nshots: 2\n")
    assert read_settings(tmp_path / "c.yaml") == {"shots": 2}


def test_types_are_taken_in_any_case():
    assert parse({"type": "anomaly detection"}).type == ("Anomaly Detection",)


def test_answers_by_scores_ask_for_scores():
    assert parse({"answer_by": "scores"}).wants_scores
    assert not parse({}).wants_scores


def test_the_protocol_is_what_decides_the_answers_and_nothing_else():
    protocol = parse({"shots": 3, "concurrency": 7, "endpoint": "a=b:1"}).protocol()
    assert protocol.shots == 3
    assert not hasattr(protocol, "concurrency")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def invoke(seen):
    import typer

    app = typer.Typer()
    app.command()(with_run_options(seen.append))

    def call(*arguments):
        return CliRunner().invoke(app, arguments)

    return call


def test_every_setting_is_an_option_and_can_stand_in_a_file(invoke, seen, tmp_path):
    """Each field but `instruction` (which --instruction-from reads), given both ways, gives the same."""
    values = {
        "only": ["A"], "exclude": ["B"], "type": ["Defect Analysis"], "limit": 3, "seed": 4, "repeats": 2,
        "shots": 5, "templates": "similar", "defect-examples": 1, "domain-knowledge": True,
        "text-only": False, "history": True, "cot": "question", "options": "shuffled",
        "answer-by": "text", "option-scores": False, "temperature": 0.5, "max-new-tokens": 9,
        "max-reasoning-tokens": 8, "data": "d", "hints": "maps", "hint-style": "box", "hint-threshold": 0.5,
        "instruction-from": "i.txt", "keep-prompts": True, "local": ["chance"], "endpoint": ["a=b:1"],
        "endpoints": "e.yaml", "discover": "docker", "model": ["m"], "wait": 3.0, "out": "o",
        "retry-failed": True, "concurrency": 2, "shard": "1/8", "timeout": 5.0, "patience": 6.0,
        "dry-run": True, "json": True,
    }  # fmt: skip
    names = {(f.alias or n).replace("_", "-") for n, f in RunOptions.model_fields.items()}
    assert names == set(values) | {"instruction"}
    arguments = []
    for name, value in values.items():
        if isinstance(value, bool):
            arguments.append(f"--{name}" if value else f"--no-{name}")
        else:
            for one in value if isinstance(value, list) else [value]:
                arguments += [f"--{name}", str(one)]
    assert invoke(*arguments).exit_code == 0
    import yaml

    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    assert invoke("--config", str(tmp_path / "c.yaml")).exit_code == 0
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("hints", "ground-truth|DIR"),
        ("data", "DIR|sample"),
        ("out", "DIR"),
        ("endpoints", "FILE"),
        ("instruction-from", "PATH"),
    ],
)
def test_an_empty_path_is_refused_rather_than_taken_for_none_or_for_here(cli, tmp_path, option, wanted):
    """As an unset shell variable gives it, on the command line and in a file."""
    (tmp_path / "c.yaml").write_text(f"{option}: ''\n")
    for given in ([f"--{option}", ""], ["--config", tmp_path / "c.yaml"]):
        result = cli("run", "--dry-run", *given)
        assert result.code == 2
        assert f"--{option}: is empty (a shell variable that is not set?). Give {wanted}," in result.err


def test_the_current_folder_can_still_be_named(invoke, seen):
    assert invoke("--out", ".", "--hints", ".").exit_code == 0
    assert (str(seen[0].out), seen[0].hints) == (".", ".")


def test_a_wrong_value_in_a_file_is_named_with_the_file(tmp_path, monkeypatch, cli):
    (tmp_path / "c.yaml").write_text("shots: many\nseed: -1\n")
    result = cli("run", "--config", tmp_path / "c.yaml", "--seed", 3)
    assert result.code == 2
    assert f"{tmp_path / 'c.yaml'}: --shots" in result.err
    assert "--seed" not in result.err  # the command line has another


def test_the_command_line_counts_more_than_the_file(invoke, seen, tmp_path):
    (tmp_path / "c.yaml").write_text("shots: 3\nhistory: true\n")
    invoke("--config", str(tmp_path / "c.yaml"), "--shots", "0", "--no-history")
    assert (seen[0].shots, seen[0].history) == (0, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [("shots: [1", "line 1"), ("- a\n- b", "name: value"), ("\x00", "not YAML")],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_settings(tmp_path / "c.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_settings(tmp_path / "none.yaml")
