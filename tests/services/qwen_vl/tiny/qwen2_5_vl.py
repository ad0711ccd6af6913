"""Qwen2.5-VL: attention in windows of two by two tokens, but in one layer."""

import _qwen
import transformers as hf


def make():
    tokenizer = _qwen.tokenizer()
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "out_hidden_size": 64,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    config = hf.Qwen2_5_VLConfig(
        text_config=_qwen.text_config(tokenizer), vision_config=vision, **_qwen.token_ids(tokenizer)
    )
    processor = _qwen.processor(hf.Qwen2_5_VLProcessor, tokenizer, patch=14, default_system=True)
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor
