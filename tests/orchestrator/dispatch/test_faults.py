"""What a failed call means."""

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from orchestrator.dispatch.faults import Verdict, brief, call_error, one_line


def error(code, details="", *trailing):
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details=details)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_has_a_meaning_and_is_told_in_one_line(code):
    told = call_error(error(code, "two\nlines"))
    assert str(told) == f"{code.name}: two lines"
    assert told.verdict in Verdict
    assert told.wait_seconds is None


def test_a_status_without_details_is_told_by_its_name_alone():
    assert str(call_error(error(grpc.StatusCode.ABORTED))) == "ABORTED"


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", b"\x08\x05"])
def test_malformed_details_are_as_good_as_none(garbage):
    """The second kind is well formed, but of another status than the call's."""
    told = call_error(
        error(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", (rpc_status.GRPC_DETAILS_METADATA_KEY, garbage))
    )
    assert told.verdict is Verdict.REFUSED
    assert told.violations == ()


@pytest.mark.parametrize(
    ("seconds", "waits"), [(2**62, 3600), (-(2**62), 0), (5, 5), (-1, 0), (315_576_000_001, 3600)]
)
def test_the_wait_that_a_service_asks_for_is_within_an_hour_whatever_it_says(seconds, waits):
    info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds))
    status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="full")
    status.details.add().Pack(info)
    trailing = (rpc_status.GRPC_DETAILS_METADATA_KEY, status.SerializeToString())
    told = call_error(error(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", trailing))
    assert (told.verdict, told.wait_seconds) == (Verdict.LATER, waits)


def test_a_line_is_short_and_cannot_command_a_terminal():
    assert one_line("a\x1b[2J\tb\u202e") == "a [2J b"
    assert len(one_line("x" * 1000)) == 500


@pytest.mark.parametrize(
    ("code", "silent"),
    [
        (grpc.StatusCode.UNAVAILABLE, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, True),
        (grpc.StatusCode.UNIMPLEMENTED, False),
        (grpc.StatusCode.INTERNAL, False),
    ],
)
def test_nothing_was_said_where_nobody_answered_and_only_there(code, silent):
    assert call_error(error(code)).silent is silent


_ADDRESSES = "UNAVAILABLE: failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (
            f"{_ADDRESSES}UNAVAILABLE: ipv4:127.0.0.1:9: Failed to connect to remote host: connect: "
            "Connection refused (111)",
            "nothing listens there",
        ),
        (f"{_ADDRESSES}UNAVAILABLE: ipv4:10.0.0.1:9: no route", _ADDRESSES.split(";")[0]),
        ("UNAVAILABLE: Socket closed", "the connection is lost"),
        ("UNAVAILABLE: recvmsg:Connection reset by peer", "the connection is lost"),
        (
            "UNAVAILABLE: the database says Connection refused",
            "UNAVAILABLE: the database says Connection refused",
        ),
        ("loading: 3 of 4 files", "loading: 3 of 4 files"),
        ("UNAVAILABLE: " + "x" * 200, "UNAVAILABLE: " + "x" * 84 + "..."),
    ],
)
def test_what_a_person_is_told_of_a_lost_replica_is_brief(trouble, told):
    assert brief(trouble) == told
    assert len(told) <= 100
