"""Qwen2-VL."""

import _qwen
import transformers as hf


def make():
    tokenizer = _qwen.tokenizer()
    config = hf.Qwen2VLConfig(
        text_config=_qwen.text_config(tokenizer),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 14},
        **_qwen.token_ids(tokenizer),
    )
    processor = _qwen.processor(hf.Qwen2VLProcessor, tokenizer, patch=14, default_system=True)
    return hf.Qwen2VLForConditionalGeneration(config), processor
