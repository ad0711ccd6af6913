"""What the service sends is what the API's published schema and the provider's own client say."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.model import Image, ImageRole, Inspection, Option, Question, Turn
from mmad_answer.prompt import conversation

OFFICIAL = Path(__file__).parent / "schema" / "official.py"
OPTIONS = (Option("A", "Yes"), Option("B", "No"))


@pytest.fixture
def official(schema, api, key):
    """Have the provider's own client say a conversation; gives the request that arrived."""

    def say(**asked):
        api.play()
        asked = {"address": api.address, "key": key, "model": "gemini-plain", **asked}
        subprocess.run([schema, OFFICIAL], input=json.dumps(asked), text=True, check=True, timeout=120)
        [request] = api.requests
        return request

    return say


def test_the_request_equals_that_of_the_providers_own_client(service, api, official, ask, encoded, question):
    png, jpeg = encoded(), encoded(format="JPEG")
    request = ask(
        "Any defect?",
        images=[png, jpeg],
        history=[pb.Turn(question=question("q0", "Which product?"), answer="B")],
        prompting=pb.Prompting(conversation_history=True),
        generation=pb.Generation(max_new_tokens=16, top_p=0.5, seed=7),
    )
    assert service("--media-resolution", "low").ask(request)["q1"].answered.text == "A"
    [sent] = api.requests
    kinds = [ImageRole.NORMAL_TEMPLATE, ImageRole.QUERY]
    images = [Image(kind, b"", "", "", "", None) for kind in kinds]
    first, second = (Question(each, each, OPTIONS) for each in ("Which product?", "Any defect?"))
    inspection = Inspection("i", tuple(images), (second,))
    system, opening, said, closing = conversation(inspection, second, [Turn(first, "B")])
    caption_1, _, caption_2, _, *words = opening.parts
    expected = official(
        system=system.parts[0],
        turns=[
            [
                "user",
                [
                    caption_1,
                    ["image/png", base64.b64encode(png).decode()],
                    caption_2,
                    ["image/jpeg", base64.b64encode(jpeg).decode()],
                    "".join(words),
                ],
            ],
            ["model", said.parts],
            ["user", closing.parts],
        ],
        config={
            "temperature": 0,
            "top_p": 0.5,
            "seed": 7,
            "max_output_tokens": 16,
            "media_resolution": "MEDIA_RESOLUTION_LOW",
        },
    )
    # The client names a role for the system's words, which the API ignores.
    assert expected["body"]["systemInstruction"].pop("role") == "user"
    assert sent["body"] == expected["body"]
    assert sent["path"] == expected["path"] == "/v1beta/models/gemini-plain:generateContent"


def test_thinking_is_asked_for_as_the_providers_own_client_does(service, api, official, ask):
    served = service(model="gemini-thinking")
    served.ask(ask("Any defect?", generation=pb.Generation(max_reasoning_tokens=512)))
    [sent] = api.requests
    config = {"temperature": 0, "thinking_config": {"include_thoughts": True, "thinking_budget": 512}}
    expected = official(model="gemini-thinking", system="S", turns=[["user", ["?"]]], config=config)
    assert sent["body"]["generationConfig"] == expected["body"]["generationConfig"]


def test_log_probabilities_are_asked_for_as_the_providers_own_client_does(
    service, api, official, ask, candidate
):
    top = {"topCandidates": [{"candidates": [{"token": "A", "tokenId": 1, "logProbability": -0.5}]}]}
    api.play({"body": candidate(logprobsResult=top), "always": True})
    served = service("--option-scores")
    served.ask(ask("Any defect?", generation=pb.Generation(option_scores=True)))
    sent = api.requests[-1]
    config = {"temperature": 0, "response_logprobs": True, "logprobs": 20}
    expected = official(system="S", turns=[["user", ["?"]]], config=config)
    assert sent["body"]["generationConfig"] == expected["body"]["generationConfig"]


@pytest.mark.parametrize(
    ("form", "arrives"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("BMP", "image/png"),
        ("TIFF", "image/png"),
    ],
)
def test_images_arrive_untouched_or_as_png_with_the_media_type_that_they_have(
    service, api, ask, encoded, form, arrives
):
    picture = encoded(format=form)
    request = ask("Any defect?", images=[picture])
    request.images[0].media_type = "image/gif"  # whatever the caller says
    assert service().ask(request)["q1"].HasField("answered")
    [sent] = api.requests
    data = sent["body"]["contents"][0]["parts"][1]["inlineData"]
    assert data["mimeType"] == arrives
    content = base64.b64decode(data["data"])
    assert content == picture if form in ("PNG", "JPEG", "WEBP") else content.startswith(b"\x89PNG")


def test_the_schema_refuses_what_it_does_not_know(gemini, key):
    """The tests' own API is as strict as the schema: a field that it does not name is a fault."""
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "?"}]}], "max_tokens": 3}).encode()
    headers = {"x-goog-api-key": key, "Content-Type": "application/json"}
    url = f"{gemini.address}/v1beta/models/gemini-plain:generateContent"
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60)
    assert failed.value.code == 400
    assert "max_tokens" in gemini.requests[-1]["problem"]
