import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2

from mmad_answer.admission import Admission
from mmad_answer.refusal import RefusalError


async def test_at_most_limit_inspections_are_held_and_the_next_is_told_when_to_come():
    admission = Admission(limit=2, workers=1)
    admission.record(batch_seconds=2.5)
    with admission.place("i"), admission.place("i"):
        with pytest.raises(RefusalError) as refused, admission.place("i"):
            pass
        assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        (info,) = refused.value.details
        assert isinstance(info, error_details_pb2.RetryInfo)
        assert info.retry_delay.ToTimedelta().total_seconds() == 2.5
    with admission.place("i"):
        assert admission.in_flight == 1


async def test_the_delay_follows_recent_batches_and_is_shared_over_the_workers():
    admission = Admission(limit=1, workers=2)
    for _ in range(50):
        admission.record(batch_seconds=8.0)
    assert admission.retry_seconds() == pytest.approx(4.0)
    for _ in range(50):
        admission.record(batch_seconds=1.0)
    assert admission.retry_seconds() == pytest.approx(0.5, rel=0.01)


async def test_the_delay_is_never_nothing_and_never_more_than_a_minute():
    admission = Admission(limit=1, workers=1)
    assert admission.retry_seconds() > 0
    admission.record(batch_seconds=0.0)
    assert admission.retry_seconds() > 0
    for _ in range(50):
        admission.record(batch_seconds=1e6)
    assert admission.retry_seconds() == 60


async def test_who_has_a_place_is_listed():
    admission = Admission(limit=3, workers=1)
    with admission.place("one"), admission.place("two"), admission.place("one"):
        assert admission.under_way == ["one", "two", "one"]
    assert admission.under_way == []


async def test_empty_waits_for_the_last_place_to_be_given_back():
    admission = Admission(limit=2, workers=1)
    await admission.empty()
    with admission.place("i"):
        waiting = asyncio.create_task(admission.empty())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting
