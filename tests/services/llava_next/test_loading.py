"""LLaVA checkpoints in the authors' own form, which the library has no code for."""

import json

import pytest


@pytest.mark.parametrize(
    ("config", "converted"),
    [
        ({"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava"}, "llava-hf/llava-1.5-7b-hf"),
        (
            {"architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava_llama"},
            "llava-hf/llava-1.5-7b-hf",
        ),
        (
            {"architectures": ["LlavaMistralForCausalLM"], "model_type": "llava_mistral"},
            "llava-hf/llava-v1.6-mistral-7b-hf",
        ),
        (
            {"architectures": ["LlavaQwenForCausalLM"], "model_type": "llava"},
            "llava-onevision-qwen2-7b-ov-hf",
        ),
    ],
)
def test_a_checkpoint_in_the_authors_form_gets_a_message_that_names_the_converted_one(
    told, tmp_path, config, converted
):
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"mm_vision_tower": "openai/clip-vit-large-patch14"})
    )
    assert converted in told("llava_next", "--checkpoint", tmp_path)
