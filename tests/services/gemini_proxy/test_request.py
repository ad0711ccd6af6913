"""What a request holds. That the API takes it is tested against its schema, in test_schema.py."""

import base64

import pytest

from gemini_proxy.request import Thinking, conversation, generation_config, image_part
from mmad_answer.model import Generation
from mmad_answer.prompt import Speaker
from mmad_answer.remote.dialect import Said
from mmad_answer.remote.images import SentImage


def config(generation=None, thinking=None, **fields):
    fields = {"max_tokens": None, "scored": False, **fields}
    return generation_config(generation or Generation(), thinking or Thinking(), **fields)


def test_the_system_speaks_apart_and_turns_keep_their_order_and_images_their_places():
    picture = image_part(SentImage(b"\x89PNG...", "image/png", 4, 3))
    body = conversation(
        (
            Said(Speaker.SYSTEM, ("Inspect.",)),
            Said(Speaker.USER, ("Image 1:", picture, "\nFirst?")),
            Said(Speaker.ASSISTANT, ("A",)),
            Said(Speaker.USER, ("Second?",)),
        )
    )
    data = base64.b64encode(b"\x89PNG...").decode()
    assert body == {
        "systemInstruction": {"parts": [{"text": "Inspect."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "Image 1:"},
                    {"inlineData": {"mimeType": "image/png", "data": data}},
                    {"text": "\nFirst?"},
                ],
            },
            {"role": "model", "parts": [{"text": "A"}]},
            {"role": "user", "parts": [{"text": "Second?"}]},
        ],
    }


def test_what_the_caller_leaves_open_is_greedy_and_else_the_models_own():
    assert config() == {"temperature": 0.0}


def test_the_callers_settings_are_passed_on():
    asked = Generation(temperature=0.5, top_p=0.25, seed=7)
    assert config(asked) == {"temperature": 0.5, "topP": 0.25, "seed": 7}


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**31, 2**64 - 1])
def test_every_seed_of_the_contract_fits_into_the_apis(seed):
    assert 0 <= config(Generation(seed=seed))["seed"] < 2**31


def test_different_small_seeds_stay_different():
    assert [config(Generation(seed=each))["seed"] for each in (0, 1, 2)] == [0, 1, 2]


def test_log_probabilities_are_asked_for_only_where_they_are_wanted():
    assert config(scored=True) == {"temperature": 0.0, "responseLogprobs": True, "logprobs": 20}


@pytest.mark.parametrize(
    ("thinking", "most", "sent"),
    [
        (Thinking(), 16, None),
        (Thinking(able=False, budget=512), 16, None),
        (Thinking(able=True), 16 + 32_768, {"includeThoughts": True}),
        (Thinking(able=True, budget=512), 16 + 512, {"includeThoughts": True, "thinkingBudget": 512}),
        (Thinking(able=True, budget=0), 16, {"includeThoughts": False, "thinkingBudget": 0}),
    ],
)
def test_thoughts_get_room_beside_the_answer_in_models_that_think(thinking, most, sent):
    got = config(thinking=thinking, max_tokens=16)
    assert got["maxOutputTokens"] == most
    assert got.get("thinkingConfig") == sent


def test_the_room_is_never_larger_than_the_models_limit():
    got = config(thinking=Thinking(able=True), max_tokens=16, output_token_limit=8192)
    assert got["maxOutputTokens"] == 8192


@pytest.mark.parametrize("word", ["low", "medium", "high"])
def test_the_media_resolution_is_named_as_the_api_names_it(word):
    assert config(media_resolution=word)["mediaResolution"] == f"MEDIA_RESOLUTION_{word.upper()}"
