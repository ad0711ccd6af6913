"""What `--discover` and MMAD_DISCOVER say."""

import re

import pytest

from orchestrator.endpoints.discovery.where import Where, where_to_look
from orchestrator.errors import EndpointError
from orchestrator.options import parse


def test_without_any_endpoint_option_dockers_containers_are_looked_for():
    assert where_to_look(parse({}), {}) == Where("")


@pytest.mark.parametrize(
    ("text", "project", "name"),
    [
        ("docker", "", ""),
        ("docker:line-3", "line-3", ""),
        ("docker:50051", "", "docker:50051"),  # a host of that name
        ("answer:50051", "", "answer:50051"),
    ],
)
def test_the_engine_a_project_and_a_name_can_be_said(text, project, name):
    where = where_to_look(parse({"discover": text}), {})
    assert where == Where(f"--discover {text}", project, name)


@pytest.mark.parametrize("named", [{"local": "chance"}, {"endpoint": "a=b:1"}, {"endpoints": "e.yaml"}])
def test_what_is_named_is_asked_and_nothing_else_unless_discover_stands_beside_it(named):
    assert where_to_look(parse(named), {"MMAD_DISCOVER": "answer:50051"}) is None
    assert where_to_look(parse({**named, "discover": "docker"}), {}) == Where("--discover docker")


def test_the_environment_gives_the_default_and_the_option_counts_more():
    environment = {"MMAD_DISCOVER": "answer:50051"}
    assert where_to_look(parse({}), environment) == Where("MMAD_DISCOVER answer:50051", "", "answer:50051")
    assert where_to_look(parse({"discover": "docker"}), environment).name == ""
    assert where_to_look(parse({}), {"MMAD_DISCOVER": ""}) == Where("")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("docker:", "'' is no name of a Compose project. Write docker:PROJECT."),
        ("docker:Line 3", "'Line 3' is no name of a Compose project"),
        ("answer", "'answer' has no port: write answer:PORT. Write docker, docker:PROJECT or HOST:PORT"),
        ("answer:0", "0 is no port"),
        ("tcp://answer:50051", "leave the scheme out. Write docker, docker:PROJECT or HOST:PORT"),
        ("unix:///run/docker.sock", "leave the scheme out"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write_instead(text, words):
    with pytest.raises(EndpointError, match=re.escape(words)) as error:
        where_to_look(parse({"discover": text}), {})
    assert str(error.value).startswith(f"--discover {text}: ")
