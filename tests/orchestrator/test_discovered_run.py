"""`orchestrator run` and `hints` without any endpoint option: the models that run are found and asked."""

import json
import time

import pytest
import yaml


@pytest.fixture
def run(cli, drawn, tmp_path):
    def call(*arguments):
        return cli("run", "--data", drawn, "--limit", 3, "--wait", 0, "--out", tmp_path / "run", *arguments)

    return call


@pytest.fixture(scope="module")
def detector(serve_forever, request):
    return serve_forever(request.path.parent / "detector", "--sound")


def test_models_that_run_are_found_and_asked(run, fake_engine, chance, summary, tmp_path):
    fake_engine.add("mmad-chance-1", chance)
    result = run()
    assert result.code == 0, result.err
    assert f"Found chance: container mmad-chance-1 at {chance}" in result.err
    counts = summary(tmp_path / "run")["scores"]["models"]["chance"]["counts"]
    assert counts["answered"] == sum(counts.values()) > 0


def test_the_record_says_which_containers_answered(run, fake_engine, chance, summary, tmp_path):
    fake_engine.add("mmad-chance-1", chance)
    run()
    (endpoint,) = summary(tmp_path / "run")["run"]["models"]["chance"]["card"]["endpoints"]
    assert endpoint == {"name": "chance", "target": chance, "origin": "container mmad-chance-1"}


def test_a_second_session_may_find_other_replicas(run, fake_engine, chance):
    fake_engine.add("mmad-chance-1", chance)
    run()
    fake_engine.containers.clear()
    fake_engine.add("mmad-chance-2", chance)
    result = run()
    assert result.code == 0, result.err
    assert "Everything has an answer already" in result.err


def test_the_settings_left_behind_find_them_again(run, cli, fake_engine, chance, tmp_path):
    fake_engine.add("mmad-chance-1", chance)
    run("--discover", "docker")
    settings = tmp_path / "run" / "config.yaml"
    assert yaml.safe_load(settings.read_text())["discover"] == "docker"
    assert cli("run", "--config", settings, "--out", tmp_path / "again").code == 0


def test_one_that_is_broken_does_not_keep_the_others_from_being_asked(run, fake_engine, chance, closed_port):
    fake_engine.add("mmad-chance-1", chance)
    fake_engine.add("mmad-qwen-1", closed_port, labels={"org.mmad.answer.contract": "v2"})
    result = run()
    assert result.code == 0
    assert "container mmad-qwen-1: not asked: wrong contract: " in result.err


def test_if_none_is_ready_the_run_ends_with_each_and_its_reason(run, fake_engine, closed_port, tmp_path):
    fake_engine.add("mmad-chance-1", closed_port, state={"Status": "paused"})
    result = run()
    assert result.code == 2
    assert "container mmad-chance-1: paused: `docker unpause mmad-chance-1`" in result.err
    assert not (tmp_path / "run").exists()


def test_what_is_named_is_asked_alone_and_with_discover_beside_what_is_found(
    run, fake_engine, chance, summary, tmp_path
):
    fake_engine.add("mmad-chance-1", chance)
    assert run("--endpoint", f"mine={chance}").code == 0
    assert fake_engine.requests == []
    assert run("--endpoint", f"mine={chance}", "--discover", "docker").code == 0
    assert set(summary(tmp_path / "run")["run"]["models"]) == {"mine", "chance"}


def test_a_model_picks_among_those_that_are_found(run, fake_engine, chance, detector, summary, tmp_path):
    fake_engine.add("a", chance)
    fake_engine.add("b", detector)
    assert run("--model", "chance").code == 0
    assert list(summary(tmp_path / "run")["run"]["models"]) == ["chance"]
    assert (
        "--model chanse: no model of this name is found. Did you mean 'chance'?"
        in run("--model", "chanse").err
    )


def test_what_a_model_cannot_do_is_refused_as_for_named_ones(run, fake_engine, detector):
    fake_engine.add("a", detector)
    result = run("--history")
    assert result.code == 2
    assert "it keeps no conversation history (--history)" in result.err


def test_the_environment_says_where_to_look(run, chance, monkeypatch):
    port = chance.rpartition(":")[2]
    monkeypatch.setenv("MMAD_DISCOVER", f"localhost:{port}")
    result = run()
    assert result.code == 0, result.err
    assert f"Found chance: localhost:{port} at 127.0.0.1:{port}" in result.err


@pytest.mark.parametrize(
    ("discover", "words"),
    [
        (None, "No model is found: no Docker engine is running here"),
        ("docker:line3", "--discover docker:line3: no Docker engine is running here"),
        ("answer", "'answer' has no port: write answer:PORT"),
    ],
)
def test_what_is_wrong_is_said_before_a_sample_is_drawn(cli, tmp_path, monkeypatch, discover, words):
    monkeypatch.chdir(tmp_path)
    result = cli("run", *(["--discover", discover] if discover else []))
    assert result.code == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.iterdir())


def test_nothing_is_waited_for_before_the_data_is_read(cli, fake_engine, closed_port, tmp_path):
    fake_engine.add("slow", closed_port, state={"Health": {"Status": "starting"}})
    began = time.monotonic()
    result = cli("run", "--data", tmp_path / "none", "--wait", 600)
    assert time.monotonic() - began < 60
    assert str(tmp_path / "none") in result.err


def test_a_dry_run_says_what_those_that_are_found_would_be_asked(run, fake_engine, chance, tmp_path):
    fake_engine.add("mmad-chance-1", chance)
    result = run("--dry-run", "--json")
    assert list(json.loads(result.out)) == ["chance"]
    assert not (tmp_path / "run").exists()


def test_a_dry_run_without_anybody_says_so_and_what_would_be_asked(run):
    result = run("--dry-run")
    assert result.code == 0, result.err
    assert "no Docker engine is running here" in result.err
    assert "any model: 3 inspections" in result.out
    assert run("--dry-run", "--discover", "docker").code == 2


def test_a_detector_that_is_found_makes_maps(cli, drawn, fake_engine, detector, tmp_path):
    fake_engine.add("mmad-detector-1", detector)
    arguments = ("--data", drawn, "--limit", 2, "--wait", 0)
    name = json.loads(cli("models", "--json").out)["models"][0]["name"]
    result = cli("hints", name, "--discover", "docker", "--out", tmp_path / "maps", *arguments)
    assert result.code == 0, result.err
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 2
