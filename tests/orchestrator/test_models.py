"""`orchestrator models`: who is there, who is not ready, and why."""

import dataclasses
import io
import json
import threading

import pytest
from rich.console import Console

from orchestrator.endpoints.discovery.survey import Look
from orchestrator.reports import models_table
from orchestrator.vocabulary import FoundReplica, ModelCard, ModelIdentity
from orchestrator.vocabulary import ReplicaState as State

SLOW = """
import pathlib, time
from mmad_answer.model import Card, Model, NoOptions


class Slow(Model[NoOptions]):
    def describe(self):
        return Card("slow", family="test")

    def load(self):
        while not pathlib.Path({gate!r}).exists():
            time.sleep(0.02)

    def answer(self, batch):
        yield from ()
"""
COMMIT = "cc594898137f460bfe9f0759e9844b3ce807cfb5"


def card(name="qwen2.5-vl-7b-instruct", device="cuda:0 NVIDIA H200"):
    identity = ModelIdentity(name, "qwen", "Qwen/Qwen2.5-VL-7B-Instruct", COMMIT, "4bit", "", ())
    return ModelCard(identity, device, 8, 4, 1, 1, True, True, True, True, True, False, (), "ready", "", ())


def found(number, state=State.READY, reason="", **changes):
    values = {"name": "qwen2.5-vl-7b-instruct", "card": card()} | changes
    return FoundReplica(
        origin=f"container mmad-qwen_vl-{number}",
        target=f"127.0.0.1:{49152 + number}",
        state=state,
        reason=reason,
        **values,
    )


def shown(look, width):
    text = io.StringIO()
    models_table.show(look, Console(file=text, width=width, highlight=False))
    return text.getvalue()


# ------------------------------------------------------------------------------------------- the command


def test_a_model_that_is_ready_is_shown_with_all_that_it_says_of_itself(
    cli, fake_engine, chance, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "120")
    fake_engine.add("mmad-chance-1", chance)
    result = cli("models")
    assert result.code == 0, result.err
    head, row, where = [line.split() for line in result.out.splitlines()]
    assert head == ["model", "checkpoint", "revision", "device", "state", "address"]
    assert row == ["chance", "uniform", row[2], "cpu", "ready", chance]
    assert where == ["mmad-chance-1"]


def test_one_that_is_not_ready_makes_the_exit_code_1_and_says_why(cli, fake_engine, chance):
    fake_engine.add("mmad-chance-1", chance)
    fake_engine.add("mmad-qwen-1", state={"Status": "exited", "ExitCode": 1})
    fake_engine.logs["mmad-qwen-1"] = "no checkpoint"
    fake_engine.containers[1]["State"]["FinishedAt"] = fake_engine.containers[1]["Created"]
    result = cli("models")
    assert result.code == 1
    assert "container mmad-qwen-1: exited: exit 1, 2 h ago: no checkpoint" in result.out


def test_one_that_was_told_to_stop_is_shown_and_is_no_fault(cli, fake_engine, chance):
    fake_engine.add("mmad-chance-1", chance)
    state = {"Status": "exited", "ExitCode": 0, "FinishedAt": "2999-01-01T00:00:00Z"}
    fake_engine.add("mmad-other-1", state=state)
    result = cli("models")
    assert result.code == 0
    assert "stopped" in result.out


def test_nothing_at_all_is_exit_code_2_with_the_way_out(cli, fake_engine):
    result = cli("models")
    assert result.code == 2
    assert result.err == (
        "Error: No model is found: Docker runs no container with the label org.mmad.answer.contract.\n"
        "  Start some: docker compose up -d\n"
        "  Or name those that run elsewhere: --endpoint NAME=TARGET, or --endpoints FILE\n"
    )


def test_without_docker_it_says_so_and_what_can_be_done(cli):
    result = cli("models")
    assert result.code == 2
    assert "no Docker engine is running here" in result.err
    assert "--endpoint NAME=TARGET" in result.err
    assert "Traceback" not in result.err


def test_addresses_can_be_given_instead(cli, chance, closed_port):
    result = cli("models", "--endpoint", f"a={chance}", "--endpoint", f"b={closed_port}", "--json")
    assert result.code == 1
    a, b = json.loads(result.out)["models"]
    assert (a["name"], a["state"], a["address"], a["origin"]) == ("a", "ready", chance, "--endpoint")
    assert (b["name"], b["state"]) == ("b", "no answer")
    assert "nothing listens there" in b["reason"]


def test_a_name_is_shown_with_each_address_that_it_has(cli, chance):
    port = chance.rpartition(":")[2]
    names = (
        "--endpoint",
        f"a=dns:///localhost:{port}",
        "--endpoint",
        f"b=dns:///no-such-host.invalid:{port}",
    )
    a, b = json.loads(cli("models", "--json", *names).out)["models"]
    assert (a["address"], a["origin"]) == (chance, f"dns:///localhost:{port}, --endpoint")
    assert (b["state"], b["address"]) == ("no address", None)
    assert "no-such-host.invalid has no address" in b["reason"]


