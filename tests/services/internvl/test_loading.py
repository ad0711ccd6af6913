"""InternVL checkpoints in the authors' own form, whose code comes with the checkpoint."""

import json


def test_a_checkpoint_in_the_authors_form_gets_a_message_that_names_the_converted_one(told, tmp_path):
    config = {"architectures": ["InternVLChatModel"], "model_type": "internvl_chat"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "-hf" in told("internvl", "--checkpoint", tmp_path)
