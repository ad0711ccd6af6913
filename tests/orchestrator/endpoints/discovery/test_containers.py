"""What a container's description says: an address, or why there is nobody to ask."""

import datetime
import re

import pytest

from orchestrator.endpoints.discovery.containers import Containers, targets_of
from orchestrator.endpoints.discovery.engine import Unreadable
from orchestrator.vocabulary import ReplicaState


def ago(**span):
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(**span)).isoformat()


class Described:
    """An engine whose containers are described by the fake one's words, without HTTP."""

    host = "127.0.0.1"

    def __init__(self, engine):
        self._engine = engine
        self.unreadable = []
        self.logs_read = []

    def containers(self, project):
        return self._engine.containers, self.unreadable

    def last_log_line(self, container_id, before=None):
        self.logs_read.append(before)
        name = next(c["Name"] for c in self._engine.containers if c["Id"] == container_id)
        return self._engine.logs.get(name.removeprefix("/"), "")

    def close(self):
        pass


@pytest.fixture
def described(fake_engine):
    return Described(fake_engine)


@pytest.fixture
def look(described):
    return Containers(described).look


@pytest.fixture
def only(look):
    """The one place that there is."""

    def of():
        (place,) = look().places
        return place

    return of


def test_the_published_port_is_the_address(fake_engine, only):
    fake_engine.add("mmad-chance-1", "127.0.0.1:49153")
    place = only()
    assert (place.state, place.targets) == (None, ("127.0.0.1:49153",))
    assert place.origin == "container mmad-chance-1"


@pytest.mark.parametrize(
    ("ports", "networks", "host", "expected"),
    [
        ([("127.0.0.1", 1)], {}, "127.0.0.1", ["127.0.0.1:1"]),
        ([("0.0.0.0", 1), ("::", 1)], {}, "127.0.0.1", ["127.0.0.1:1"]),
        ([("0.0.0.0", 1)], {}, "gpu-1", ["gpu-1:1"]),
        ([("127.0.0.1", 1)], {}, "gpu-1", ["gpu-1:1"]),
        ([("10.0.0.7", 1)], {}, "127.0.0.1", ["10.0.0.7:1"]),
        ([("0.0.0.0", 1)], {}, "fd00::1", ["[fd00::1]:1"]),
        ([], {"b": "172.18.0.9", "a": "172.17.0.2"}, "127.0.0.1", ["172.17.0.2:50051", "172.18.0.9:50051"]),
        ([("127.0.0.1", 1)], {"a": "172.17.0.2"}, "127.0.0.1", ["127.0.0.1:1", "172.17.0.2:50051"]),
        ([], {"host": ""}, "127.0.0.1", ["127.0.0.1:50051"]),
        ([], {"none": ""}, "127.0.0.1", []),
    ],
)
def test_targets_are_tried_from_the_published_one_to_those_in_networks(ports, networks, host, expected):
    container = {
        "NetworkSettings": {
            "Ports": {"50051/tcp": [{"HostIp": ip, "HostPort": str(port)} for ip, port in ports] or None},
            "Networks": {name: {"IPAddress": address} for name, address in networks.items()},
        }
    }
    assert list(targets_of(container, 50051, host)) == expected


