"""LLaVA-interleave: LLaVA's class, with a SigLIP tower, all features of it, and a Qwen2 text model."""

import _llava
import text
import transformers as hf


def make():
    tokenizer = _llava.tokenizer()
    config = hf.LlavaConfig(
        text_config=_llava.QWEN,
        vision_config=_llava.SIGLIP,
        image_token_index=tokenizer.image_token_id,
        image_seq_length=16,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    processor = hf.LlavaProcessor(
        hf.SiglipImageProcessor(size=_llava.SIZE),
        tokenizer,
        patch_size=_llava.PATCH,
        vision_feature_select_strategy="full",
        chat_template=text.images_first(*_llava.CHATML),
    )
    return hf.LlavaForConditionalGeneration(config), processor
