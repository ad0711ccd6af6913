"""Qwen3-VL: features of two inner layers of the vision tower are added within the text model (DeepStack)."""

import _qwen
import transformers as hf


def make():
    tokenizer = _qwen.tokenizer()
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 64,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }
    positions = _qwen.POSITIONS | {"mrope_interleaved": True}
    config = hf.Qwen3VLConfig(
        text_config=_qwen.text_config(tokenizer, head_dim=16, rope_parameters=positions),
        vision_config=vision,
        **_qwen.token_ids(tokenizer),
    )
    processor = _qwen.processor(hf.Qwen3VLProcessor, tokenizer, patch=16)
    return hf.Qwen3VLForConditionalGeneration(config), processor
