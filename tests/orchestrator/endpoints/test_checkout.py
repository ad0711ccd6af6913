"""The services of a checkout, and which interpreter runs each."""

import sys

import pytest

from orchestrator.endpoints.checkout import find_checkout, interpreter, service_folder, service_names
from orchestrator.errors import EndpointError


@pytest.fixture
def checkout(tmp_path):
    """A folder with the services chance, qwen_vl and kit; the last is none."""
    for name in ("chance", "qwen_vl"):
        (tmp_path / "services" / name).mkdir(parents=True)
        (tmp_path / "services" / name / "service.py").touch()
    (tmp_path / "services" / "kit").mkdir()
    return tmp_path


def needs(checkout, text):
    (checkout / "services" / "chance" / "requirements.txt").write_text(text)
    return interpreter(checkout / "services" / "chance")


def test_the_checkout_is_the_nearest_folder_above_that_holds_services(checkout):
    (checkout / "docs" / "deep").mkdir(parents=True)
    assert find_checkout(checkout / "docs" / "deep") == checkout
    assert find_checkout(checkout) == checkout


def test_away_from_any_checkout_it_is_the_one_that_holds_this_package(tmp_path):
    assert "chance" in service_names(find_checkout(tmp_path))


def test_a_service_is_a_folder_with_a_service_in_it(checkout):
    assert service_names(checkout) == ["chance", "qwen_vl"]


def test_an_unknown_service_is_refused_with_near_matches_and_the_list(checkout):
    with pytest.raises(EndpointError, match=r"Did you mean 'qwen_vl'\? There are: chance, qwen_vl\."):
        service_folder(checkout, "qwen-vl")


@pytest.mark.parametrize("name", ["../services/chance", "kit", ".", ""])
def test_nothing_but_the_name_of_a_service_is_taken(checkout, name):
    with pytest.raises(EndpointError, match="no such service"):
        service_folder(checkout, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "numpy\n",
        "numpy>=1.0  # arrays\n",
        "pillow\n\nscipy>=1\n",
        "torch; python_version < '3'\n",
    ],
)
def test_a_service_that_needs_nothing_more_than_is_here_runs_here(checkout, text):
    assert needs(checkout, text) == sys.executable


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no-such-package-anywhere\n", "no-such-package-anywhere is not installed here"),
        ("numpy==0.0.1\n", "numpy==0.0.1 is needed, and"),
        ("-r other.txt\n", "its requirements.txt has '-r other.txt'"),
    ],
)
def test_a_service_that_needs_more_is_refused_with_the_command_that_makes_its_environment(
    checkout, text, reason
):
    with pytest.raises(EndpointError) as error:
        needs(checkout, text)
    assert reason in str(error.value)
    assert (
        "python3.11 -m venv services/chance/.venv && services/chance/.venv/bin/pip install ./services/kit "
        "-r services/chance/requirements.txt"
    ) in str(error.value)


def test_an_environment_of_its_own_is_used_where_there_is_one(checkout):
    own = checkout / "services" / "chance" / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert needs(checkout, "no-such-package-anywhere\n") == str(own)
