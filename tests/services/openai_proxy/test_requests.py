"""What the service, in a process and an environment of its own, asks over the socket."""

import base64
import math
import threading

import pytest

from mmad.answer.v1 import answer_pb2 as pb

QUERY = pb.IMAGE_ROLE_QUERY
GREEDY = {"model": "m", "temperature": 0.0}


def rest(body):
    return {name: value for name, value in body.items() if name != "messages"}


def test_an_answer_comes_through_with_its_tokens_and_its_end(proxy, provider, completion, ask):
    usage = {"prompt_tokens": 900, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 800}}
    provider.play(provider.reply(200, completion("B.", "length", usage=usage, reasoning_content="Hm.")))
    with proxy() as service:
        answered = service.ask(ask())["q1"].answered
    assert (answered.text, answered.reasoning) == ("B.", "Hm.")
    assert answered.finish_reason == pb.FINISH_REASON_LENGTH
    assert (answered.usage.prompt_tokens, answered.usage.completion_tokens) == (900, 2)
    assert answered.usage.cached_prompt_tokens == 800


def test_images_come_before_the_question_each_after_its_caption(proxy, sent, ask, provider, key):
    with proxy() as service:
        service.ask(ask("q1", "q2"))
    for body, question in zip(sent(), ("q1", "q2"), strict=True):
        assert body.roles == ["system", "user"]
        template, image1, query, image2, words = body.parts
        assert "flawless" in template
        assert "under inspection" in query
        assert image1 == image2 == "image"
        assert f"Is {question} so?" in words
    one, two = sent()
    assert one.body["messages"][1]["content"][:-1] == two.body["messages"][1]["content"][:-1]
    assert all(post.path == "/v1/chat/completions" for post in provider.posts)
    assert all(post.headers["authorization"] == f"Bearer {key}" for post in provider.asked)


def test_the_bytes_of_the_file_go_as_they_came_with_the_type_that_they_have(proxy, sent, ask, encoded):
    jpeg = encoded(form="JPEG")
    with proxy("--detail", "low") as service:
        service.ask(ask(images=[(QUERY, jpeg)]))
        service.ask(ask(images=[(QUERY, encoded(form="TIFF"))]))
    first, second = sent()
    assert first.pictures == [
        {"url": f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}", "detail": "low"}
    ]
    assert second.pictures[0]["url"].startswith("data:image/png;base64,")


def test_larger_images_are_scaled_down_where_an_option_says_so(proxy, sent, ask, encoded):
    with proxy("--max-image-side", "10") as service:
        request = ask(images=[(QUERY, encoded(size=(40, 20)))])
        request.generation.return_prompt = True
        answered = service.ask(request)["q1"].answered
        assert service.card().settings["max_image_side"] == "10"
    assert [(each.width, each.height) for each in answered.images] == [(10, 5)]
    assert "<image/png, 10 x 5, sha256" in answered.prompt
    assert sent()[0].pictures[0]["url"].startswith("data:image/png;base64,")


def test_generation_is_greedy_unless_the_request_says_otherwise(proxy, sent, ask):
    with proxy() as service:
        service.ask(ask())
        how = pb.Generation(max_new_tokens=8, temperature=0.5, top_p=0.25, seed=2**63 + 5)
        service.ask(ask(generation=how))
    assert rest(sent()[0].body) == GREEDY
    assert rest(sent()[1].body) == {
        "model": "m",
        "temperature": 0.5,
        "top_p": 0.25,
        "seed": 5,
        "max_completion_tokens": 8,
    }


def test_fields_that_a_server_does_not_take_are_left_out_or_renamed(proxy, sent, ask):
    options = ["--omit", "temperature,seed,top_p,detail,logprobs", "--token-limit-field", "max_tokens"]
    with proxy(*options, "--max-new-tokens", "9") as service:
        service.ask(ask(generation=pb.Generation(temperature=0.5, top_p=0.5, seed=1)))
    assert rest(sent()[0].body) == {"model": "m", "max_tokens": 9}
    assert list(sent()[0].pictures[0]) == ["url"]


def test_the_instruction_can_go_into_the_users_turn_which_the_prompt_that_comes_back_shows(proxy, sent, ask):
    request = ask(prompting=pb.Prompting(instruction="Look closely."))
    request.generation.return_prompt = True
    with proxy("--system-role", "user", "--reasoning-effort", "low") as service:
        prompt = service.ask(request)["q1"].answered.prompt
    [body] = sent()
    assert body.roles == ["user"]
    assert body.parts[0].startswith("Look closely.\n\nImage 1, ")
    assert body.body["reasoning_effort"] == "low"
    assert prompt.startswith("[user]\nLook closely.\n\nImage 1, ")


def test_knowledge_and_instruction_are_the_systems_words(proxy, sent, ask):
    with proxy() as service:
        service.ask(ask(domain_knowledge="It is round.", prompting=pb.Prompting(instruction="Look.")))
    words = sent()[0].body["messages"][0]["content"]
    assert words.startswith("Look.")
    assert "It is round." in words


def test_without_images_every_turn_is_a_plain_string(proxy, sent, ask):
    with proxy() as service:
        assert service.ask(ask(images=[]))["q1"].answered.text == "A"
    assert [type(message["content"]) for message in sent()[0].body["messages"]] == [str, str]


def test_with_history_each_question_sees_the_answers_before_it(proxy, sent, ask):
    with proxy() as service:
        service.ask(ask("q1", "q2", "q3", prompting=pb.Prompting(conversation_history=True)))
    assert [body.roles for body in sent()] == [
        ["system", "user"],
        ["system", "user", "assistant", "user"],
        ["system", "user", "assistant", "user", "assistant", "user"],
    ]
    assert len(sent()[2].pictures) == 2


def test_thoughts_per_question_are_asked_for_in_the_text(proxy, sent, ask):
    thinking = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_QUESTION)
    how = pb.Generation(max_new_tokens=8, max_reasoning_tokens=100, option_scores=True)
    with proxy() as service:
        assert not service.ask(ask(prompting=thinking, generation=how))["q1"].answered.option_scores
    [body] = sent()
    assert "Think first" in body.parts[-1]
    assert body.body["max_completion_tokens"] == 8 + 100 + 100, "in the text, and before it in models that do"
    assert "logprobs" not in body.body


def test_thoughts_per_inspection_are_one_call_before_the_questions(proxy, sent, ask, provider, completion):
    provider.play(provider.reply(200, completion("A scratch.")), provider.reply(200, completion("B")))
    thinking = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION)
    with proxy() as service:
        answers = service.ask(ask("q1", "q2", prompting=thinking))
    assert {name: (each.answered.text, each.answered.reasoning) for name, each in answers.items()} == {
        "q1": ("B", "A scratch."),
        "q2": ("B", "A scratch."),
    }
    analysis, one, two = sent()
    assert analysis.roles == ["system", "user"]
    assert one.roles == two.roles == ["system", "user", "assistant", "user"]
    assert one.body["messages"][2]["content"] == "A scratch."
    assert sum(each.answered.usage.prompt_tokens for each in answers.values()) == 900


def test_option_scores_come_from_the_logprobs(proxy, sent, ask, provider, completion):
    listed = {"A": math.log(0.5), " A": math.log(0.25)}
    provider.play(provider.reply(200, completion(logprobs=listed)))
    with proxy("--top-logprobs", "7") as service:
        scores = service.ask(ask(generation=pb.Generation(option_scores=True)))["q1"].answered.option_scores
    assert scores[0].log_probability == pytest.approx(math.log(0.75))
    assert not scores[1].HasField("log_probability")
    assert (sent()[0].body["logprobs"], sent()[0].body["top_logprobs"]) == (True, 7)


def test_many_inspections_are_under_way_at_once(proxy, ask, provider, completion):
    together = threading.Barrier(4)

    def answered_together(handler):
        together.wait(20)
        provider.reply(200, completion())(handler)

    provider.play(answered_together)
    with proxy("--concurrency", "4") as service:
        calls = [service.stub.Answer(ask(), timeout=60) for _ in range(4)]
        assert [next(call).answered.text for call in calls] == ["A"] * 4
        assert service.card().limits.max_in_flight >= 4


def test_replies_on_disk_answer_a_service_that_is_started_anew(proxy, ask, provider, tmp_path):
    for _ in range(2):
        with proxy("--reply-cache", tmp_path / "replies") as service:
            assert service.ask(ask())["q1"].answered.text == "A"
            assert service.card().settings["reply_cache"] == "on"
    assert len(provider.posts) == 1


def test_the_card_says_who_answers_and_notes_where_without_making_it_identity(proxy, ask, provider):
    with proxy() as service:
        before = service.card()
        service.ask(ask())
        after = service.card()
    assert (before.name, before.family, before.checkpoint, before.revision) == ("m", "openai", "m", "")
    assert f"asked at {provider.url}/v1" in before.notes
    assert provider.url not in str(before.settings)
    assert before == after
    assert "httpx" in before.environment
