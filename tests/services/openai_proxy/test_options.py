import pytest

from openai_proxy.options import OpenAiOptions


def test_fields_to_leave_out_are_a_list_with_commas():
    assert OpenAiOptions(model="m", omit=" seed,temperature, seed").omitted == ("seed", "temperature")
    assert OpenAiOptions(model="m").omitted == ()


def test_a_field_that_cannot_be_left_out_is_refused_by_name():
    with pytest.raises(ValueError, match="--omit messages: only temperature, "):
        OpenAiOptions(model="m", omit="seed,messages")


def test_the_number_of_listed_tokens_has_bounds():
    with pytest.raises(ValueError, match="--top-logprobs"):
        OpenAiOptions(model="m", top_logprobs=0)


def test_only_openais_own_server_needs_a_key(model_class):
    assert model_class(OpenAiOptions(model="m")).key_required
    assert not model_class(OpenAiOptions(model="m", base_url="http://localhost:8000/v1")).key_required


def test_fields_that_are_left_out_stand_on_the_card_and_scores_are_not_offered_without_logprobs(model_class):
    card = model_class(OpenAiOptions(model="m", omit="seed,logprobs,detail")).describe()
    assert card.settings["left_out"] == "detail, logprobs, seed"
    assert card.settings["detail"] == "left out"
    assert not card.capabilities.option_scores
    assert model_class(OpenAiOptions(model="m")).describe().capabilities.option_scores


def test_two_addresses_of_one_model_are_one_identity(model_class):
    one, other = (
        model_class(OpenAiOptions(model="m", base_url=f"http://localhost:{port}/v1")).describe()
        for port in (8000, 8001)
    )
    assert one.settings == other.settings
    assert [card.notes[0] for card in (one, other)] == [
        "asked at http://localhost:8000/v1",
        "asked at http://localhost:8001/v1",
    ]


def test_the_card_tells_how_many_images_and_pixels_the_model_takes(model_class):
    card = model_class(OpenAiOptions(model="m", max_images=3, max_image_pixels=10_000)).describe()
    assert (card.max_images, card.max_image_pixels) == (3, 10_000)
    card = model_class(OpenAiOptions(model="m")).describe()
    assert (card.max_images, card.max_image_pixels) == (64, 0)
