"""What a failed call means."""

import grpc
import pytest
from grpc_status import rpc_status

from orchestrator.dispatch.faults import Verdict, call_error, one_line


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


def test_a_line_is_short_and_cannot_command_a_terminal():
    assert one_line("a\x1b[2J\tb\u202e") == "a [2J b"
    assert len(one_line("x" * 1000)) == 500
