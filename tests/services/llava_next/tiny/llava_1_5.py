"""LLaVA 1.5: one view, the picture's middle square, 16 tokens."""

import _llava
import text
import transformers as hf


def make():
    tokenizer = _llava.tokenizer()
    config = hf.LlavaConfig(
        text_config=_llava.LLAMA,
        vision_config=_llava.CLIP,
        image_token_index=tokenizer.image_token_id,
        image_seq_length=16,
    )
    processor = hf.LlavaProcessor(
        hf.CLIPImageProcessor(size={"shortest_edge": _llava.SIDE}, crop_size=_llava.SIZE),
        tokenizer,
        patch_size=_llava.PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=text.images_first("{{ message.role.upper() }}: ", " ", "ASSISTANT:"),
    )
    return hf.LlavaForConditionalGeneration(config), processor
