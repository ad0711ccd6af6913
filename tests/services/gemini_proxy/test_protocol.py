"""MMAD's ways of asking, through the service in its own environment, as they arrive at the API."""

import math

import pytest

from mmad.answer.v1 import answer_pb2 as pb
from mmad_answer.prompt import INSTRUCTION, PROMPT_SHA256


def parts(sent):
    """The texts of a request's parts, with "<image>" in the places of images."""
    return [
        [part.get("text", "<image>").strip() for part in turn["parts"]] for turn in sent["body"]["contents"]
    ]


def put(text):
    """A question as the prompt puts it."""
    return f"Question: {text}\nA. Yes\nB. No\nReply with the letter of one option only."


def say(candidate, text, when="", **fields):
    return {"body": candidate(text, **fields), "when": when}


def test_images_come_in_their_order_before_the_question(service, api, ask, encoded):
    colours = [encoded(colour=colour) for colour in ("red", "lime", "blue")]
    service().ask(ask("First?", "Second?", images=colours))
    assert [parts(sent)[0][1::2] for sent in api.requests] == [["<image>"] * 3] * 2
    assert [parts(sent)[0][-1] for sent in api.requests] == [put("First?"), put("Second?")]
    first, second = (sent["body"]["contents"][0]["parts"][:-1] for sent in api.requests)
    assert first == second  # all that the questions share comes first, so that the provider can cache it
    assert len({part["inlineData"]["data"] for part in first if "inlineData" in part}) == 3


def test_each_question_gets_its_own_answer_and_tokens(service, api, ask, candidate):
    api.play(say(candidate, "B", when="Second?"), say(candidate, "A", when="First?"))
    got = service().ask(ask("First?", "Second?"))
    assert {name: each.answered.text for name, each in got.items()} == {"q1": "A", "q2": "B"}
    for each in got.values():
        assert each.answered.finish_reason == pb.FINISH_REASON_STOP
        assert (each.answered.usage.prompt_tokens, each.answered.usage.completion_tokens) == (300, 1)


def test_without_images_only_the_question_is_sent(service, api, ask):
    assert service().ask(ask("Any defect?"))["q1"].answered.text == "A"
    [sent] = api.requests
    assert parts(sent) == [[put("Any defect?")]]


def test_a_question_with_history_sees_those_before_it(service, api, ask, candidate, question):
    api.play(say(candidate, "B", when="First?"))
    earlier = [pb.Turn(question=question("q0", "Zeroth?"), answer="It is B.")]
    prompting = pb.Prompting(conversation_history=True)
    service().ask(ask("First?", "Second?", history=earlier, prompting=prompting))
    assert [parts(sent) for sent in api.requests] == [
        [[put("Zeroth?")], ["It is B."], [put("First?")]],
        [[put("Zeroth?")], ["It is B."], [put("First?")], ["B"], [put("Second?")]],
    ]


def test_a_thought_in_each_answer_is_asked_for_and_stays_in_its_text(service, api, ask, candidate):
    api.play(say(candidate, "I see a scratch.\nAnswer: A"))
    prompting = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_QUESTION)
    got = service().ask(ask("Any defect?", prompting=prompting))["q1"].answered
    assert got.text == "I see a scratch.\nAnswer: A"
    [sent] = api.requests
    assert "step by step" in parts(sent)[-1][-1]


def test_one_analysis_stands_before_every_question_and_is_their_reasoning(service, api, ask, candidate):
    api.play(say(candidate, "A scratch, top left.", when="Before any question"))
    prompting = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION)
    got = service().ask(ask("First?", "Second?", prompting=prompting))
    analysis, *asked = api.requests
    assert len(asked) == 2
    for sent in asked:
        assert parts(sent) == [*parts(analysis), ["A scratch, top left."], parts(sent)[-1]]
    assert {each.answered.reasoning for each in got.values()} == {"A scratch, top left."}
    assert sum(each.answered.usage.prompt_tokens for each in got.values()) == 3 * 300


def test_an_analysis_that_the_caller_has_is_not_made_again(service, api, ask):
    prompting = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION)
    got = service().ask(ask("Any defect?", prompting=prompting, analysis="A dent."))["q1"].answered
    [sent] = api.requests
    assert parts(sent)[1] == ["A dent."]
    assert got.reasoning == "A dent."


def test_knowledge_and_a_replaced_instruction_are_the_systems_words(service, api, ask):
    service().ask(ask("Any defect?", domain_knowledge="Bottles crack."))
    prompting = pb.Prompting(instruction="Say one letter.")
    service().ask(ask("Any defect?", domain_knowledge="Bottles crack.", prompting=prompting))
    own, replaced = (sent["body"]["systemInstruction"]["parts"][0]["text"] for sent in api.requests)
    assert own.startswith(INSTRUCTION)
    assert replaced.startswith("Say one letter.")
    assert all(each.endswith("Bottles crack.") for each in (own, replaced))
    assert parts(api.requests[1]) == [["Question: Any defect?\nA. Yes\nB. No"]]


def test_the_prompt_comes_back_with_the_sizes_of_its_images(service, ask, encoded):
    request = ask("Any defect?", images=[encoded((40, 30)), encoded((64, 48))])
    request.generation.return_prompt = True
    got = service("--max-image-side", "32").ask(request)["q1"].answered
    assert [(each.width, each.height) for each in got.images] == [(32, 24), (32, 24)]
    assert INSTRUCTION in got.prompt
    assert put("Any defect?") in got.prompt
    assert "data" not in got.prompt