def test_an_address_in_an_ipv6_network_counts_too():
    networks = {"a": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"}}
    container = {"NetworkSettings": {"Ports": {}, "Networks": networks}}
    assert targets_of(container, 50051, "127.0.0.1") == ("[fd00::2]:50051",)


@pytest.mark.parametrize(
    ("labels", "how"),
    [
        (
            {"com.docker.compose.project": "mmad"},
            'ports: ["127.0.0.1::50051"] in its service in compose.yaml',
        ),
        ({}, "-p 127.0.0.1::50051 for `docker run`"),
    ],
)
def test_a_container_without_any_address_says_what_to_add(fake_engine, only, labels, how):
    fake_engine.add("one", labels=labels)
    assert only().state is ReplicaState.NO_ADDRESS
    assert only().reason.endswith(f"add {how}")


@pytest.mark.parametrize(
    ("published", "host", "advice"),
    [
        ("127.0.0.1:1", "127.0.0.1", "the service must listen on 0.0.0.0:50051 in its container"),
        ("0.0.0.0:1", "gpu-1", "the service must listen on 0.0.0.0:50051 in its container"),
        (
            "127.0.0.1:1",
            "gpu-1",
            "it is published on 127.0.0.1 of the engine's machine, for nobody else: use ",
        ),
        ("127.0.0.1:1", "gpu-1", "use -p ADDRESS::50051 for `docker run`, with an address of gpu-1"),
        ("", "gpu-1", "add -p ADDRESS::50051 for `docker run`, with an address of gpu-1"),
        ("", "localhost", "add -p 127.0.0.1::50051 for `docker run`"),
    ],
)
def test_one_that_does_not_answer_gets_the_advice_that_helps_from_here(
    fake_engine, described, only, published, host, advice
):
    described.host = host
    networks = {"Networks": {"a": {"IPAddress": "172.17.0.2"}}}
    container = fake_engine.add("one", published)
    container["NetworkSettings"] |= networks
    assert advice in only().advice


@pytest.mark.parametrize(
    ("value", "said"), [("", "is missing"), ("http", "is 'http'"), ("0", "is '0'"), ("65536", "is '65536'")]
)
def test_a_port_label_that_is_none_is_named(fake_engine, only, value, said):
    fake_engine.add("one", "127.0.0.1:1", labels={"org.mmad.answer.port": value})
    assert only().state is ReplicaState.NO_ADDRESS
    assert f"its label org.mmad.answer.port {said}: give its image this label" in only().reason


def test_another_version_of_the_contract_is_named_and_not_asked(fake_engine, only):
    fake_engine.add("one", "127.0.0.1:1", labels={"org.mmad.answer.contract": "v2"})
    assert only().state is ReplicaState.WRONG_CONTRACT
    assert "says 'v2', and 'v1' is spoken here" in only().reason


def test_a_container_that_empties_its_images_label_takes_no_part(fake_engine, look):
    fake_engine.add("one", "127.0.0.1:1", labels={"org.mmad.answer.contract": ""})
    assert (look().places, look().left_out) == ((), 0)


def test_a_paused_container_says_how_it_goes_on(fake_engine, only):
    fake_engine.add("one", "127.0.0.1:1", state={"Status": "paused"})
    assert (only().state, only().reason) == (ReplicaState.PAUSED, "`docker unpause one` lets it go on")


@pytest.mark.parametrize(
    ("state", "ended", "expected", "reason"),
    [
        ({"ExitCode": 1}, {"minutes": 3}, ReplicaState.EXITED, "exit 1, 3 min ago: no weights"),
        (
            {"ExitCode": 137, "OOMKilled": True},
            {"minutes": 3},
            ReplicaState.EXITED,
            "exit 137 for lack of memory, 3 min ago: no weights",
        ),
        ({"ExitCode": 0}, {"minutes": 3}, ReplicaState.STOPPED, "exit 0, 3 min ago: no weights"),
        (
            {"ExitCode": 127, "Error": "no such executable"},
            {"hours": 5},
            ReplicaState.EXITED,
            "exit 127, 5 h ago: no such executable",
        ),
    ],
)
def test_a_container_that_ended_is_shown_with_its_code_and_its_last_words(
    fake_engine, only, state, ended, expected, reason
):
    fake_engine.add("one", state={"Status": "exited", "FinishedAt": ago(**ended)} | state)
    fake_engine.logs["one"] = "no weights"
    assert (only().state, only().reason) == (expected, reason)


def test_a_log_is_read_once_for_each_end(fake_engine, described, look):
    """A run looks every few seconds for days, and a log may take seconds to read."""
    state = {"Status": "exited", "ExitCode": 1, "FinishedAt": ago(minutes=3)}
    container = fake_engine.add("one", state=state)
    for _ in range(3):
        look()
    assert len(described.logs_read) == 1
    container["State"]["FinishedAt"] = ago(minutes=1)
    look()
    assert len(described.logs_read) == 2


def test_between_its_end_and_its_next_start_it_is_not_starting(fake_engine, only):
    """Whoever waits for it would wait in vain: with a checkpoint that is not there it ends each time."""
    state = {"Status": "restarting", "ExitCode": 1, "FinishedAt": ago(seconds=2)}
    fake_engine.add("one", state=state, restarts=1)
    assert only().state is ReplicaState.RESTARTING
    assert re.fullmatch("it starts again after exit 1, [23] s ago: it said nothing", only().reason)


@pytest.mark.parametrize("health", [None, {"Status": "starting"}, {"Status": "unhealthy", "Log": []}])
@pytest.mark.parametrize(("restarts", "often"), [(1, "once"), (5, "5 times")])
def test_once_it_has_ended_it_is_asked_and_failing_unless_it_is_ready(
    fake_engine, described, only, health, restarts, often
):
    started = ago(seconds=1)
    state = {"StartedAt": started, "FinishedAt": ago(seconds=2)} | ({"Health": health} if health else {})
    fake_engine.add("one", "127.0.0.1:1", restarts=restarts, state=state)
    fake_engine.logs["one"] = "no weights"
    assert (only().state, only().failing) == (None, f"it has ended {often}: no weights")
    assert described.logs_read[0] == datetime.datetime.fromisoformat(started)  # not what it says by now


def test_once_it_is_healthy_what_was_before_is_forgotten(fake_engine, only):
    fake_engine.add("one", "127.0.0.1:1", restarts=5, state={"Health": {"Status": "healthy"}})
    assert only().failing == ""


def test_a_container_that_could_not_be_started_says_what_the_engine_said(fake_engine, only):
    error = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    fake_engine.add("one", state={"Status": "created", "ExitCode": 128, "Error": error})
    assert (only().state, only().reason) == (ReplicaState.EXITED, f"it could not be started: {error}")


@pytest.mark.parametrize(
    ("age", "state"), [(5, ReplicaState.STARTING), (600, ReplicaState.STOPPED)], ids=["fresh", "old"]
)
def test_a_container_that_is_only_made_is_starting_or_else_never_was(fake_engine, only, age, state):
    fake_engine.add("one", state={"Status": "created"}, ago=datetime.timedelta(seconds=age))
    assert only().state is state


@pytest.mark.parametrize(
    ("health", "age", "starting", "unhealthy"),
    [
        (None, 5, True, None),
        (None, 600, False, None),
        ({"Status": "none"}, 5, True, None),
        ({"Status": "starting"}, 600, True, None),  # its start period is the image's to choose
        ({"Status": "healthy"}, 5, False, None),
        (
            {"Status": "unhealthy", "Log": [{"Output": "old"}, {"Output": "\x1b[31mno GPU\x1b[0m\n"}]},
            600,
            False,
            "no GPU",
        ),
        ({"Status": "unhealthy", "Log": []}, 600, False, "no reason given"),
    ],
)
def test_the_health_check_says_whether_silence_is_a_beginning(
    fake_engine, only, health, age, starting, unhealthy
):
    state = {"StartedAt": ago(seconds=age)} | ({"Health": health} if health else {})
    fake_engine.add("one", "127.0.0.1:1", state=state)
    assert (only().starting, only().unhealthy) == (starting, unhealthy)


def test_a_restart_makes_it_another_place_of_the_same_container(fake_engine, only):
    container = fake_engine.add("one", "127.0.0.1:1")
    before = only()
    container["State"]["StartedAt"] = ago(seconds=0)
    assert only().key != before.key
    assert only().id == before.id


# ------------------------------------------------------------------------- what is history is only counted


@pytest.mark.parametrize(
    ("code", "ended", "shown"),
    [(0, {"minutes": 50}, 1), (0, {"minutes": 70}, 0), (1, {"hours": 23}, 1), (1, {"hours": 25}, 0)],
)
def test_what_ended_long_ago_is_counted_and_not_shown(fake_engine, look, code, ended, shown):
    state = {"Status": "exited", "ExitCode": code, "FinishedAt": ago(**ended)}
    fake_engine.add("one", state=state, ago=datetime.timedelta(days=3))
    assert (len(look().places), look().left_out) == (shown, 1 - shown)


def test_of_many_containers_of_one_image_and_options_that_ended_the_newest_is_shown(fake_engine, look):
    for number in range(5):
        state = {"Status": "exited", "ExitCode": 1, "FinishedAt": ago(seconds=50 - number)}
        age = datetime.timedelta(seconds=60 - number)
        fake_engine.add(f"try-{number}", args=["serve", "/service"], state=state, ago=age)
    fake_engine.add("other", state=state)  # with other options
    assert [p.origin for p in look().places] == ["container other", "container try-4"]
    assert look().left_out == 4


def test_each_replica_of_a_compose_service_is_shown_though_another_is_newer(fake_engine, look):
    for number in (1, 2):
        labels = {
            "com.docker.compose.project": "mmad",
            "com.docker.compose.service": "qwen",
            "com.docker.compose.container-number": str(number),
        }
        state = {"Status": "exited", "ExitCode": 1, "FinishedAt": ago(seconds=5)} if number == 1 else {}
        age = datetime.timedelta(minutes=10 - number)
        fake_engine.add(f"mmad-qwen-{number}", "127.0.0.1:1", labels=labels, state=state, ago=age)
    assert [p.origin for p in look().places] == ["container mmad-qwen-1", "container mmad-qwen-2"]


def test_one_that_failed_is_shown_beside_one_of_its_image_with_another_environment(fake_engine, look):
    """`docker run -e CHECKPOINT=7b IMAGE` is another model than with 3b."""
    for minutes, checkpoint in ((9, "7b"), (8, "3b")):
        state = {"Status": "exited", "ExitCode": 1, "FinishedAt": ago(minutes=1)}
        age = datetime.timedelta(minutes=minutes)
        container = fake_engine.add(checkpoint, args=["serve"], state=state, ago=age)
        container["Config"]["Env"] = ["PATH=/bin", f"CHECKPOINT={checkpoint}"]
    assert [p.origin for p in look().places] == ["container 3b", "container 7b"]


def test_one_that_the_engine_cannot_describe_is_shown_in_its_place(fake_engine, described, look):
    for name in ("a", "c"):
        fake_engine.add(name, "127.0.0.1:1")
    described.unreadable = [Unreadable("f" * 64, "b", "layer does not exist")]
    places = look().places
    assert [p.origin for p in places] == ["container a", "container b", "container c"]
    assert places[1].state is ReplicaState.NO_ANSWER
    assert places[1].reason == "the engine cannot describe it: layer does not exist"


def test_a_container_that_is_being_removed_is_gone(fake_engine, look):
    fake_engine.add("one", state={"Status": "removing"})
    assert not look().places


def test_containers_are_in_the_order_that_people_count_in(fake_engine, look):
    for name in ("b-10", "b-2", "a"):
        fake_engine.add(name, "127.0.0.1:1")
    assert [p.origin for p in look().places] == ["container a", "container b-2", "container b-10"]
