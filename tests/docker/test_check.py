"""`orchestrator check IMAGE`: it starts the image as hardened as compose does, and leaves nothing behind."""

import io
import json
import pathlib
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.docker

BROKEN = """
FROM {base}
USER root
LABEL org.mmad.answer.contract="v0" org.mmad.answer.port="abc"
HEALTHCHECK CMD mmad-answer health
ENTRYPOINT ["sh", "-c", "mmad-answer serve /service & wait"]
"""

DYING = """
FROM {base}
ENTRYPOINT ["sh", "-c", "mmad-answer serve /service >/tmp/log 2>&1 & \\
until grep -q INVALID_ARGUMENT /tmp/log; do sleep 0.05; done; \\
echo 'RuntimeError: a device-side assert'; kill -9 $!; exit 134"]
"""


@pytest.fixture
def command():
    return [str(pathlib.Path(sys.executable).parent / "orchestrator"), "check"]


@pytest.fixture
def chance(engine, image):
    """The id of the image, which stays what it is when somebody else builds one of the same tag."""
    return engine.images.get(image("chance")).id


@pytest.fixture
def left_behind(engine):
    """The containers of an image that a check has started."""

    def of(image_id):
        found = {"name": "orchestrator-check-", "ancestor": image_id}
        return engine.containers.list(all=True, filters=found)

    return of


@pytest.fixture
def broken_image(engine, chance):
    """chance as root, labelled wrongly, behind a shell that passes no signal on."""
    text = BROKEN.format(base=chance).encode()
    built, _ = engine.images.build(fileobj=io.BytesIO(text), rm=True)
    yield built.id
    engine.images.remove(built.id, force=True)


@pytest.fixture
def dying_image(engine, chance):
    """chance that dies of the first request that it refuses."""
    built, _ = engine.images.build(fileobj=io.BytesIO(DYING.format(base=chance).encode()), rm=True)
    yield built.id
    engine.images.remove(built.id, force=True)


def outcomes(done):
    return {each["id"]: each for each in json.loads(done.stdout)["promises"]}


def test_the_image_of_chance_keeps_every_promise(command, chance, left_behind):
    done = subprocess.run(
        [
            *command,
            chance,
            "--quick",
            "--json",
            "--env",
            "MMAD_ANSWER_MAX_REQUEST_MIB=4",
            "--",
            "--max-queue",
            "3",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = outcomes(done)
    tried = ("image.labels", "image.user", "image.healthcheck", "image.healthy")
    tried += ("stopping.work", "stopping.health", "stopping.new", "stopping.exit")
    assert {name: found[name]["outcome"] for name in tried} == dict.fromkeys(tried, "ok")
    assert "11 in flight, 4 MiB" in found["card.limits"]["detail"]  # the argument and the variable arrived
    assert left_behind(chance) == []


def test_a_broken_image_fails_by_its_labels_and_by_how_it_stops(command, broken_image, left_behind):
    done = subprocess.run(
        [
            *command,
            broken_image,
            "--quick",
            "--json",
            "--stop",
            "2",
            "--env",
            "MMAD_ANSWER_MAX_REQUEST_MIB=4",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    found = outcomes(done)
    failed = {name for name, each in found.items() if each["outcome"] == "failed"}
    assert failed == {"image.labels", "stopping.health", "stopping.new", "stopping.exit"}
    assert {name for name, each in found.items() if each["outcome"] == "warning"} == {
        "image.user",
        "image.healthcheck",
    }
    assert "Its label org.mmad.answer.port is 'abc', which is no port; 50051 is tried." in done.stderr
    assert "exec-form ENTRYPOINT" in found["stopping.exit"]["advice"]
    assert left_behind(broken_image) == []


def test_of_a_service_that_dies_while_it_is_checked_the_exit_code_and_last_words_are_told(
    command, dying_image, left_behind
):
    done = subprocess.run(
        [*command, dying_image, "--quick", "--json", "--stop", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (dead,) = [each for each in outcomes(done).values() if each["outcome"] == "failed"]
    assert dead["detail"].startswith("its container has exited with code 134, after: ")
    assert "Its container's last words:\n    " in done.stderr
    assert "RuntimeError: a device-side assert" in done.stderr
    assert left_behind(dying_image) == []


def test_an_image_that_does_not_come_up_is_shown_with_its_last_words(command, chance, left_behind):
    done = subprocess.run(
        [*command, chance, "--", "--no-such-option"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "its container has exited with code 2.\nIts container's last words:\n" in done.stderr
    assert "No such option" in done.stderr
    assert left_behind(chance) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_remove_the_container(command, chance, left_behind, number):
    process = subprocess.Popen([*command, chance, "--json"], stderr=subprocess.PIPE, text=True)
    with process:
        for line in process.stderr:
            if line.startswith("Health"):  # it is ready, and the check is under way
                break
        (container,) = left_behind(chance)
        assert container.labels["org.mmad.answer.contract"] == ""  # no run finds it meanwhile
        process.send_signal(number)
        assert "the container is removed" in process.stderr.read()
    assert process.returncode == 130
    assert left_behind(chance) == []


@pytest.mark.parametrize("name", ["no/such-image", "Upper:case", "image:a b"])
def test_a_name_that_the_engine_does_not_know_is_told_so(command, engine, name):
    done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "neither an address" in done.stderr
    assert len(done.stderr.splitlines()) == 1