def test_thoughts_of_a_model_that_thinks_come_back_apart_and_counted(service, api, ask, candidate):
    body = candidate("B", thoughts="There is a dent.")
    body["usageMetadata"]["thoughtsTokenCount"] = 90
    api.play({"body": body})
    got = service(model="gemini-thinking").ask(ask("Any defect?"))["q1"].answered
    assert (got.text, got.reasoning) == ("B", "There is a dent.")
    assert (got.usage.reasoning_tokens, got.usage.completion_tokens) == (90, 91)


def test_thoughts_have_room_beside_the_answer(service, api, ask):
    thinking = service(model="gemini-thinking")
    for asked in (
        pb.Generation(max_new_tokens=16),
        pb.Generation(max_new_tokens=16, max_reasoning_tokens=512),
    ):
        thinking.ask(ask("Any defect?", generation=asked))
    open_, bound = (sent["body"]["generationConfig"] for sent in api.requests)
    assert (open_["maxOutputTokens"], open_["thinkingConfig"]) == (16 + 32_768, {"includeThoughts": True})
    assert bound["maxOutputTokens"] == 16 + 512
    assert bound["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 512}


def test_an_analysis_has_room_of_its_own_beside_hidden_thoughts(service, api, ask):
    prompting = pb.Prompting(chain_of_thought=pb.CHAIN_OF_THOUGHT_PER_INSPECTION)
    how = pb.Generation(max_new_tokens=16, max_reasoning_tokens=512)
    service(model="gemini-thinking").ask(ask("Any defect?", prompting=prompting, generation=how))
    configs = [sent["body"]["generationConfig"] for sent in api.requests]
    assert [each["maxOutputTokens"] for each in configs] == [512 + 512, 16 + 512]
    assert [each["thinkingConfig"]["thinkingBudget"] for each in configs] == [512, 512]


def test_thinking_can_be_switched_off(service, api, ask):
    served = service("--thinking-budget", "0", model="gemini-thinking")
    served.ask(ask("Any defect?", generation=pb.Generation(max_new_tokens=16)))
    [sent] = api.requests
    assert sent["body"]["generationConfig"]["maxOutputTokens"] == 16
    assert sent["body"]["generationConfig"]["thinkingConfig"] == {
        "includeThoughts": False,
        "thinkingBudget": 0,
    }
    assert served.card().settings["thinking_budget"] == "0"


def first_position(**chances):
    tokens = [
        {"token": token, "tokenId": i, "logProbability": math.log(chance)}
        for i, (token, chance) in enumerate(chances.items())
    ]
    return {"topCandidates": [{"candidates": tokens}]}


def test_option_scores_are_the_log_probabilities_at_the_first_position(service, api, ask, candidate):
    scored = candidate(logprobsResult=first_position(A=0.75, **{" A": 0.125}, The=0.0625))
    api.play({"body": scored, "always": True})
    served = service("--option-scores")
    assert served.card().capabilities.option_scores
    got = served.ask(ask("Any defect?", generation=pb.Generation(option_scores=True)))["q1"].answered
    scores = {each.letter: each for each in got.option_scores}
    assert scores["A"].log_probability == pytest.approx(math.log(0.875), abs=1e-6)
    assert not scores["B"].HasField("log_probability")


def test_option_scores_are_refused_unless_they_are_offered(service, ask):
    served = service()
    assert not served.card().capabilities.option_scores
    with pytest.raises(Exception, match="FAILED_PRECONDITION"):
        served.ask(ask("Any defect?", generation=pb.Generation(option_scores=True)))


def test_the_card_says_which_model_answers_and_how(service, gemini):
    card = service("--media-resolution", "low", "--max-images", "3", "--max-image-pixels", "9000").card()
    assert (card.name, card.family, card.checkpoint) == ("gemini-plain", "gemini", "gemini-plain")
    assert (card.revision, card.device, card.prompt_sha256) == ("001", "remote", PROMPT_SHA256)
    able = card.capabilities
    assert able.conversation_history
    assert able.chain_of_thought
    assert able.text_only
    assert not able.deterministic
    assert card.settings["media_resolution"] == "low"
    assert f"asked at {gemini.address}" in card.notes
    assert gemini.address not in str(card.settings)
    assert (card.limits.max_images, card.limits.max_image_pixels) == (3, 9000)
    assert card.settings["reply_cache"] == "off"
    assert {"httpx", "tenacity", "pydantic"} <= set(card.environment)


def test_a_reply_cache_answers_what_was_asked_before_and_stands_on_the_card(service, api, ask, tmp_path):
    served = service("--reply-cache", str(tmp_path))
    for _ in range(2):
        assert served.ask(ask("Any defect?"))["q1"].answered.text == "A"
    assert len(api.requests) == 1
    served.ask(ask("Any defect?", generation=pb.Generation(seed=7)))
    service("--reply-cache", str(tmp_path), "--media-resolution", "low").ask(ask("Any defect?"))
    assert len(api.requests) == 3
    assert served.card().settings["reply_cache"] == "on"
