"""Qwen2.5-VL: attention in windows of two by two tokens, but in one layer.

As the published ones, it has a repetition penalty, and two tokens that end a text, one of which also pads.
"""

import _qwen
import transformers as hf
from text import END, PAD

ENDS = (END, PAD)
REPETITION_PENALTY = 1.05


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
