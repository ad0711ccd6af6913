"""Hints on the wire, and what becomes of an inspection whose hint cannot be made."""

import dataclasses
import io

import numpy as np
import PIL.Image
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from orchestrator.hints import images as hint_images
from orchestrator.hints.drawing import Marking
from orchestrator.hints.formats import HintError
from orchestrator.hints.images import Hints
from orchestrator.hints.source import Found
from orchestrator.options import HintStyle
from orchestrator.vocabulary import ImageReference, ImageRole


class Spots:
    """A source that marks a corner of every query, and has nothing for some."""

    oracle = False
    identity = {"source": "maps"}  # noqa: RUF012

    def __init__(self, *missing):
        self._missing = missing

    def reader(self):
        return self

    async def find(self, sample):
        if sample.key in self._missing:
            raise HintError(f"maps/{sample.key}: no such file")
        return Found(sample.key, lambda: Marking(np.eye(2, dtype=np.float32), 0.5))


@pytest.fixture
def hinted(house):
    """Inspections with a hint after the query, whose source has nothing for the keys in `missing`."""

    def make(count, *missing):
        house.hints = Hints(Spots(*missing), HintStyle.MASK)
        caption = house.hints.caption
        return [
            dataclasses.replace(
                each,
                images=(
                    *each.images,
                    ImageReference(ImageRole.EXPERT_HINT, each.sample.key, caption),
                ),
            )
            for each in house.inspections(count)
        ]

    return make


async def test_the_hint_reaches_the_wire_after_the_query_with_its_caption(house, hinted):
    service = await house.service()
    await house.run(hinted(1), house.model(service))
    query, hint = service.requests[0].images
    assert (query.role, hint.role) == (pb.IMAGE_ROLE_QUERY, pb.IMAGE_ROLE_EXPERT_HINT)
    assert (query.caption, hint.caption) == ("", house.hints.caption)
    assert hint.media_type == "image/png"
    drawn = np.asarray(PIL.Image.open(io.BytesIO(hint.content)))
    assert drawn.tolist() == [[[255, 0, 255]]]


async def test_a_hint_that_cannot_be_made_fails_its_inspection_by_name_and_the_rest_goes_on(house, hinted):
    service = await house.service()
    inspections = hinted(3, "DS/part/good/001.png")
    (ending,) = await house.run(inspections, house.model(service))
    assert ending.reason == ""
    failed = {reply.question_id: reply.failure for reply in house.memory.replies.values() if reply.failure}
    assert failed == {
        question.question_id: "no hint: maps/DS/part/good/001.png: no such file"
        for question in inspections[1].questions
    }
    assert [a.detail for a in house.memory.attempts if a.code == "UNREADABLE_HINT"] == [
        "no hint: maps/DS/part/good/001.png: no such file"
    ]
    assert len(service.requests) == 2
    assert all(len(request.images) == 2 for request in service.requests)  # never without its hint


async def test_many_missing_hints_do_not_give_the_model_up(house, hinted):
    """It is not the service's fault."""
    service = await house.service()
    inspections = hinted(30, *(f"DS/part/good/{n:03}.png" for n in range(25)))
    (ending,) = await house.run(inspections, house.model(service))
    assert ending.reason == ""
    assert len(service.requests) == 5


async def test_models_side_by_side_share_one_drawing(house, hinted, monkeypatch):
    drawn, original = [], hint_images.draw
    monkeypatch.setattr(hint_images, "draw", lambda *given: drawn.append(given) or original(*given))
    one, other = await house.service("one"), await house.service("other")
    await house.run(hinted(10), house.model(one), house.model(other))
    assert len(drawn) == 10


async def test_a_hint_that_a_service_refuses_is_called_one(house, hinted, steps):
    import grpc
    from google.rpc import error_details_pb2

    violation = error_details_pb2.BadRequest.FieldViolation(field="images[1].content", description="is odd")
    service = await house.service()
    service.otherwise = steps.refuse(
        grpc.StatusCode.INVALID_ARGUMENT, "no", error_details_pb2.BadRequest(field_violations=[violation])
    )
    await house.run(hinted(1), house.model(service))
    (failure, *_) = {reply.failure for reply in house.memory.replies.values()}
    assert "the hint of DS/part/good/000.png: is odd" in failure
