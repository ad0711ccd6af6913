"""A checkpoint whose chat template opens a thought by itself."""

import shutil

from mmad.answer.v1 import answer_pb2 as pb


def test_a_checkpoint_that_thinks_by_itself_offers_no_scores_and_has_room_for_thoughts(
    running, tiny, requests, tmp_path
):
    folder = shutil.copytree(tiny("qwen2_5_vl"), tmp_path / "thinking")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + "{% if add_generation_prompt %}<think>\n{% endif %}")
    options = ("--checkpoint", folder, "--max-new-tokens", "2", "--max-reasoning-tokens", "5")
    with running("qwen_vl", *options) as service:
        card = service.card()
        assert not card.capabilities.option_scores
        assert any("thinks before every answer" in note for note in card.notes)
        request = pb.AnswerRequest()
        request.CopyFrom(requests["one_shot"])
        request.ClearField("generation")
        counts = [each.answered.usage.completion_tokens for each in service.ask(request).values()]
        assert 2 < max(counts) <= 2 + 5