def test_given_and_found_ones_can_be_shown_together(cli, fake_engine, chance):
    fake_engine.add("mmad-chance-1", chance)
    result = cli("models", "--endpoint", f"mine={chance}", "--discover", "docker", "--json")
    assert [model["name"] for model in json.loads(result.out)["models"]] == ["chance", "mine"]


def test_one_model_can_be_picked_and_a_misspelled_one_is_told(cli, fake_engine, chance, closed_port):
    fake_engine.add("mmad-chance-1", chance)
    fake_engine.add("mmad-other-1", closed_port)
    assert cli("models", "--model", "chance").code == 0
    result = cli("models", "--model", "chanse")
    assert result.code == 2
    assert "Did you mean 'chance'" in result.err


def test_a_model_among_those_of_which_no_name_is_known_is_missed_without_an_empty_list(
    cli, fake_engine, closed_port
):
    fake_engine.add("mmad-other-1", closed_port)
    result = cli("models", "--model", "chance")
    assert result.code == 2
    assert "--model chance: no model of this name is found." in result.err
    assert "There are" not in result.err


def test_it_waits_for_those_that_are_starting(cli, fake_engine, serve_forever, tmp_path):
    (tmp_path / "service.py").write_text(SLOW.format(gate=str(tmp_path / "gate")))
    fake_engine.add("mmad-slow-1", serve_forever(tmp_path))
    result = cli("models")
    assert result.code == 1
    assert "slow (container mmad-slow-1): starting" in result.out
    opening = threading.Timer(1.0, (tmp_path / "gate").touch)
    opening.start()
    result = cli("models", "--wait", 120)
    assert result.code == 0, result.err
    assert "Waiting up to 120 s for slow (container mmad-slow-1): starting" in result.err


# --------------------------------------------------------------------------------------------- the table


def test_replicas_of_a_model_stand_together_and_its_checkpoint_once():
    text = shown(Look((found(1), found(2)), 0), 130)
    assert text.count("Qwen/Qwen2.5-VL-7B-Instruct (4bit)") == 1
    assert text.count("ready") == 2


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (1, 3, 2)])
def test_another_checkpoint_of_the_same_name_is_no_replica_while_it_starts_either(order):
    other = dataclasses.replace(card().identity, checkpoint="Qwen/Qwen2.5-VL-3B-Instruct")
    rows = {
        1: found(1),
        2: found(2, State.STARTING, card=dataclasses.replace(card(), identity=other)),
        3: found(3),
    }
    text = shown(Look(tuple(rows[number] for number in order), 0), 200)
    checkpoint, checkpoint_of = "", {}
    for words in map(str.split, text.splitlines()):
        if words and words[-1].startswith("127.0.0.1:"):
            checkpoint = words[1] if words[0].startswith("qwen") else checkpoint
            checkpoint_of[words[-1]] = checkpoint
    assert checkpoint_of == {
        "127.0.0.1:49153": "Qwen/Qwen2.5-VL-7B-Instruct",
        "127.0.0.1:49154": "Qwen/Qwen2.5-VL-3B-Instruct",
        "127.0.0.1:49155": "Qwen/Qwen2.5-VL-7B-Instruct",
    }
    assert text.count("Qwen/Qwen2.5-VL-7B-Instruct") == 1


def test_a_commit_is_shortened_and_another_revision_is_not():
    assert COMMIT[:10] in shown(Look((found(1),), 0), 130)
    assert COMMIT not in shown(Look((found(1),), 0), 130)


@pytest.mark.parametrize("width", [80, 100, 110, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_that_can_be_copied_is_cut(width):
    reason = (
        "nothing listens there; GetModel was tried for 3 s. Is the service running, and is this its address?"
    )
    look = Look((found(1), found(2, State.NO_ANSWER, reason, name="", card=None)), 3)
    text = shown(look, width)
    assert max(map(len, text.splitlines())) <= width
    for whole in ("127.0.0.1:49153", "mmad-qwen_vl-1", "no answer", "NVIDIA"):
        assert whole in text
    assert " ".join(text.split()).count(reason) == 1


def test_containers_that_are_history_are_counted_with_the_command_that_shows_them():
    text = " ".join(shown(Look((found(1),), 7), 80).split())
    assert text.endswith(
        "7 more ended long ago, or were started anew since: "
        "docker ps -a --filter label=org.mmad.answer.contract"
    )


def test_what_a_service_says_of_itself_is_no_markup():
    text = shown(Look((found(1, card=card(name="[red]", device="[/bold]"), name="[red]"),), 0), 130)
    assert "[red]" in text
    assert "[/bold]" in text
