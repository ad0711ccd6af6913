"""What model cards decide."""

import dataclasses

import pytest

from orchestrator.dispatch import Prompting
from orchestrator.dispatch.cards import common, differences, unsupported
from orchestrator.options import ChainOfThought
from orchestrator.vocabulary import ModelCard, ModelIdentity

IDENTITY = ModelIdentity("m", "f", "c", "r", "none", "p", (("dtype", "bf16"),))
CARD = ModelCard(
    identity=IDENTITY,
    device="cpu",
    max_images=4,
    max_in_flight=8,
    max_request_bytes=1000,
    max_image_pixels=0,
    option_scores=False,
    conversation_history=False,
    chain_of_thought=False,
    deterministic=True,
    text_only=False,
    anomaly_map=False,
    environment=(),
    state="ready",
    state_detail="",
    notes=(),
)


def test_a_model_with_room_for_one_image_takes_no_hint_beside_the_query():
    one, two = (dataclasses.replace(CARD, max_images=number) for number in (1, 2))
    assert unsupported(one, Prompting()) == []
    assert unsupported(two, Prompting(), hints=True) == []
    (reason,) = unsupported(one, Prompting(), hints=True)
    assert "--hints" in reason


def test_a_map_is_asked_only_of_a_model_that_gives_one():
    assert unsupported(CARD, Prompting(anomaly_map=True)) == ["it gives no anomaly maps"]
    able = dataclasses.replace(CARD, anomaly_map=True)
    assert unsupported(able, Prompting(anomaly_map=True)) == []
    assert not common([able, CARD]).anomaly_map


def test_equal_identities_have_no_differences():
    assert differences(IDENTITY, dataclasses.replace(IDENTITY)) == []


def test_each_part_that_differs_is_named_with_both_values():
    other = dataclasses.replace(IDENTITY, revision="r2", settings=(("dtype", "f32"), ("canvas", "stitched")))
    assert differences(IDENTITY, other) == [
        "revision: 'r' and 'r2'",
        "setting canvas: '(none)' and 'stitched'",
        "setting dtype: 'bf16' and 'f32'",
    ]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ModelIdentity) if f.name != "settings"])
def test_no_part_of_the_identity_is_left_out(field):
    assert len(differences(IDENTITY, dataclasses.replace(IDENTITY, **{field: "x"}))) == 1


@pytest.mark.parametrize(
    ("asked", "able", "words"),
    [
        ({"history": True}, {"conversation_history": True}, "--history"),
        ({"cot": ChainOfThought.QUESTION}, {"chain_of_thought": True}, "--cot"),
        ({"option_scores": True}, {"option_scores": True}, "--option-scores"),
        ({"text_only": True}, {"text_only": True}, "--text-only"),
    ],
)
def test_what_a_model_cannot_do_is_named_by_the_option_that_asks_for_it(asked, able, words):
    (reason,) = unsupported(CARD, Prompting(**asked))
    assert words in reason
    assert unsupported(dataclasses.replace(CARD, **able), Prompting(**asked)) == []


def test_a_model_without_images_can_only_be_asked_text_only():
    blind = dataclasses.replace(CARD, max_images=0, text_only=True)
    assert len(unsupported(blind, Prompting())) == 1
    assert unsupported(blind, Prompting(text_only=True)) == []


def test_a_plain_run_asks_for_nothing_special():
    assert unsupported(CARD, Prompting()) == []


def test_replicas_have_in_common_what_each_of_them_takes():
    other = dataclasses.replace(CARD, max_images=1, max_in_flight=9, deterministic=False, text_only=True)
    both = common([CARD, other])
    assert (both.max_images, both.max_in_flight, both.deterministic, both.text_only) == (1, 8, False, False)
