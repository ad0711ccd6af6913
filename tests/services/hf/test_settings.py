"""What can be set, and what the model card says of it."""

import pytest

from mmad.answer.v1 import answer_pb2 as pb


@pytest.fixture(scope="module")
def started(running):
    def start(checkpoint, *options):
        return running(checkpoint.service, "--checkpoint", checkpoint.folder, *options)

    return start


@pytest.fixture(scope="module")
def service(started, one_of_each):
    """With no limit of pixels but the checkpoint's own."""
    with started(one_of_each, "--dtype", "float32", "--attention", "eager", "--name", "mine") as service:
        yield service


@pytest.fixture
def with_prompt(requests):
    """The named request, and what became of it."""

    def make(name):
        request = pb.AnswerRequest()
        request.CopyFrom(requests[name])
        request.generation.return_prompt = True
        return request

    return make


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantised_weights_load_and_answer_on_a_cpu(started, checkpoint, requests, bits):
    with started(checkpoint, "--quantization", bits) as service:
        assert service.card().quantization == bits
        for response in service.ask(requests["one_shot"]).values():
            assert response.answered.usage.completion_tokens > 0
            assert all(each.log_probability < 0 for each in response.answered.option_scores)


def test_where_flash_attention_cannot_be_had_another_answers_and_the_card_says_so(
    started, one_of_each, requests
):
    with started(one_of_each, "--dtype", "bfloat16", "--attention", "flash_attention_2") as service:
        card = service.card()
        assert (card.settings["dtype"], card.settings["attention"]) == ("bfloat16", "sdpa")
        assert any("flash_attention_2" in note for note in card.notes)
        assert (
            not card.capabilities.deterministic
        )  # sums of that precision depend on what goes through together
        assert all(each.HasField("answered") for each in service.ask(requests["two_shots"]).values())


def test_the_card_says_what_answers_and_a_prompt_comes_back_when_asked_for(service, one_of_each, with_prompt):
    card = service.card()
    assert (card.name, card.checkpoint) == ("mine", one_of_each.folder.name)
    assert card.revision.startswith("folder-")
    assert (card.quantization, card.device) == ("none", "cpu")
    assert len(card.prompt_sha256) == 64
    assert (card.settings["dtype"], card.settings["attention"]) == ("float32", "eager")
    assert {"torch", "transformers", "tokenizers", "torchvision"} <= set(card.environment)
    able = card.capabilities
    assert all([able.option_scores, able.conversation_history, able.chain_of_thought])
    assert all([able.text_only, able.deterministic])
    assert card.limits.max_image_pixels > 0
    for response in service.ask(with_prompt("all_roles_and_sizes")).values():
        assert "the suspected place in a box." in response.answered.prompt
        assert len(response.answered.images) == 4
        assert all(each.tokens and each.width and each.height for each in response.answered.images)


def test_a_limit_of_pixels_makes_a_large_image_smaller(service, started, one_of_each, with_prompt):
    def seen(service):
        """(The stated limit, the image's tokens, the prompt's tokens)."""
        answered = next(iter(service.ask(with_prompt("zero_shot")).values())).answered
        limit = service.card().limits.max_image_pixels
        return limit, answered.images[0].tokens, answered.usage.prompt_tokens

    most, tokens, prompt_tokens = seen(service)
    with started(one_of_each, "--max-pixels", str(most // 2)) as limited:
        limit, fewer_tokens, shorter_prompt = seen(limited)
    assert limit <= most // 2
    assert fewer_tokens < tokens
    assert shorter_prompt < prompt_tokens
