"""LLaVA-OneVision: a picture alone in its prompt is cut into tiles, one among others is seen whole only."""

import _llava
import text
import transformers as hf


def make():
    tokenizer = _llava.tokenizer()
    config = hf.LlavaOnevisionConfig(
        text_config=_llava.QWEN,
        vision_config=_llava.SIGLIP,
        image_token_index=tokenizer.image_token_id,
        video_token_index=tokenizer.video_token_id,
        image_grid_pinpoints=_llava.PINPOINTS,
    )
    processor = hf.LlavaOnevisionProcessor(
        hf.LlavaOnevisionImageProcessor(size=_llava.SIZE, image_grid_pinpoints=_llava.PINPOINTS),
        tokenizer,
        hf.LlavaOnevisionVideoProcessor(size=_llava.SIZE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=text.images_first(*_llava.CHATML, image="<image>", between="\n"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor
