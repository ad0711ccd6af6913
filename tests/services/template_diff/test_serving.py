"""The service behind the kit's server, as the orchestrator starts it: files in, letters out."""

import math
import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad.answer.v1 import answer_pb2_grpc

FOLDER = Path(__file__).parents[3] / "services" / "template_diff"


@pytest.fixture(scope="module")
def stub():
    command = [
        sys.executable,
        "-P",
        "-m",
        "mmad_answer",
        "serve",
        str(FOLDER),
        "--host",
        "127.0.0.1",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            address = re.search(r"listening on (\S+)", process.stdout.readline())[1]
            with grpc.insecure_channel(address) as channel:
                yield answer_pb2_grpc.AnswerServiceStub(channel)
        finally:
            process.terminate()


def request(pngs):
    roles = [pb.IMAGE_ROLE_NORMAL_TEMPLATE] * (len(pngs) - 1) + [pb.IMAGE_ROLE_QUERY]
    options = [pb.Option(letter="A", text="No"), pb.Option(letter="B", text="Yes")]
    places = [pb.Option(letter="A", text="Center"), pb.Option(letter="B", text="Top left")]
    return pb.AnswerRequest(
        inspection_id="i",
        images=[pb.Image(role=role, content=png) for role, png in zip(roles, pngs, strict=True)],
        questions=[
            pb.Question(question_id="defect", text="Is there any defect in the object?", options=options),
            pb.Question(question_id="place", text="Where is the defect?", options=places),
        ],
        generation=pb.Generation(option_scores=True),
    )


def test_real_files_through_the_server_get_letters_and_scores(stub, part, templates, png):
    defective = part(mark=lambda pen: pen.ellipse((100, 70, 120, 90), (220, 215, 100)), noise=9)
    asked = request([png(each) for each in (*templates, defective)])
    answers = {
        each.question_id: each.answered for each in stub.Answer(asked, timeout=60, wait_for_ready=True)
    }
    assert {name: answer.text for name, answer in answers.items()} == {"defect": "B", "place": "B"}
    for answer in answers.values():
        assert sum(math.exp(score.log_probability) for score in answer.option_scores) == pytest.approx(1)

    normal = request([png(each) for each in (*templates, part(angle=3, noise=9))])
    answers = {each.question_id: each.answered for each in stub.Answer(normal, timeout=60)}
    assert answers["defect"].text == "A"


def test_the_server_tells_the_card(stub):
    card = stub.GetModel(pb.GetModelRequest(), timeout=60, wait_for_ready=True)
    assert card.name == "template_diff"
    assert card.limits.max_images == 64
    assert card.capabilities.option_scores
