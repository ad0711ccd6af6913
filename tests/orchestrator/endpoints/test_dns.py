"""Names that stand for several replicas, at the start of a run and while it goes on."""

import asyncio
import collections
import socket
import time

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.dispatch import DirectoryError
from orchestrator.endpoints.connect import connect
from orchestrator.endpoints.dns import NameDirectory, addresses, resolve
from orchestrator.errors import EndpointError


class Names(dict):
    """The addresses of each name, and how often it was looked up."""

    def __init__(self):
        self.lookups = collections.Counter()


@pytest.fixture
def names(monkeypatch):
    """What this process's resolver says, by name: `names["replicas"] = ["127.0.0.2"]`."""
    known = Names()
    real = socket.getaddrinfo

    def look_up(host, port, *args, **kwargs):
        if host not in known:
            return real(host, port, *args, **kwargs)
        known.lookups[host] += 1
        if not known[host]:
            raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in known[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def port(unused_tcp_port):
    return unused_tcp_port


def targets(endpoints):
    return [endpoint.target for endpoint in endpoints]


async def test_each_address_of_a_name_is_a_replica(servers, speaker, endpoint, names, port):
    names["replicas"] = ["127.0.0.3", "127.0.0.2"]
    for host in names["replicas"]:
        await servers(speaker(), target=f"{host}:{port}")
    (model,) = await connect([endpoint(f"dns:///replicas:{port}")], 0, print)
    assert targets(model.endpoints) == [f"127.0.0.2:{port}", f"127.0.0.3:{port}"]
    assert {e.origin for e in model.endpoints} == {f"dns:///replicas:{port}, --endpoint"}


async def test_the_name_is_looked_up_anew_by_the_models_directory(servers, speaker, endpoint, names, port):
    names["replicas"] = ["127.0.0.2"]
    await servers(speaker(), target=f"127.0.0.2:{port}")
    (model,) = await connect([endpoint(f"dns:///replicas:{port}")], 0, print)
    names["replicas"] = ["127.0.0.3", "127.0.0.4"]
    assert targets(await model.directory()) == [f"127.0.0.3:{port}", f"127.0.0.4:{port}"]


async def test_addresses_that_were_given_one_by_one_have_no_directory(servers, speaker, endpoint):
    (model,) = await connect([endpoint(await servers(speaker()))], 0, print)
    assert model.directory is None


async def test_names_and_addresses_of_one_model_are_merged_each_address_once(
    servers, speaker, endpoint, names, port
):
    names["some"], names["others"] = ["127.0.0.2", "127.0.0.3"], ["127.0.0.3", "127.0.0.4"]
    for host in ("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"):
        await servers(speaker(), target=f"{host}:{port}")
    given = [f"127.0.0.5:{port}", f"127.0.0.2:{port}", f"dns:///some:{port}", f"dns:///others:{port}"]
    (model,) = await connect([endpoint(target) for target in given], 0, print)
    expected = [f"127.0.0.{number}:{port}" for number in (5, 2, 3, 4)]
    assert targets(model.endpoints) == expected
    assert targets(await model.directory()) == expected


async def test_models_of_two_names_may_share_an_address(servers, speaker, endpoint, names, port):
    names["replicas"] = ["127.0.0.2"]
    await servers(speaker(), target=f"127.0.0.2:{port}")
    given = [endpoint(f"dns:///replicas:{port}", "one"), endpoint(f"127.0.0.2:{port}", "other")]
    assert [model.name for model in await connect(given, 0, print)] == ["one", "other"]


async def test_a_name_without_an_address_is_an_error_after_a_few_seconds(endpoint):
    with pytest.raises(EndpointError) as error:
        await connect([endpoint("dns:///no-such-host.invalid:1")], 0, print, reach_seconds=0.5)
    assert str(error.value).startswith(
        "model at dns:///no-such-host.invalid:1 (--endpoint): no-such-host.invalid has no address: "
    )


async def test_a_name_that_gets_its_first_address_a_moment_later_is_reached(
    servers, speaker, endpoint, names, port
):
    names["replicas"] = []
    await servers(speaker(), target=f"127.0.0.2:{port}")

    def begin(text):
        names["replicas"] = ["127.0.0.2"]

    (model,) = await connect([endpoint(f"dns:///replicas:{port}")], 0, begin)
    assert targets(model.endpoints) == [f"127.0.0.2:{port}"]


async def test_a_name_without_an_address_is_waited_for_as_long_as_the_user_says_and_that_is_told(
    servers, speaker, endpoint, names, port
):
    names["replicas"] = []
    await servers(speaker(), target=f"127.0.0.2:{port}")
    said = []
    connecting = asyncio.create_task(
        connect([endpoint(f"dns:///replicas:{port}")], 60, said.append, reach_seconds=0.1)
    )
    async with asyncio.timeout(30):
        while names.lookups["replicas"] < 3:  # noqa: ASYNC110 - the second is after a second
            await asyncio.sleep(0.01)
    assert not connecting.done()
    assert said == [
        f"Waiting up to 60 s for model at dns:///replicas:{port}: replicas has no address: "
        "there is no host of that name. Is the name right?"
    ]
    names["replicas"] = ["127.0.0.2"]
    assert targets((await connecting)[0].endpoints) == [f"127.0.0.2:{port}"]


async def test_a_name_that_can_have_no_address_is_not_waited_for(endpoint):
    async with asyncio.timeout(30):
        with pytest.raises(EndpointError, match=r"a\.\.b is no name that can be looked up"):
            await connect([endpoint("dns:///a..b:1")], 3600, print)


@pytest.mark.parametrize("first", ["replicas:1", "127.0.0.2:1", "dns:///replicas:1"])
@pytest.mark.parametrize("second", ["other:1", "127.0.0.2:1", "dns:///other:1"])
async def test_one_process_is_one_replica_however_its_address_is_written(endpoint, names, first, second):
    names["replicas"] = names["other"] = ["127.0.0.2"]
    kept = await NameDirectory([endpoint(first), endpoint(second)])()
    assert targets(kept) == targets(resolve(endpoint(first)))


async def test_a_host_of_several_addresses_gives_way_to_those_given_one_by_one(names, endpoint):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    given = [
        endpoint("replicas:1"),
        endpoint("dns:///replicas:1"),
        endpoint("unix:///s"),
        endpoint("no.invalid:1"),
    ]
    assert targets(await NameDirectory(given)()) == [
        "127.0.0.2:1",
        "127.0.0.3:1",
        "unix:///s",
        "no.invalid:1",
    ]


async def test_an_address_that_does_not_answer_beside_one_that_does_is_told_and_no_error(
    servers, speaker, endpoint, names, port
):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    await servers(speaker(), target=f"127.0.0.2:{port}")
    said = []
    (model,) = await connect([endpoint(f"dns:///replicas:{port}")], 0, said.append, reach_seconds=0.5)
    assert targets(model.endpoints) == [f"127.0.0.2:{port}"]
    assert len(said) == 1
    assert said[0].startswith(
        f"model at 127.0.0.3:{port} (dns:///replicas:{port}, --endpoint): nothing listens"
    )
    assert said[0].endswith("The run begins without it, and asks it once it is ready.")


async def test_an_address_that_is_loading_beside_one_that_is_ready_is_not_waited_for(
    servers, speaker, endpoint, names, port
):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    await servers(speaker(), target=f"127.0.0.2:{port}")
    await servers(speaker(state=pb.STATE_LOADING), target=f"127.0.0.3:{port}")
    said = []
    async with asyncio.timeout(60):
        (model,) = await connect([endpoint(f"dns:///replicas:{port}")], 3600, said.append, reach_seconds=0.5)
    assert targets(model.endpoints) == [f"127.0.0.2:{port}"]
    assert "not ready yet (loading). The run begins without it" in said[-1]


async def test_addresses_that_are_all_loading_are_waited_for(servers, speaker, endpoint, names, port):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    loading = [speaker(state=pb.STATE_LOADING) for _ in names["replicas"]]
    for host, service in zip(names["replicas"], loading, strict=True):
        await servers(service, target=f"{host}:{port}")
    connecting = asyncio.create_task(
        connect([endpoint(f"dns:///replicas:{port}")], 60, print, reach_seconds=0.3)
    )
    began = time.monotonic()
    async with asyncio.timeout(30):
        while time.monotonic() < began + 0.4 or min(s.asked for s in loading) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not connecting.done()
    loading[0].card.state = pb.STATE_READY
    (model,) = await connecting
    assert targets(model.endpoints) == [f"127.0.0.2:{port}"]


async def test_an_address_that_the_user_wrote_is_an_error_beside_others_that_answer(
    servers, speaker, endpoint, names, port
):
    names["replicas"] = ["127.0.0.2"]
    await servers(speaker(), target=f"127.0.0.2:{port}")
    given = [endpoint(f"dns:///replicas:{port}"), endpoint(f"127.0.0.3:{port}")]
    with pytest.raises(EndpointError, match=r"127\.0\.0\.3:.* nothing listens there"):
        await connect(given, 0, print, reach_seconds=0.3)


async def test_a_name_whose_addresses_are_all_silent_is_an_error_for_each(endpoint, names, port):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    with pytest.raises(EndpointError) as error:
        await connect([endpoint(f"dns:///replicas:{port}")], 0, print, reach_seconds=0.3)
    assert len(str(error.value).splitlines()) == 2


async def test_a_name_behind_which_are_two_models_is_refused(servers, speaker, endpoint, names, port):
    names["replicas"] = ["127.0.0.2", "127.0.0.3"]
    await servers(speaker(checkpoint="v1"), target=f"127.0.0.2:{port}")
    await servers(speaker(checkpoint="v2"), target=f"127.0.0.3:{port}")
    with pytest.raises(EndpointError, match="not one model: checkpoint: 'v1' and 'v2'"):
        await connect([endpoint(f"dns:///replicas:{port}")], 0, print)


def test_a_host_of_both_families_is_one_replica(names):
    names["both"] = ["2001:db8::2", "10.0.0.2", "2001:db8::1", "10.0.0.1", "10.0.0.1"]
    assert addresses("both", 50051) == ["10.0.0.1:50051", "10.0.0.2:50051"]


def test_an_ipv6_address_gets_its_brackets(names):
    names["six"] = ["2001:db8::2", "2001:db8::1"]
    assert addresses("six", 50051) == ["[2001:db8::1]:50051", "[2001:db8::2]:50051"]


@pytest.mark.parametrize("target", ["127.0.0.1:50051", "[::1]:50051"])
def test_an_address_written_as_a_name_is_itself(endpoint, target):
    assert targets(resolve(endpoint(f"dns:///{target}"))) == [target]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", f"{'a' * 70}.test"])
def test_what_cannot_be_looked_up_is_said_in_one_line(host):
    with pytest.raises(DirectoryError, match=r"^[^\n]+$"):
        addresses(host, 50051)


async def test_a_directory_of_which_one_name_has_no_address_cannot_be_read(endpoint, names):
    names["some"], names["none"] = ["127.0.0.2"], []
    directory = NameDirectory([endpoint("dns:///some:1"), endpoint("dns:///none:1")])
    with pytest.raises(DirectoryError, match="none has no address"):
        await directory()
